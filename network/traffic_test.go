package network

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

var vpcOne = VPC{ID: "vpc-1", CIDR: netip.MustParsePrefix("172.31.0.0/16"), Default: true}

func awsvpc(id, address string) Endpoint {
	return Endpoint{ID: id, Mode: AWSVPC, VPC: "vpc-1", Address: prefix(address)}
}

// withInternet gives the test's host a default route to a namespace where
// 203.0.113.1 answers on port 80, and returns that namespace's path.
func withInternet(t testing.TB, m *Linux) string {
	t.Helper()
	path := testHost(t)
	s, err := openSpace(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wire := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0", TxQLen: -1}, PeerName: "far", PeerNamespace: netlink.NsFd(s.fd())}
	check(m.host.nl.LinkAdd(wire))
	far, err := s.nl.LinkByName("far")
	check(err)
	for _, end := range []struct {
		h     *netlink.Handle
		index int
		addrs []string
	}{{m.host.nl, wire.Index, []string{"192.0.2.2/24"}}, {s.nl, far.Attrs().Index, []string{"192.0.2.1/24", "203.0.113.1/32"}}} {
		for _, a := range end.addrs {
			check(end.h.AddrAdd(device(end.index), &netlink.Addr{IPNet: ipNet(prefix(a))}))
		}
		check(end.h.LinkSetUp(device(end.index)))
	}
	check(waitUp(m.host.nl, wire.Index))
	check(m.host.nl.RouteAdd(&netlink.Route{LinkIndex: wire.Index, Gw: net.IPv4(192, 0, 2, 1)}))
	serveAt(t, m, path, "203.0.113.1:80", "the internet sees")
	return path
}

// serveAt is serve for a namespace that is no endpoint.
func serveAt(t testing.TB, m *Linux, path, address, text string) {
	t.Helper()
	s, err := openSpace(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var l net.Listener
	err = within(int(m.home.Fd()), s.fd(), func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, text)
}

// expect asks from a namespace and compares the beginning of the answer; "" is
// for no answer within a short time.
func expect(t *testing.T, m *Linux, path, address, want string) {
	t.Helper()
	patience := 10 * time.Second
	if want == "" {
		patience = 300 * time.Millisecond
	}
	got, err := fetch(t, m, path, address, patience)
	if want == "" && err == nil {
		t.Errorf("%s answered %q, it should not be reached", address, got)
	}
	if want != "" && (err != nil || !strings.HasPrefix(got, want)) {
		t.Errorf("%s answered %q, %v; want %q", address, got, err, want)
	}
}

func TestAWSVPC(t *testing.T) {
	m := openTest(t)
	ensure(t, m, vpcOne)
	mac := net.HardwareAddr{0x0a, 1, 2, 3, 4, 5}
	e := awsvpc("a", "172.31.0.10/20")
	e.MAC = mac
	a := add(t, m, e)
	b := add(t, m, awsvpc("b", "172.31.16.10/20"))
	serve(t, m, "a", ":80", "this is a,")
	expect(t, m, b.Path, "172.31.0.10:80", "this is a, 172.31.16.10:")
	expect(t, m, m.cfg.HostNamespace, "172.31.0.10:80", "this is a, 172.31.0.3:")
	// A task's own addresses, and the neighbour in its namespace only.
	for _, own := range []string{"172.31.0.10", "127.0.0.1", "169.254.170.2"} {
		expect(t, m, a.Path, own+":80", "this is a,")
	}
	for _, other := range []string{"169.254.170.2", "172.31.0.11"} {
		expect(t, m, b.Path, other+":80", "")
	}

	s, err := openSpace(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	eth0, err := s.nl.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if got := eth0.Attrs().HardwareAddr.String(); got != mac.String() {
		t.Errorf("eth0 has MAC %s, want %s", got, mac)
	}
	addrs, err := s.nl.AddrList(eth0, netlink.FAMILY_ALL)
	if err != nil || len(addrs) != 1 || addrs[0].IPNet.String() != "172.31.0.10/20" {
		t.Errorf("eth0 has %v, %v; want 172.31.0.10/20 alone", addrs, err)
	}
}

// A task that sends from an address of another is not let through, and routers
// keep VPCs apart even where the host knows both.
func TestIsolation(t *testing.T) {
	m := openTest(t)
	ensure(t, m, vpcOne)
	ensure(t, m, VPC{ID: "vpc-2", CIDR: prefix("10.0.0.0/16"), Default: true})
	ensure(t, m, VPC{ID: "vpc-3", CIDR: prefix("10.0.0.0/16")})
	withInternet(t, m)
	a := awsvpc("a", "172.31.0.10/20")
	a.Egress = true
	liar := add(t, m, a)
	add(t, m, awsvpc("victim", "172.31.0.11/20"))
	two := Endpoint{ID: "two", Mode: AWSVPC, VPC: "vpc-2", Address: prefix("10.0.0.10/24"), Egress: true}
	add(t, m, two)
	serve(t, m, "two", ":80", "two")
	serve(t, m, "victim", ":80", "victim")
	expect(t, m, m.cfg.HostNamespace, "10.0.0.10:80", "two") // the host may
	expect(t, m, liar.Path, "10.0.0.10:80", "")
	expect(t, m, liar.Path, "172.31.0.11:80", "victim")

	s, err := openSpace(liar.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	eth0, err := s.nl.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.nl.AddrReplace(eth0, &netlink.Addr{IPNet: hostNet(netip.MustParseAddr("172.31.0.12"))}); err != nil {
		t.Fatal(err)
	}
	err = within(int(m.home.Fd()), s.fd(), func() error {
		d := net.Dialer{Timeout: 300 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: net.IPv4(172, 31, 0, 12)}}
		c, err := d.Dial("tcp", "172.31.0.11:80")
		if err == nil {
			c.Close()
		}
		return err
	})
	if err == nil {
		t.Error("a task sent from an address that is not its own")
	}
}

func TestEgress(t *testing.T) {
	m := openTest(t)
	internet := withInternet(t, m)
	ensure(t, m, vpcOne)
	ensure(t, m, VPC{ID: "vpc-3", CIDR: prefix("172.31.0.0/16")})
	stay := add(t, m, awsvpc("stay", "172.31.0.11/20"))
	if on, err := m.forwarding(); err != nil || on {
		t.Errorf("the host forwards without need: %t, %v", on, err)
	}
	e := awsvpc("out", "172.31.0.10/20")
	e.Egress = true
	out := add(t, m, e)
	e.ID, e.VPC = "out3", "vpc-3"
	out3 := add(t, m, e)
	bridged := add(t, m, Endpoint{ID: "b", Mode: Bridge, Egress: true})
	serve(t, m, "out", ":80", "out")
	for name, a := range map[string]Attachment{"default": out, "other VPC": out3, "bridge": bridged} {
		t.Run(name, func(t *testing.T) {
			expect(t, m, a.Path, "203.0.113.1:80", "the internet sees 192.0.2.2:")
		})
	}
	expect(t, m, stay.Path, "203.0.113.1:80", "")
	expect(t, m, stay.Path, "172.31.0.10:80", "out") // inside its VPC it may
	// A host that forwards lets nobody in.
	s, err := openSpace(internet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.nl.RouteAdd(&netlink.Route{Dst: ipNet(vpcOne.CIDR), Gw: net.IPv4(192, 0, 2, 2)}); err != nil {
		t.Fatal(err)
	}
	expect(t, m, internet, "172.31.0.10:80", "")
	if err := m.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if on, err := m.forwarding(); err != nil || on {
		t.Errorf("after Purge the host still forwards: %t, %v", on, err)
	}
	if _, err := os.Stat(forwardDir); err == nil {
		files, _ := os.ReadDir(forwardDir)
		t.Logf("%s has %v (of others, if any)", forwardDir, files)
	}
}

// Docker drops what it does not know, in a chain of its own.
func TestEgressPastDocker(t *testing.T) {
	iptables, err := exec.LookPath("iptables")
	if err != nil {
		t.Skip("iptables, which stands in for Docker, is not installed")
	}
	m := openTest(t)
	withInternet(t, m)
	run := func(args ...string) string {
		t.Helper()
		var out []byte
		err := within(int(m.home.Fd()), m.host.fd(), func() (err error) {
			out, err = exec.Command(iptables, args...).CombinedOutput()
			return err
		})
		if err != nil {
			t.Fatalf("iptables %v: %v %s", args, err, out)
		}
		return string(out)
	}
	run("-P", "FORWARD", "DROP")
	run("-N", "DOCKER-USER")
	run("-A", "FORWARD", "-j", "DOCKER-USER")
	before := run("-S")
	ensure(t, m, vpcOne)
	e := awsvpc("out", "172.31.0.10/20")
	e.Egress = true
	out := add(t, m, e)
	expect(t, m, out.Path, "203.0.113.1:80", "the internet sees 192.0.2.2:")
	if got := run("-S"); !strings.Contains(got, "-A FORWARD -i "+m.name.device+"+") {
		t.Errorf("iptables does not show our rule:\n%s", got)
	}
	again, err := Open(t.Context(), m.cfg) // after a restart, not a second time
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := strings.Count(run("-S"), m.name.device); got != 2 {
		t.Errorf("%d rules of ours after a restart, want 2", got)
	}
	if err := m.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := run("-S"); after != before {
		t.Errorf("iptables after Purge:\n%s\nbefore:\n%s", after, before)
	}
}

func TestPublish(t *testing.T) {
	m := openTest(t)
	internet := withInternet(t, m)
	a := add(t, m, Endpoint{ID: "a", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}, {"tcp", 81, 0}}})
	b := add(t, m, Endpoint{ID: "b", Mode: Bridge})
	serve(t, m, "a", ":80", "a's 80")
	serve(t, m, "a", ":81", "a's 81")
	host := m.cfg.HostNamespace
	expect(t, m, host, "127.0.0.1:8080", "a's 80")
	expect(t, m, host, fmt.Sprint("127.0.0.1:", a.Ports[1].HostPort), "a's 81")
	expect(t, m, host, "127.0.0.2:8080", "") // load balancers have these
	expect(t, m, host, "192.0.2.2:8080", "") // loopback only
	expect(t, m, internet, "192.0.2.2:8080", "")
	expect(t, m, b.Path, net.JoinHostPort(a.Address.Addr().String(), "80"), "a's 80")

	// Removed and added again: the port leads to the new one.
	if err := m.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	expect(t, m, host, "127.0.0.1:8080", "")
	add(t, m, Endpoint{ID: "a2", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}})
	serve(t, m, "a2", ":80", "a2's 80")
	expect(t, m, host, "127.0.0.1:8080", "a2's 80")
}

func TestPublishOutside(t *testing.T) {
	m := openTest(t, func(c *Config) { c.PublishAddresses = []netip.Addr{netip.IPv4Unspecified()} })
	internet := withInternet(t, m)
	serveAt(t, m, m.cfg.HostNamespace, "127.0.0.2:8080", "load balancer")
	a := add(t, m, Endpoint{ID: "a", Mode: Bridge, Egress: true, Ports: []Port{{"tcp", 80, 8080}}})
	b := add(t, m, Endpoint{ID: "b", Mode: Bridge, Egress: true})
	serve(t, m, "a", ":80", "a sees")
	host := m.cfg.HostNamespace
	expect(t, m, host, "127.0.0.1:8080", "a sees")
	expect(t, m, host, "192.0.2.2:8080", "a sees")
	expect(t, m, host, "127.0.0.2:8080", "load balancer")
	expect(t, m, internet, "192.0.2.2:8080", "a sees 192.0.2.1:") // the client's own address
	expect(t, m, b.Path, "192.0.2.2:8080", "a sees")
	expect(t, m, a.Path, "192.0.2.2:8080", "a sees") // itself, by the host
}

func TestPublishUDP(t *testing.T) {
	m := openTest(t)
	port := []Port{{"udp", 53, 5300}}
	host := m.cfg.HostNamespace
	var client net.Conn
	s, err := openSpace(host)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	err = within(int(m.home.Fd()), s.fd(), func() (err error) {
		client, err = net.Dial("udp", "127.0.0.1:5300")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	echo := func(id string) {
		p, err := m.ListenPacket(t.Context(), id, "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		go func() {
			buf := make([]byte, 100)
			for {
				n, from, err := p.ReadFrom(buf)
				if err != nil {
					return
				}
				p.WriteTo(append([]byte(id+" got "), buf[:n]...), from)
			}
		}()
	}
	// One client, whose flow conntrack keeps, goes on to the second container.
	client.Write([]byte("nobody"))
	for _, id := range []string{"a", "b"} {
		add(t, m, Endpoint{ID: id, Mode: Bridge, Ports: port})
		echo(id)
		buf := make([]byte, 100)
		n, err := 0, error(nil)
		for range 3 { // a write may only report the refusal of an earlier one
			client.SetDeadline(time.Now().Add(time.Second))
			client.Write([]byte("hello"))
			if n, err = client.Read(buf); err == nil {
				break
			}
		}
		if got := string(buf[:n]); got != id+" got hello" {
			t.Errorf("answer %q, %v; want %q", got, err, id+" got hello")
		}
		if err := m.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

// A port of a process on the host is not taken from it, in either order.
func TestPortOfHost(t *testing.T) {
	m := openTest(t)
	l, err := m.Listen(t.Context(), "", "tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	e := Endpoint{ID: "a", Mode: Bridge, Ports: []Port{{"tcp", 80, 8080}}}
	_, err = m.Add(t.Context(), e)
	if err == nil || !strings.Contains(err.Error(), "port 8080 is already allocated") {
		t.Errorf("a port that a process has: %v", err)
	}
	l.Close()
	add(t, m, e)
	if l, err := m.Listen(t.Context(), "", "tcp", "127.0.0.1:8080"); err == nil {
		l.Close()
		t.Error("a process took a published port")
	}
	if _, err := m.Listen(t.Context(), "", "tcp", "0.0.0.0:8080"); err == nil {
		t.Error("a process took a published port at all addresses")
	}
}

// A container cannot reach what listens on the host's loopback, though
// route_localnet is on.
func TestHostLoopbackClosed(t *testing.T) {
	m := openTest(t)
	serveAt(t, m, m.cfg.HostNamespace, "127.0.0.1:9000", "secret")
	a := add(t, m, Endpoint{ID: "a", Mode: Bridge, Egress: true})
	s, err := openSpace(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	eth0, err := s.nl.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	// What an attacker with CAP_NET_ADMIN in the container would do.
	lo, _ := s.nl.LinkByName("lo")
	if err := s.nl.AddrDel(lo, &netlink.Addr{IPNet: ipNet(prefix("127.0.0.1/8"))}); err != nil {
		t.Fatal(err)
	}
	err = s.nl.RouteReplace(&netlink.Route{
		LinkIndex: eth0.Attrs().Index, Dst: hostNet(netip.MustParseAddr("127.0.0.1")),
		Gw: gateway(a.Address).AsSlice(), Flags: int(netlink.FLAG_ONLINK), Src: a.Address.Addr().AsSlice(),
	})
	if err != nil {
		t.Fatal(err)
	}
	within(int(m.home.Fd()), s.fd(), func() error { return setSysctl("ipv4/conf/all/route_localnet", "1", false) })
	expect(t, m, a.Path, "127.0.0.1:9000", "")
}

// The first packets to and from a new endpoint are not lost: a lost SYN is
// sent again after a second.
func TestFirstPackets(t *testing.T) {
	m := openTest(t)
	ensure(t, m, vpcOne)
	serveAt(t, m, m.cfg.HostNamespace, "172.31.0.3:80", "host")
	late := 0
	const n = 20
	for i := range n {
		e := awsvpc(fmt.Sprint("t", i), fmt.Sprintf("172.31.1.%d/24", 10+i))
		e.Egress = true
		a := add(t, m, e)
		start := time.Now()
		expect(t, m, a.Path, "172.31.0.3:80", "host")
		if time.Since(start) > 900*time.Millisecond {
			late++
		}
	}
	if late > n/10 { // one may be the machine's doing
		t.Errorf("%d of %d first connections took a second", late, n)
	}
}

func TestPublishAddressRefused(t *testing.T) {
	_, err := Open(t.Context(), Config{DataDir: t.TempDir(), PublishAddresses: []netip.Addr{netip.IPv6Loopback()}})
	if err == nil || !strings.Contains(err.Error(), "IPv4") {
		t.Errorf("publish at ::1: %v", err)
	}
}
