package agent

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/network"
)

// etc writes the hosts, resolv.conf and hostname files of a container and
// returns the mounts that put them in place. Containers that share a namespace
// have the same ones unless their definition adds to them.
func (t *task) etc(c *types.ContainerDefinition, id string) (mounts []driver.Mount, hostname string, err error) {
	hostname = t.hostname(c, id)
	texts := [][]byte{t.hosts(c, hostname, id), []byte(hostname + "\n"), t.resolvConf(c)}
	for i, name := range etcFiles {
		p := t.eng.etcPath(id, name)
		if err := os.WriteFile(p, texts[i], 0o644); err != nil {
			return nil, "", err
		}
		mounts = append(mounts, driver.Mount{Type: "bind", Source: p, Target: "/etc/" + name})
	}
	return mounts, hostname, nil
}

// etcFiles are the files that etc writes. They lie in one directory for all
// containers: one for each would take as long to make as a file more.
var etcFiles = []string{"hosts", "hostname", "resolv.conf"}

func (e *engine) etcPath(container, name string) string {
	return filepath.Join(e.cfg.DataDir, "etc", container+"."+name)
}

// removeFiles removes the files and volumes that end with the task.
func (t *task) removeFiles() error {
	var errs []error
	for _, k := range t.now().Containers {
		for _, name := range etcFiles {
			if err := os.Remove(t.eng.etcPath(k.ID, name)); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(append(errs, os.RemoveAll(t.dir))...)
}

func (t *task) hostname(c *types.ContainerDefinition, id string) string {
	switch mode := t.mode(); {
	case mode == network.Host:
		return t.eng.cfg.Hostname
	case mode == network.AWSVPC && t.msg.Dhow.Interface != nil && t.msg.Dhow.Interface.PrivateDNS != "":
		return t.msg.Dhow.Interface.PrivateDNS
	case deref(c.Hostname) != "":
		return *c.Hostname
	}
	return id[:min(12, len(id))]
}

func (t *task) hosts(c *types.ContainerDefinition, hostname, id string) []byte {
	var b bytes.Buffer
	if t.mode() == network.Host {
		if host, err := os.ReadFile("/etc/hosts"); err == nil {
			b.Write(host)
			b.WriteByte('\n')
		}
	} else {
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
		if a := t.address(id); a != "" {
			b.WriteString(a + "\t" + hostname)
			if short, _, cut := strings.Cut(hostname, "."); cut {
				b.WriteString(" " + short)
			}
			b.WriteByte('\n')
		}
	}
	for _, h := range c.ExtraHosts {
		b.WriteString(deref(h.IpAddress) + "\t" + deref(h.Hostname) + "\n")
	}
	return b.Bytes()
}

// resolvConf names dhow's own name server, which the agent puts into each
// namespace, unless the definition names others.
func (t *task) resolvConf(c *types.ContainerDefinition) []byte {
	var b bytes.Buffer
	servers := c.DnsServers
	if len(servers) == 0 && t.mode() != network.Host && t.eng.cfg.ServeDNS != nil {
		host, _, _ := strings.Cut(dnsAddress, ":")
		servers = []string{host}
	}
	if len(servers) == 0 {
		text, err := os.ReadFile("/etc/resolv.conf")
		if err == nil && len(c.DnsSearchDomains) == 0 {
			return text
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "nameserver") {
				b.WriteString(strings.TrimSpace(line) + "\n")
			}
		}
	}
	for _, s := range servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(c.DnsSearchDomains) > 0 {
		b.WriteString("search " + strings.Join(c.DnsSearchDomains, " ") + "\n")
	}
	return b.Bytes()
}
