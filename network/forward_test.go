package network

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Only one at a time has the lock, though each removes the directory that is
// locked before it lets go.
func TestLockDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var inside atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 300 {
				lock, err := lockDir(path)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				runtime.Gosched()
				inside.Add(-1)
				os.Remove(path)
				lock.Close()
			}
		})
	}
	all.Wait()
}

// Forwarding that somebody else switches off comes back with the next endpoint
// that needs it, and the host is left as it was found in the end.
func TestForwardingComesBack(t *testing.T) {
	m := openTest(t)
	ensure(t, m, vpcOne)
	for _, address := range []string{"172.31.0.10/20", "172.31.0.11/20"} {
		e := awsvpc("out-"+address[9:11], address)
		e.Egress = true
		add(t, m, e)
		if on, err := m.forwarding(); err != nil || !on {
			t.Fatalf("with %s the host does not forward: %v", e.ID, err)
		}
		if err := m.setForwarding("0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if on, err := m.forwarding(); err != nil || on {
		t.Errorf("after Purge the host forwards: %t, %v", on, err)
	}
}

// A data directory that was killed and comes back still counts among those that
// need forwarding, once; the last to go puts it back as it was.
func TestForwardingAfterKill(t *testing.T) {
	one := openTest(t)
	shared := func(c *Config) { c.HostNamespace = one.cfg.HostNamespace }
	two := openTest(t, shared)
	for _, m := range []*Linux{one, two} {
		if err := m.startForwarding(); err != nil {
			t.Fatal(err)
		}
	}
	one.forwards = false // as a new process sees it
	if err := one.startForwarding(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		m    *Linux
		left bool
	}{{one, true}, {one, true}, {two, false}} {
		if err := step.m.stopForwarding(); err != nil {
			t.Fatal(err)
		}
		if on, err := two.forwarding(); err != nil || on != step.left {
			t.Errorf("the host forwards: %t, %v, want %t", on, err, step.left)
		}
	}
}
