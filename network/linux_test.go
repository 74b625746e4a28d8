package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// needRoot skips a test that makes namespaces where that cannot be; in CI it
// must be possible.
func needRoot(t testing.TB) {
	t.Helper()
	err := joinProblems(checkOnce())
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
}

// openTest opens a Manager that is purged when the test ends, and asserts that
// nothing of it is left then. Its host is a namespace of the test's own, so
// that no rule or route of the machine's is touched.
func openTest(t testing.TB, change ...func(*Config)) *Linux {
	t.Helper()
	needRoot(t)
	cfg := Config{DataDir: t.TempDir()}
	cfg.HostNamespace = testHost(t)
	for _, fn := range change {
		fn(&cfg)
	}
	m, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m, err := Open(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Purge(context.Background()); err != nil {
			t.Error(err)
		}
		for _, left := range leftovers(t, m) {
			t.Error("left behind:", left)
		}
		m.Close()
	})
	t.Cleanup(func() { m.Close() })
	return m
}

// testHost makes a namespace to be the host and returns its path.
func testHost(t testing.TB) string {
	t.Helper()
	path := fmt.Sprintf("/run/dhow-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	err = newSpace(int(home.Fd()), path, func(h *netlink.Handle) error {
		// A new namespace has this from the machine's, where others may forward.
		if err := setSysctl("ipv4/ip_forward", "0", false); err != nil {
			return err
		}
		return h.LinkSetUp(device(loopbackIndex))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dropSpace(path); err != nil {
			t.Error(err)
		}
	})
	forgetForwarding(t, path)
	return path
}

// forgetForwarding removes what a killed test run has left of an earlier
// namespace: the kernel gives its number to new ones.
func forgetForwarding(t testing.TB, path string) {
	t.Helper()
	s, err := openSpace(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	m := &Linux{host: s}
	err = m.withForwardState(func(dir string) error {
		return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leftovers lists what there is of m's data directory.
func leftovers(t testing.TB, m *Linux) []string {
	var left []string
	for _, dir := range []string{m.name.run, m.name.data} {
		if _, err := os.Lstat(dir); err == nil {
			left = append(left, dir)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, m.name.hash) {
			left = append(left, "mount "+line)
		}
	}
	links, err := m.host.nl.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, m.name.device) {
			left = append(left, "device "+l.Attrs().Name)
		}
	}
	m.host.transact(func(c *nftables.Conn) error {
		tables, err := c.ListTables()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			if table.Name == m.name.table {
				left = append(left, "table "+table.Name)
			}
		}
		return nil
	})
	return left
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func ensure(t testing.TB, m Manager, v VPC) {
	t.Helper()
	if err := m.EnsureVPC(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, m Manager, e Endpoint) Attachment {
	t.Helper()
	a, err := m.Add(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve answers every connection to a listener with text.
func serve(t testing.TB, m Manager, id, address, text string) {
	t.Helper()
	l, err := m.Listen(t.Context(), id, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, text)
}

func answer(t testing.TB, l net.Listener, text string) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, text+" "+c.RemoteAddr().String())
			c.Close()
		}
	}()
}

// fetch reads what a server sends, from inside the namespace at path.
func fetch(t testing.TB, m *Linux, path, address string, patience time.Duration) (string, error) {
	t.Helper()
	s, err := openSpace(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var c net.Conn
	err = within(int(m.home.Fd()), s.fd(), func() (err error) {
		c, err = net.DialTimeout("tcp", address, patience)
		return err
	})
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	b, err := io.ReadAll(c)
	return string(b), err
}

// OpenForTest is openTest for the contract suite, which is in another package.
func OpenForTest(t testing.TB) (m *Linux, reopen func() *Linux) {
	m = openTest(t)
	return m, func() *Linux {
		m.Close()
		again, err := Open(context.Background(), m.cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { again.Close() })
		return again
	}
}
