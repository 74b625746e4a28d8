// Package networktest is the contract of network.Manager as a test suite,
// which every implementation passes.
package networktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/network"
)

// Opener returns an empty Manager that is cleared away when the test ends, and
// a function that closes it and opens what it left anew: nil for a Manager
// that forgets.
type Opener func(t *testing.T) (m network.Manager, reopen func() network.Manager)

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, m network.Manager)
	}{
		{"AddTwice", addTwice},
		{"AddRefuses", addRefuses},
		{"Remove", remove},
		{"List", list},
		{"VPC", vpcs},
		{"ListenAndDial", listenAndDial},
		{"ListenElsewhere", listenElsewhere},
		{"LinkAddresses", linkAddresses},
		{"Bridge", bridge},
		{"FixedPort", fixedPort},
		{"DynamicPorts", dynamicPorts},
		{"None", none},
		{"Concurrent", concurrent},
		{"Purge", purge},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, _ := open(t)
			test.run(t, m)
		})
	}
	t.Run("Reopen", func(t *testing.T) {
		m, again := open(t)
		if again == nil {
			t.Skip("this Manager forgets when it is closed")
		}
		reopen(t, m, again)
	})
}

var vpcA = network.VPC{ID: "vpc-a", CIDR: netip.MustParsePrefix("10.11.0.0/16"), Default: true}

func task(id, address string) network.Endpoint {
	return network.Endpoint{ID: id, Mode: network.AWSVPC, VPC: vpcA.ID, Address: netip.MustParsePrefix(address)}
}

