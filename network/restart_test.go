package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// reopen closes m and opens its data directory anew.
func reopen(t testing.TB, m *Linux) *Linux {
	t.Helper()
	m.Close()
	again, err := Open(t.Context(), m.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

func ids(t testing.TB, m Manager) []string {
	t.Helper()
	all, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range all {
		ids = append(ids, a.ID)
	}
	return ids
}

// files lists the namespaces that are held, endpoints' and routers'.
func files(t testing.TB, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range all {
		names = append(names, f.Name())
	}
	return names
}

func quiet(c *Config) { c.Log = slog.New(slog.DiscardHandler) }

// What a crash leaves half-made is cleared away, and what is whole stays.
func TestDebris(t *testing.T) {
	m := openTest(t, quiet)
	ensure(t, m, vpcOne)
	add(t, m, awsvpc("a", "172.31.0.10/20"))
	lost := add(t, m, awsvpc("lost", "172.31.0.11/20"))
	home := int(m.home.Fd())
	if err := dropSpace(lost.Path); err != nil { // a record without its namespace
		t.Fatal(err)
	}
	for _, path := range []string{m.endpointPath("half"), m.routerPath("half")} { // and the other way round
		if err := newSpace(home, path, func(*netlink.Handle) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	stray := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: m.name.device + "zz", TxQLen: -1}, PeerName: "stray"}
	if err := m.host.nl.LinkAdd(stray); err != nil {
		t.Fatal(err)
	}
	v := m.vpc("vpc-1")
	err := v.router.nl.RouteAdd(&netlink.Route{LinkIndex: loopbackIndex, Dst: hostNet(netip.MustParseAddr("172.31.0.99")), Scope: netlink.SCOPE_LINK})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(m.name.records(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"Endpoint":{"ID":"to`)
	f.Close()

	m = reopen(t, m)
	if got := ids(t, m); !slices.Equal(got, []string{"a"}) {
		t.Errorf("endpoints %q, want a alone", got)
	}
	if got := files(t, m.name.netnsDir()); !slices.Equal(got, []string{"a"}) {
		t.Errorf("namespaces %q, want a's alone", got)
	}
	if got := files(t, m.name.routerDir()); !slices.Equal(got, []string{"vpc-1"}) {
		t.Errorf("routers %q, want vpc-1's alone", got)
	}
	if _, err := m.host.nl.LinkByName(m.name.device + "zz"); err == nil {
		t.Error("an uplink without a router is there")
	}
	routes, err := m.vpc("vpc-1").router.nl.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if a, ok := addrOf(r.Dst); ok && (a == netip.MustParseAddr("172.31.0.99") || a == netip.MustParseAddr("172.31.0.11")) {
			t.Errorf("a route to nobody is there: %v", r)
		}
	}
	serve(t, m, "a", ":80", "a")
	expect(t, m, m.cfg.HostNamespace, "172.31.0.10:80", "a")
	add(t, m, awsvpc("lost", "172.31.0.11/20"))
}

// After a reboot the records are there and the namespaces are not.
func TestReboot(t *testing.T) {
	m := openTest(t, quiet)
	ensure(t, m, vpcOne)
	add(t, m, awsvpc("a", "172.31.0.10/20"))
	add(t, m, Endpoint{ID: "b", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}})
	if err := errors.Join(m.dropSpaces(nil), m.dropUplinks(nil)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{m.name.netnsDir(), m.name.routerDir()} {
		for _, name := range []string{"a", "b", "vpc-1", "_bridge"} { // /run may be on a disk
			os.WriteFile(filepath.Join(dir, name), nil, 0o444)
		}
	}
	m = reopen(t, m)
	if got := ids(t, m); len(got) != 0 {
		t.Errorf("endpoints %q after a reboot", got)
	}
	ensure(t, m, vpcOne)
	add(t, m, awsvpc("a", "172.31.0.10/20"))
	serve(t, m, "a", ":80", "a")
	expect(t, m, m.cfg.HostNamespace, "172.31.0.10:80", "a")
	add(t, m, Endpoint{ID: "b", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}})
	serve(t, m, "b", ":80", "b")
	expect(t, m, m.cfg.HostNamespace, "127.0.0.1:8080", "b")
}

// Purge finds what there is even if the data directory is gone; that nothing
// is left is asserted when the test ends.
func TestPurgeWithoutRecords(t *testing.T) {
	m := openTest(t, quiet)
	ensure(t, m, vpcOne)
	e := awsvpc("a", "172.31.0.10/20")
	e.Egress = true
	add(t, m, e)
	add(t, m, Endpoint{ID: "b", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}})
	m.Close()
	if err := os.RemoveAll(m.cfg.DataDir); err != nil {
		t.Fatal(err)
	}
}

// A connection to a published port outlives the Manager, and the next one's
// rules.
func TestConnectionsOutlive(t *testing.T) {
	m := openTest(t)
	add(t, m, Endpoint{ID: "b", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}})
	l, err := m.Listen(t.Context(), "b", "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	var c net.Conn
	dial := func() (err error) {
		c, err = net.DialTimeout("tcp", "127.0.0.1:8080", time.Second)
		return err
	}
	if err := within(int(m.home.Fd()), m.host.fd(), dial); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo := func(when string) {
		t.Helper()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		buf := make([]byte, 5)
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
			t.Fatalf("%s: %q, %v", when, buf, err)
		}
	}
	echo("at first")
	m.Close()
	echo("with no Manager")
	m = reopen(t, m)
	echo("with the next one")
	old := c
	defer old.Close()
	if err := within(int(m.home.Fd()), m.host.fd(), dial); err != nil {
		t.Error("a new connection:", err)
	}
}

// Somebody reloads the host's firewall, and our rules with it.
func TestFlushedRules(t *testing.T) {
	m := openTest(t, quiet)
	add(t, m, Endpoint{ID: "a", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}})
	flush := func() {
		t.Helper()
		if err := m.host.transact(func(c *nftables.Conn) error { c.FlushRuleset(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	add(t, m, Endpoint{ID: "b", Mode: Bridge, Ports: []Port{{"tcp", 80, 8081}}})
	flush()
	ensure(t, m, vpcOne)
	for id, address := range map[string]string{"a": "127.0.0.1:8080", "b": "127.0.0.1:8081"} {
		serve(t, m, id, ":80", id)
		expect(t, m, m.cfg.HostNamespace, address, id)
	}
	flush()
	for _, id := range []string{"a", "b"} {
		if err := m.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

// Two data directories on one host keep out of each other's way.
func TestTwoDirectories(t *testing.T) {
	one := openTest(t)
	two := openTest(t, func(c *Config) { c.HostNamespace = one.cfg.HostNamespace })
	internet := withInternet(t, one)
	_ = internet
	ensure(t, one, vpcOne)
	if err := two.EnsureVPC(t.Context(), vpcOne); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "another dhow on this machine made (device "+one.name.device) {
		t.Errorf("a range that the host routes: %v, want ErrConflict", err)
	}
	if got := two.Taken(vpcOne.CIDR); !strings.Contains(got, "another dhow on this machine") || !strings.Contains(got, "a new --data-dir") {
		t.Errorf("what is told at the start: %q", got)
	}
	if got := one.Taken(vpcOne.CIDR); got != "" {
		t.Errorf("one has it itself: %q", got)
	}
	if got := two.Taken(vpcOne.CIDR); !strings.Contains(got, " of "+one.cfg.DataDir+")") {
		t.Errorf("whose it is: %q", got)
	}
	if got := owner("dh0", one.cfg.DataDir+"-gone"); !strings.HasSuffix(got, "which is gone: ip link delete dh0") {
		t.Errorf("of a directory that is gone: %q", got)
	}
	taken, err := routesOf(two.host.nl)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ChooseCIDR(taken)
	if err != nil || other.Overlaps(vpcOne.CIDR) {
		t.Errorf("chose %s, %v beside %s", other, err, vpcOne.CIDR)
	}
	ensure(t, two, VPC{ID: "vpc-1", CIDR: other, Default: true})
	same := VPC{ID: "vpc-2", CIDR: prefix("10.0.0.0/16")}
	ensure(t, one, same)
	ensure(t, two, same)
	e := Endpoint{ID: "a", Mode: AWSVPC, VPC: "vpc-2", Address: prefix("10.0.0.10/24"), Egress: true}
	a, b := add(t, one, e), add(t, two, e)
	p := Endpoint{ID: "p", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}}
	add(t, one, p)
	if _, err := two.Add(t.Context(), p); !errors.Is(err, ErrPortTaken) {
		t.Errorf("a port of the other's: %v, want ErrPortTaken", err)
	}
	expect(t, one, a.Path, "203.0.113.1:80", "the internet sees 192.0.2.2:")
	expect(t, two, b.Path, "203.0.113.1:80", "the internet sees 192.0.2.2:")
	if err := one.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, two, b.Path, "203.0.113.1:80", "the internet sees 192.0.2.2:")
	if err := two.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if on, err := two.forwarding(); err != nil || on {
		t.Errorf("the host still forwards: %t, %v", on, err)
	}
}

func TestDialIsCancelled(t *testing.T) {
	m := openTest(t)
	ensure(t, m, VPC{ID: "vpc-1", CIDR: prefix("10.0.0.0/16")})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := m.Dial(ctx, "vpc-1", "tcp", "203.0.113.1:80") // the host drops it
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
		t.Errorf("%v after %s, want context.DeadlineExceeded", err, time.Since(start))
	}
	_, err = m.Dial(t.Context(), "vpc-1", "tcp", "10.0.0.99:80")
	if !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("an address that nobody has: %v, want EHOSTUNREACH at once", err)
	}
}

// churn is another process's life: it makes and removes endpoints and says so
// after each, until it is killed.
func churn(dir, host string) {
	m, err := Open(context.Background(), Config{DataDir: dir, HostNamespace: host, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = m.EnsureVPC(context.Background(), vpcOne)
	}
	for i := 0; err == nil; i++ {
		e := awsvpc(fmt.Sprint("t", i), fmt.Sprintf("172.31.%d.%d/16", 1+i/250, 1+i%250))
		if i%3 == 0 {
			e = Endpoint{ID: e.ID, Mode: Bridge, Ports: []Port{{Protocol: "tcp", ContainerPort: 80}}}
		}
		if _, err = m.Add(context.Background(), e); err == nil {
			fmt.Println("+", e.ID)
		}
		if old := fmt.Sprint("t", i-5); err == nil && i >= 5 {
			fmt.Println("?", old)
			if err = m.Remove(context.Background(), old); err == nil {
				fmt.Println("-", old)
			}
		}
	}
	fmt.Println("error", err)
}

// kill -9 at any moment: what was made is there, what was removed is not, and
// nothing else is.
func TestKilled(t *testing.T) {
	m := openTest(t, quiet)
	m.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "NETWORK_TEST_CHURN="+m.cfg.DataDir, "NETWORK_TEST_HOST="+m.cfg.HostNamespace)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		there, unsure := map[string]bool{}, map[string]bool{}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			what, id, _ := strings.Cut(lines.Text(), " ")
			switch what {
			case "+":
				there[id] = true
			case "?":
				unsure[id] = true
			case "-":
				delete(there, id)
				delete(unsure, id)
			default:
				t.Fatal(lines.Text())
			}
			if n == 20+7*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()

		m, err := Open(t.Context(), m.cfg)
		if err != nil {
			t.Fatal(err)
		}
		got := ids(t, m)
		for id := range there {
			if !slices.Contains(got, id) && !unsure[id] {
				t.Errorf("round %d: %s is lost, there are %q", round, id, got)
			}
		}
		var extra []string // at most the one that was being made
		for _, id := range got {
			if !there[id] && !unsure[id] {
				extra = append(extra, id)
			}
		}
		if len(extra) > 1 {
			t.Errorf("round %d: %q were removed and are there", round, extra)
		}
		held := files(t, m.name.netnsDir())
		slices.Sort(got)
		if !slices.Equal(held, got) {
			t.Errorf("round %d: namespaces %q of endpoints %q", round, held, got)
		}
		for _, id := range got {
			l, err := m.Listen(t.Context(), id, "tcp", "169.254.170.2:80")
			if err != nil {
				t.Errorf("round %d: %v", round, err)
				continue
			}
			l.Close()
			if err := m.Remove(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		m.Close()
	}
}
