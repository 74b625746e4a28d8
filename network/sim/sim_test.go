package sim_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/network"
	"github.com/dhowhq/dhow/network/networktest"
	"github.com/dhowhq/dhow/network/sim"
)

func TestContract(t *testing.T) {
	networktest.Run(t, func(t *testing.T) (network.Manager, func() network.Manager) {
		m := sim.New()
		t.Cleanup(func() { m.Close() })
		return m, nil
	})
}

// A removed endpoint's listeners end, so that what serves them does, too.
func TestRemoveClosesSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sim.New()
		if _, err := m.Add(t.Context(), network.Endpoint{ID: "a", Mode: network.None}); err != nil {
			t.Fatal(err)
		}
		l, err := m.Listen(t.Context(), "a", "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.ListenPacket(t.Context(), "a", "udp", ":53")
		if err != nil {
			t.Fatal(err)
		}
		p.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := p.ReadFrom(nil); err == nil {
			t.Error("something was read")
		}
		p.SetReadDeadline(time.Time{})
		ends := make(chan error, 2)
		go func() { _, err := l.Accept(); ends <- err }()
		go func() { _, _, err := p.ReadFrom(nil); ends <- err }()
		synctest.Wait()
		if err := m.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-ends; err == nil {
				t.Error("a socket outlived its endpoint without error")
			}
		}
	})
}

func BenchmarkAddRemove(b *testing.B) {
	m := sim.New()
	v := network.VPC{ID: "vpc-1", CIDR: netip.MustParsePrefix("10.0.0.0/16")}
	if err := m.EnsureVPC(b.Context(), v); err != nil {
		b.Fatal(err)
	}
	e := network.Endpoint{Mode: network.AWSVPC, VPC: v.ID, Address: netip.MustParsePrefix("10.0.0.10/24")}
	for n := 0; b.Loop(); n++ {
		e.ID = fmt.Sprint("t", n)
		if _, err := m.Add(b.Context(), e); err != nil {
			b.Fatal(err)
		}
		if err := m.Remove(b.Context(), e.ID); err != nil {
			b.Fatal(err)
		}
	}
}