func ensure(t *testing.T, m network.Manager, v network.VPC) {
	t.Helper()
	if err := m.EnsureVPC(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, m network.Manager, e network.Endpoint) network.Attachment {
	t.Helper()
	a, err := m.Add(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if a.Path == "" && e.Mode != network.Host {
		t.Errorf("endpoint %s has no path", e.ID)
	}
	return a
}

func addTwice(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	e := task("task/1", "10.11.1.4/24")
	e.MAC = net.HardwareAddr{0x0a, 1, 2, 3, 4, 5}
	e.Hostname = "ip-10-11-1-4"
	first := add(t, m, e)
	if first.Address != e.Address || first.MAC.String() != e.MAC.String() || first.Hostname != e.Hostname {
		t.Errorf("got %+v, want what was asked for: %+v", first, e)
	}
	second := add(t, m, e)
	if second.Path != first.Path || second.Address != first.Address {
		t.Errorf("adding again made another: %+v, first %+v", second, first)
	}
	other := e
	other.Address = netip.MustParsePrefix("10.11.1.5/24")
	if _, err := m.Add(t.Context(), other); !errors.Is(err, network.ErrConflict) {
		t.Errorf("same id, other address: %v, want ErrConflict", err)
	}
	if _, err := m.Add(t.Context(), task("task/2", "10.11.1.4/24")); !errors.Is(err, network.ErrConflict) {
		t.Errorf("other id, same address: %v, want ErrConflict", err)
	}
}

func addRefuses(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	bad := func(change func(*network.Endpoint)) network.Endpoint {
		e := task("bad", "10.11.1.4/24")
		change(&e)
		return e
	}
	for name, test := range map[string]struct {
		endpoint network.Endpoint
		says     string
	}{
		"no id":         {bad(func(e *network.Endpoint) { e.ID = "" }), "id"},
		"path id":       {bad(func(e *network.Endpoint) { e.ID = "../x" }), "id"},
		"unknown VPC":   {bad(func(e *network.Endpoint) { e.VPC = "vpc-none" }), "vpc-none"},
		"no VPC":        {bad(func(e *network.Endpoint) { e.VPC = "" }), "no VPC"},
		"other range":   {bad(func(e *network.Endpoint) { e.Address = netip.MustParsePrefix("10.12.1.4/24") }), "not in VPC"},
		"no address":    {bad(func(e *network.Endpoint) { e.Address = netip.Prefix{} }), "address"},
		"router's":      {bad(func(e *network.Endpoint) { e.Address = netip.MustParsePrefix("10.11.1.1/24") }), "reserved"},
		"group MAC":     {bad(func(e *network.Endpoint) { e.MAC = net.HardwareAddr{1, 0, 0, 0, 0, 0} }), "MAC"},
		"ports":         {bad(func(e *network.Endpoint) { e.Ports = []network.Port{{Protocol: "tcp", ContainerPort: 80}} }), "bridge"},
		"host mode":     {network.Endpoint{ID: "h", Mode: network.Host}, "host mode"},
		"no mode":       {network.Endpoint{ID: "h"}, "mode"},
		"bridge, VPC":   {network.Endpoint{ID: "h", Mode: network.Bridge, VPC: vpcA.ID}, "awsvpc"},
		"protocol":      {network.Endpoint{ID: "h", Mode: network.Bridge, Ports: []network.Port{{Protocol: "sctp", ContainerPort: 80}}}, "sctp"},
		"no port":       {network.Endpoint{ID: "h", Mode: network.Bridge, Ports: []network.Port{{Protocol: "tcp"}}}, "container port"},
		"none, way out": {network.Endpoint{ID: "h", Mode: network.None, Egress: true}, "none mode"},
	} {
		_, err := m.Add(t.Context(), test.endpoint)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, test.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Add(ctx, task("late", "10.11.1.4/24")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want context.Canceled", err)
	}
	if all, _ := m.List(t.Context()); len(all) != 0 {
		t.Errorf("refused endpoints are there: %v", all)
	}
}

func remove(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	add(t, m, task("a", "10.11.1.4/24"))
	for range 2 { // what is not there is no error
		if err := m.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := m.List(t.Context()); len(all) != 0 {
		t.Errorf("removed endpoint is in List: %v", all)
	}
	if _, err := m.Listen(t.Context(), "a", "tcp", "10.11.1.4:80"); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("listen in a removed endpoint: %v, want ErrNotFound", err)
	}
	add(t, m, task("b", "10.11.1.4/24")) // the address is free
	add(t, m, task("a", "10.11.1.5/24")) // and so is the id
}

func list(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	want := []string{"a", "b", "c/d"}
	add(t, m, task("b", "10.11.1.5/24"))
	add(t, m, network.Endpoint{ID: "c/d", Mode: network.Bridge, Ports: []network.Port{{Protocol: "tcp", ContainerPort: 80}}})
	add(t, m, network.Endpoint{ID: "a", Mode: network.None})
	all, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range all {
		got = append(got, a.ID)
		if a.Path == "" {
			t.Errorf("%s has no path", a.ID)
		}
		if a.Mode == network.Bridge && (!a.Address.IsValid() || a.Ports[0].HostPort == 0) {
			t.Errorf("%s lacks its address or port: %+v", a.ID, a)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("List has %q, want %q", got, want)
	}
}

func vpcs(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	ensure(t, m, vpcA)
	other := vpcA
	other.CIDR = netip.MustParsePrefix("10.12.0.0/16")
	if err := m.EnsureVPC(t.Context(), other); !errors.Is(err, network.ErrConflict) {
		t.Errorf("same id, other range: %v, want ErrConflict", err)
	}
	for _, cidr := range []string{"10.0.0.0/8", "10.0.0.0/29", "10.0.0.1/16", "fd00::/56"} {
		if err := m.EnsureVPC(t.Context(), network.VPC{ID: "vpc-x", CIDR: netip.MustParsePrefix(cidr)}); err == nil {
			t.Errorf("range %s was accepted", cidr)
		}
	}
	add(t, m, task("a", "10.11.1.4/24"))
	if err := m.RemoveVPC(t.Context(), vpcA.ID); !errors.Is(err, network.ErrConflict) {
		t.Errorf("remove a VPC with endpoints: %v, want ErrConflict", err)
	}
	if err := m.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.RemoveVPC(t.Context(), vpcA.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Add(t.Context(), task("a", "10.11.1.4/24")); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("add to a removed VPC: %v, want ErrNotFound", err)
	}
	ensure(t, m, other)
}

// serve answers each connection to an endpoint with a word.
func serve(t *testing.T, m network.Manager, id, address, word string) {
	t.Helper()
	l, err := m.Listen(t.Context(), id, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, word)
			c.Close()
		}
	}()
}

func ask(t *testing.T, m network.Manager, vpc, address string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := m.Dial(ctx, vpc, "tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b, err := io.ReadAll(c)
	return string(b), err
}

func listenAndDial(t *testing.T, m network.Manager) {
	vpcB := network.VPC{ID: "vpc-b", CIDR: vpcA.CIDR} // the same range, another network
	ensure(t, m, vpcA)
	ensure(t, m, vpcB)
	add(t, m, task("a", "10.11.1.4/24"))
	e := task("b", "10.11.1.4/24")
	e.VPC = vpcB.ID
	add(t, m, e)
	serve(t, m, "a", "10.11.1.4:80", "a")
	serve(t, m, "b", ":80", "b")
	for vpc, want := range map[string]string{"vpc-a": "a", "vpc-b": "b"} {
		if got, err := ask(t, m, vpc, "10.11.1.4:80"); got != want || err != nil {
			t.Errorf("10.11.1.4:80 in %s says %q, %v; want %q", vpc, got, err, want)
		}
	}
	if _, err := ask(t, m, "vpc-a", "10.11.1.4:81"); err == nil {
		t.Error("a port that nothing listens on was reached")
	}
	if _, err := ask(t, m, "vpc-a", "10.11.1.99:80"); err == nil {
		t.Error("an address that no endpoint has was reached")
	}
	if _, err := m.Dial(t.Context(), "vpc-none", "tcp", "10.11.1.4:80"); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("dial in an unknown VPC: %v, want ErrNotFound", err)
	}
	if _, err := m.Dial(t.Context(), "vpc-a", "tcp", "localhost:80"); err == nil {
		t.Error("a name was dialled, which would be resolved outside")
	}
}

func listenElsewhere(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	add(t, m, task("a", "10.11.1.4/24"))
	if _, err := m.Listen(t.Context(), "none", "tcp", ":80"); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("listen in an unknown endpoint: %v, want ErrNotFound", err)
	}
	if _, err := m.ListenPacket(t.Context(), "none", "udp", ":53"); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("listen in an unknown endpoint: %v, want ErrNotFound", err)
	}
	serve(t, m, "a", "10.11.1.4:80", "a")
	if _, err := m.Listen(t.Context(), "a", "tcp", "10.11.1.4:80"); err == nil {
		t.Error("one address was listened on twice")
	}
	l, err := m.Listen(t.Context(), "", "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen in the host's namespace:", err)
	}
	if l.Addr().(*net.TCPAddr).Port == 0 {
		t.Error("no port was chosen")
	}
	l.Close()
	if _, err := l.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}

