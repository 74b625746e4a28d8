package agent

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	for _, l := range c.Links {
		b.WriteString(t.linkHosts(l))
	}
	for _, h := range c.ExtraHosts {
		b.WriteString(deref(h.IpAddress) + "\t" + deref(h.Hostname) + "\n")
	}
	return b.Bytes()
}

// linkHosts is the line by which a container finds another one that it is
// linked to, as Docker writes it: by the alias, the host name that its
// definition gives it, and the name. It is empty where the other has no
// network.
func (t *task) linkHosts(l string) string {
	name, alias := link(l)
	c := t.defOf(name)
	id := containerID(t.id, name)
	a := t.address(id)
	if c == nil || a == "" {
		return ""
	}
	names := []string{alias}
	for _, n := range []string{deref(c.Hostname), name} {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return a + "\t" + strings.Join(names, " ") + "\n"
}

// resolvConf names dhow's own name server, which the agent puts into each
// namespace and, for host mode, on the host, unless the definition names
// others.
func (t *task) resolvConf(c *types.ContainerDefinition) []byte {
	host, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.log.Debug("the host has no resolv.conf", "err", err)
	}
	servers := c.DnsServers
	if len(servers) == 0 {
		servers = t.ownDNS()
	}
	if len(servers) == 0 && len(c.DnsSearchDomains) == 0 {
		return host
	}
	var b bytes.Buffer
	for _, s := range servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(c.DnsSearchDomains) > 0 {
		b.WriteString("search " + strings.Join(c.DnsSearchDomains, " ") + "\n")
	}
	// The rest is the host's: its servers where there are none yet, and in host
	// mode how it searches.
	for line := range strings.Lines(string(host)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "nameserver" && len(servers) == 0,
			word == "search" && t.mode() == network.Host && len(c.DnsSearchDomains) == 0,
			word == "options" && t.mode() == network.Host:
			b.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	return b.Bytes()
}

// ownDNS is the address of dhow's name server as the task sees it.
func (t *task) ownDNS() []string {
	address, _, _ := strings.Cut(dnsAddress, ":")
	if t.mode() == network.Host {
		address = t.eng.dns.open()
	}
	if t.eng.cfg.ServeDNS == nil || address == "" {
		return nil
	}
	return []string{address}
}

// rewriteDNS tells the containers of a task in host mode where names are
// answered now: it may be elsewhere than in the agent's earlier life.
func (t *task) rewriteDNS() {
	for _, k := range t.now().Containers {
		file := t.eng.etcPath(k.ID, "resolv.conf")
		if _, err := os.Stat(file); err != nil {
			continue // it was never made
		}
		// In place: it is what the container has mounted.
		if err := os.WriteFile(file, t.resolvConf(t.defOf(k.Name)), 0o644); err != nil {
			t.log.Warn("cannot rewrite a container's resolv.conf", "container", k.Name, "err", err)
		}
	}
}
