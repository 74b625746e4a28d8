package network

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func benchAddress(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, byte(16 + n>>8), byte(n)}), 16)
}

// bareNamespace does the least that a task's network takes: a namespace held
// by a mount, and a veth.
func bareNamespace(m *Linux, router *space, path, name string) error {
	return newSpace(int(m.home.Fd()), path, func(h *netlink.Handle) error {
		return h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0", TxQLen: -1}, PeerName: name, PeerNamespace: netlink.NsFd(router.fd())})
	})
}

// BenchmarkAdd compares Add with the bare work of the kernel, in one run.
func BenchmarkAdd(b *testing.B) {
	m := openTest(b)
	ensure(b, m, vpcOne)
	router := m.vpc("vpc-1").router
	dir := b.TempDir()
	var bare, full, gone time.Duration
	n := 0
	for b.Loop() {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		start := time.Now()
		if err := bareNamespace(m, router, path, fmt.Sprint("bare", n)); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(start)
		id := fmt.Sprint("t", n)
		start = time.Now()
		add(b, m, Endpoint{ID: id, Mode: AWSVPC, VPC: "vpc-1", Address: benchAddress(n), Egress: true})
		full += time.Since(start)
		start = time.Now()
		if err := m.Remove(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		gone += time.Since(start)
		dropSpace(path)
	}
	b.ReportMetric(float64(bare.Microseconds())/float64(n), "bare-µs")
	b.ReportMetric(float64(full.Microseconds())/float64(n), "add-µs")
	b.ReportMetric(float64(gone.Microseconds())/float64(n), "remove-µs")
	b.ReportMetric(float64(full)/float64(bare), "add/bare")
}

// BenchmarkAdd100 adds a hundred endpoints at once and removes them.
func BenchmarkAdd100(b *testing.B) {
	m := openTest(b)
	ensure(b, m, vpcOne)
	all := func(fn func(i int) error) time.Duration {
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if err := fn(i); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
	var adding, removing time.Duration
	for b.Loop() {
		adding += all(func(i int) error {
			_, err := m.Add(b.Context(), Endpoint{ID: fmt.Sprint("t", i), Mode: AWSVPC, VPC: "vpc-1", Address: benchAddress(i)})
			return err
		})
		removing += all(func(i int) error { return m.Remove(b.Context(), fmt.Sprint("t", i)) })
	}
	b.ReportMetric(float64(adding.Microseconds())/float64(b.N)/100, "add-µs")
	b.ReportMetric(float64(removing.Microseconds())/float64(b.N)/100, "remove-µs")
}