func linkAddresses(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	add(t, m, task("a", "10.11.1.4/24"))
	add(t, m, task("b", "10.11.1.5/24"))
	add(t, m, network.Endpoint{ID: "n", Mode: network.None})
	for _, id := range []string{"a", "b", "n"} {
		for _, a := range network.LinkAddresses {
			l, err := m.Listen(t.Context(), id, "tcp", netip.AddrPortFrom(a, 80).String())
			if err != nil {
				t.Errorf("endpoint %s: %v", id, err)
				continue
			}
			defer l.Close()
			p, err := m.ListenPacket(t.Context(), id, "udp", netip.AddrPortFrom(a, 53).String())
			if err != nil {
				t.Errorf("endpoint %s: %v", id, err)
				continue
			}
			defer p.Close()
		}
	}
}

func bridge(t *testing.T, m network.Manager) {
	seen := map[netip.Addr]bool{}
	for i := range 5 {
		a := add(t, m, network.Endpoint{ID: fmt.Sprint("c", i), Mode: network.Bridge})
		if seen[a.Address.Addr()] || !a.Address.Addr().IsPrivate() {
			t.Errorf("address %s is not private or not the container's own", a.Address)
		}
		seen[a.Address.Addr()] = true
	}
}

func fixedPort(t *testing.T, m network.Manager) {
	at := func(id, protocol string, port uint16) network.Endpoint {
		return network.Endpoint{ID: id, Mode: network.Bridge, Ports: []network.Port{{Protocol: protocol, ContainerPort: 80, HostPort: port}}}
	}
	add(t, m, at("a", "tcp", 8080))
	add(t, m, at("a", "tcp", 8080)) // again
	add(t, m, at("u", "udp", 8080)) // another protocol
	_, err := m.Add(t.Context(), at("b", "tcp", 8080))
	if !errors.Is(err, network.ErrPortTaken) || !strings.Contains(err.Error(), "port 8080 is already allocated") {
		t.Errorf("a port twice: %v, want ErrPortTaken", err)
	}
	twice := at("c", "tcp", 8081)
	twice.Ports = append(twice.Ports, twice.Ports[0])
	if _, err := m.Add(t.Context(), twice); !errors.Is(err, network.ErrPortTaken) {
		t.Errorf("a port twice in one endpoint: %v, want ErrPortTaken", err)
	}
	two := at("d", "tcp", 8082)
	two.Ports = append(two.Ports, network.Port{Protocol: "tcp", ContainerPort: 81, HostPort: 8080})
	if _, err := m.Add(t.Context(), two); !errors.Is(err, network.ErrPortTaken) {
		t.Errorf("a port twice: %v, want ErrPortTaken", err)
	}
	if err := m.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	add(t, m, at("b", "tcp", 8080))
	add(t, m, at("e", "tcp", 8082)) // the refused one left none of its ports taken
}

