package agent

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/network"
)

// withDNS is an engine that nothing runs on, with a DNS that answers nothing.
func withDNS(t *testing.T, dir string) *engine {
	return idleEngine(t, Config{DataDir: dir, ServeDNS: func(pc net.PacketConn, l net.Listener, vpc string) error {
		if vpc != HostNetwork {
			t.Errorf("served for network %q", vpc)
		}
		_, err := l.Accept()
		return err
	}})
}

func idleEngine(t *testing.T, c Config) *engine {
	c.Log = logTo(t)
	e := newEngine(c)
	e.ctx, e.cancel = context.WithCancel(t.Context())
	t.Cleanup(func() { e.cancel(); e.dns.close() })
	return e
}

func hostTask(e *engine, c types.ContainerDefinition) *task {
	msg := taskOf(c)
	msg.NetworkMode = string(network.Host)
	return newTask(e, msg)
}

// Tasks in host mode are told of the node's own name server, which has the same
// address in the agent's next life, and beside another node's.
func TestHostDNS(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root listens on port 53")
	}
	dir := t.TempDir()
	e, other := withDNS(t, dir), withDNS(t, t.TempDir())
	address := e.dns.open()
	if address == "" || address != e.dns.open() || address == other.dns.open() {
		t.Fatalf("address %q, the other's %q", address, other.dns.open())
	}
	c := types.ContainerDefinition{Name: aws.String("a")}
	task := hostTask(e, c)
	if text := string(task.resolvConf(&c)); !strings.HasPrefix(text, "nameserver "+address+"\n") || strings.Count(text, "nameserver") != 1 {
		t.Errorf("resolv.conf:\n%s", text)
	}
	given := types.ContainerDefinition{Name: aws.String("a"), DnsServers: []string{"9.9.9.9"}, DnsSearchDomains: []string{"x.test"}}
	if text := string(task.resolvConf(&given)); !strings.HasPrefix(text, "nameserver 9.9.9.9\nsearch x.test\n") || strings.Contains(text, address) || strings.Count(text, "search") != 1 {
		t.Errorf("resolv.conf with servers of its own:\n%s", text)
	}

	// The next life, where others have taken the address meanwhile or not.
	e.dns.close()
	if again := withDNS(t, dir); again.dns.open() != address {
		t.Errorf("then at %s, before at %s", again.dns.open(), address)
	} else {
		again.dns.close()
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(address, "53"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	later := withDNS(t, dir)
	moved := hostTask(later, c)
	file := later.etcPath(moved.st.Containers[0].ID, "resolv.conf")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("nameserver "+address+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	moved.rewriteDNS()
	text, err := os.ReadFile(file)
	if err != nil || later.dns.open() == address || !strings.HasPrefix(string(text), "nameserver "+later.dns.open()+"\n") {
		t.Errorf("rewritten as %s, %v", text, err)
	}
}

// Where nothing can be served, tasks in host mode have the host's resolvers.
func TestNoHostDNS(t *testing.T) {
	e := idleEngine(t, Config{DataDir: t.TempDir()})
	c := types.ContainerDefinition{Name: aws.String("a")}
	want, _ := os.ReadFile("/etc/resolv.conf")
	if got := hostTask(e, c).resolvConf(&c); string(got) != string(want) {
		t.Errorf("resolv.conf %q, want the host's %q", got, want)
	}
}

// A port that is not to be had ends the start of a container in host mode, and
// of no other.
func TestHostPorts(t *testing.T) {
	taken := errors.New("taken")
	e := idleEngine(t, Config{DataDir: t.TempDir(), HostPort: func(port uint16) error {
		if port == 80 || port == 91 {
			return taken
		}
		return nil
	}})
	for _, c := range []struct {
		name, mode string
		port       types.PortMapping
		want       error
	}{
		{"taken", "host", types.PortMapping{ContainerPort: aws.Int32(80)}, taken},
		{"free", "host", types.PortMapping{ContainerPort: aws.Int32(81)}, nil},
		{"a range", "host", types.PortMapping{ContainerPortRange: aws.String("90-92")}, taken},
		{"udp", "host", types.PortMapping{ContainerPort: aws.Int32(80), Protocol: "udp"}, nil},
		{"of its own", "awsvpc", types.PortMapping{ContainerPort: aws.Int32(80)}, nil},
	} {
		def := types.ContainerDefinition{Name: aws.String("a"), PortMappings: []types.PortMapping{c.port}}
		task := newTask(e, acs.Task{ARN: "arn:x/1", NetworkMode: c.mode, Dhow: &acs.Dhow{Definition: &types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{def}}}})
		if err := task.hostPorts(&def); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
