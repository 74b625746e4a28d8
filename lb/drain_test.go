package lb

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestDraining takes out a target with a request under way.
func TestDraining(t *testing.T) {
	r := newRig(t)
	g := r.group("web")
	b, l := r.balancer("front", g)
	url := r.e.URL(b.ARN(), l.Port)
	started, release := make(chan struct{}), make(chan struct{})
	_, old := r.serve(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/slow" {
			close(started)
			<-release
		}
		io.WriteString(w, "old")
	})
	r.register(g, old)
	r.await(g, old, Healthy)
	slow := make(chan string, 1)
	go func() { _, body := r.get(url + "slow"); slow <- body }()
	<-started

	r.deregister(g, old)
	if state, reason := r.e.Health(g.ARN(), old); state != "draining" || reason != "Target deregistration is in progress" {
		t.Errorf("the target is %s: %s", state, reason)
	}
	if status, _ := r.get(url); status != 503 {
		t.Errorf("a draining target got a new request: %d", status)
	}
	close(release)
	if body := <-slow; body != "old" {
		t.Errorf("the request under way got %q", body)
	}
	eventually(t, func() string {
		if state, _ := r.e.Health(g.ARN(), old); state != "" {
			return "the drained target is " + state
		}
		return ""
	})
	if all := r.targets(g); len(all) > 0 {
		t.Errorf("rows are left: %v", all)
	}
}

func TestIdleTargetIsGoneAtOnce(t *testing.T) {
	r := newRig(t)
	_, g, _ := r.one(says("x"))
	at := r.targets(g)[0]
	begin := time.Now()
	r.deregister(g, at)
	eventually(t, func() string {
		if state, _ := r.e.Health(g.ARN(), at); state != "" {
			return "the target is " + state
		}
		return ""
	})
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestDrainingEnds closes what is still open after the deregistration delay.
func TestDrainingEnds(t *testing.T) {
	r := newRig(t)
	started := make(chan struct{})
	url, g, _ := r.one(func(_ http.ResponseWriter, q *http.Request) {
		close(started)
		<-q.Context().Done()
	}, func(g *TargetGroup) { g.Attributes = map[string]string{attrDelay: "1"} })
	status := make(chan int, 1)
	go func() { s, _ := r.get(url); status <- s }()
	<-started
	at := r.targets(g)[0]
	r.deregister(g, at)
	if s := <-status; s != 502 {
		t.Errorf("the request that outlasted the delay got %d", s)
	}
	eventually(t, func() string {
		if state, _ := r.e.Health(g.ARN(), at); state != "" {
			return "the target is " + state
		}
		return ""
	})
}

// TestRegisterAgain takes back a target that drains.
func TestRegisterAgain(t *testing.T) {
	r := newRig(t)
	started, release := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	url, g, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		if !once.Swap(true) {
			close(started)
			<-release
		}
	})
	done := make(chan struct{})
	go func() { defer close(done); r.get(url) }()
	<-started
	at := r.targets(g)[0]
	r.deregister(g, at)
	r.register(g, at)
	r.await(g, at, Healthy)
	close(release)
	<-done
	if status, _ := r.get(url); status != 200 {
		t.Errorf("after it was taken back: %d", status)
	}
	if len(r.targets(g)) != 1 {
		t.Errorf("the target is gone")
	}
}

// TestRestart wants traffic to flow at once after a restart, to targets that
// were healthy: here no check can succeed any more.
func TestRestart(t *testing.T) {
	r := newRig(t)
	var sick atomic.Bool
	g := r.group("web", func(g *TargetGroup) { g.Check.Interval = 300 })
	b, l := r.balancer("front", g)
	serve := func(name string) Target {
		_, at := r.serve(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/health" && (name == "bad" || sick.Load()) {
				w.WriteHeader(500)
			}
			io.WriteString(w, name)
		})
		r.register(g, at)
		return at
	}
	good := serve("good")
	r.await(g, good, Healthy)
	serve("bad")
	// The mark is written after the state is seen.
	eventually(t, func() string {
		if !r.marked(g, good) {
			return "the target is not marked"
		}
		return ""
	})
	r.stop()
	sick.Store(true)
	r.start()
	url := "http://" + withPort(b.Address, l.Port) + "/"
	var first int
	eventually(t, func() string {
		resp, err := http.Get(url)
		if err != nil {
			return err.Error() // not open yet
		}
		defer resp.Body.Close()
		first = resp.StatusCode
		return ""
	})
	if first != 200 {
		t.Errorf("the first answer after the restart is %d", first)
	}
	for range 10 {
		if status, body := r.get(url); status != 200 || body != "good" {
			t.Errorf("got %d %q", status, body)
		}
	}
}

func (r *rig) marked(g TargetGroup, t Target) (ok bool) {
	r.db.View(func(rd Reader) error {
		_, ok = Marks.Get(rd, g.registration(t).Key())
		return nil
	})
	return ok
}

// TestGroupDeleted sweeps the rows of a deleted group's targets, and those that
// a crash left.
func TestGroupDeleted(t *testing.T) {
	r := newRig(t)
	g := r.group("web")
	orphan := Registration{Scope: home, Group: "gone", GroupID: "1", ID: "10.0.0.1", Port: 80}
	var all []Target
	for i := range 200 {
		all = append(all, Target{ID: "10.0.0.1", Port: int32(1000 + i)})
	}
	r.register(g, all...)
	r.update(func(tx *Tx) error { return Targets.Put(tx, orphan) })
	r.stop()
	r.start()
	r.update(func(tx *Tx) error { return RemoveTargetGroup(tx, g) })
	eventually(t, func() string {
		left := ""
		r.db.View(func(rd Reader) error {
			for t := range Targets.List(rd, "") {
				left = "left: " + t.Key()
			}
			return nil
		})
		return left
	})
	if err := r.e.Register(context.Background(), g.ARN(), all[0]); !errors.Is(err, ErrNoTargetGroup) {
		t.Errorf("registering in a deleted group: %v", err)
	}
}

// TestUnused wants states and reasons of targets that nothing asks.
func TestUnused(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Instance = nil
	})
	s := httptest.NewServer(says("x"))
	defer s.Close()
	at := targetOf(t, s.Listener.Addr())
	g := r.group("web")
	r.register(g, at)
	want := func(h Health) {
		t.Helper()
		if got := r.e.Describe(g.ARN(), at); got != h {
			t.Errorf("the target is %+v, want %+v", got, h)
		}
	}
	want(notInUse)
	_, l := r.balancer("front", g)
	r.await(g, at, Healthy)
	r.update(func(tx *Tx) error { return RemoveListener(tx, l) })
	r.e.Sync(l.BalancerARN(), g.ARN())
	want(notInUse)

	far := at
	at.Zone = "us-east-1c"
	r.register(g, at)
	r.update(func(tx *Tx) error { l.ID = ""; return PutListener(tx, &l) })
	r.e.Sync(l.BalancerARN())
	want(otherZone)
	at = far
	at.ID = "10.9.9.9"
	if state, _ := r.e.Health(g.ARN(), at); state != "" {
		t.Errorf("a target that is not registered is %q", state)
	}
	want(unregistered)
	instances := r.group("machines", func(g *TargetGroup) { g.Type = "instance" })
	r.balancer("second", instances)
	r.register(instances, Target{ID: "i-1", Port: 80})
	if h := r.e.Describe(instances.ARN(), Target{ID: "i-1", Port: 80}); h != invalid {
		t.Errorf("an unknown instance is %+v", h)
	}
}