func dynamicPorts(t *testing.T, m network.Manager) {
	seen := map[uint16]bool{}
	for i := range 4 {
		a := add(t, m, network.Endpoint{ID: fmt.Sprint("c", i), Mode: network.Bridge, Ports: []network.Port{
			{Protocol: "tcp", ContainerPort: 80}, {Protocol: "tcp", ContainerPort: 81},
		}})
		for _, p := range a.Ports {
			if p.HostPort < network.DynamicPortFirst || seen[p.HostPort] {
				t.Errorf("port %d is outside the range or taken", p.HostPort)
			}
			seen[p.HostPort] = true
		}
	}
}

func none(t *testing.T, m network.Manager) {
	a := add(t, m, network.Endpoint{ID: "n", Mode: network.None})
	if a.Address.IsValid() {
		t.Errorf("none mode has address %s", a.Address)
	}
	if err := m.Remove(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
}

func concurrent(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			e := task(fmt.Sprint("t", i%10), fmt.Sprintf("10.11.1.%d/24", 10+i%10)) // each by two at once
			if _, err := m.Add(t.Context(), e); err != nil {
				t.Error(err)
			}
			b := network.Endpoint{ID: fmt.Sprint("b", i), Mode: network.Bridge, Ports: []network.Port{{Protocol: "tcp", ContainerPort: 80}}}
			if _, err := m.Add(t.Context(), b); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if err := m.Remove(t.Context(), b.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all, _ := m.List(t.Context()); len(all) != 20 {
		t.Errorf("%d endpoints, want 10 tasks and 10 containers", len(all))
	}
}

func purge(t *testing.T, m network.Manager) {
	ensure(t, m, vpcA)
	add(t, m, task("a", "10.11.1.4/24"))
	add(t, m, network.Endpoint{ID: "b", Mode: network.Bridge, Ports: []network.Port{{Protocol: "tcp", ContainerPort: 80, HostPort: 8080}}})
	for range 2 {
		if err := m.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := m.List(t.Context()); len(all) != 0 {
		t.Errorf("purge left %v", all)
	}
	// It may be used again.
	ensure(t, m, vpcA)
	add(t, m, task("a", "10.11.1.4/24"))
	add(t, m, network.Endpoint{ID: "c", Mode: network.Bridge, Ports: []network.Port{{Protocol: "tcp", ContainerPort: 80, HostPort: 8080}}})
}

func reopen(t *testing.T, m network.Manager, again func() network.Manager) {
	ensure(t, m, vpcA)
	add(t, m, task("a", "10.11.1.4/24"))
	add(t, m, task("gone", "10.11.1.5/24"))
	add(t, m, network.Endpoint{ID: "b", Mode: network.Bridge, Hostname: "b", Ports: []network.Port{
		{Protocol: "tcp", ContainerPort: 80}, {Protocol: "udp", ContainerPort: 53, HostPort: 5300},
	}})
	add(t, m, network.Endpoint{ID: "n", Mode: network.None})
	if err := m.Remove(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	before, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	m = again()
	after, err := m.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", after), fmt.Sprintf("%+v", before); got != want {
		t.Errorf("after reopening:\n%s\nbefore:\n%s", got, want)
	}
	ensure(t, m, vpcA)
	add(t, m, task("a", "10.11.1.4/24"))
	add(t, m, task("new", "10.11.1.5/24"))
	serve(t, m, "a", "10.11.1.4:80", "a")
	if got, err := ask(t, m, vpcA.ID, "10.11.1.4:80"); got != "a" || err != nil {
		t.Errorf("after reopening a says %q, %v", got, err)
	}
	_, err = m.Add(t.Context(), network.Endpoint{ID: "x", Mode: network.Bridge, Ports: []network.Port{{Protocol: "udp", ContainerPort: 53, HostPort: 5300}}})
	if !errors.Is(err, network.ErrPortTaken) {
		t.Errorf("a port of before: %v, want ErrPortTaken", err)
	}
	c := add(t, m, network.Endpoint{ID: "c", Mode: network.Bridge})
	for _, a := range before {
		if a.Address.Addr() == c.Address.Addr() {
			t.Errorf("address %s was given twice", c.Address)
		}
	}
}
