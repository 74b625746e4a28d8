package outlet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

func open(t *testing.T) (*Outlet, *store.DB) {
	db := storetest.Open(t)
	o, err := New(Config{DB: db, Render: func(e cluster.Event) ([]byte, error) {
		if e.Resource == "bad" {
			return nil, errors.New("bad event")
		}
		return json.Marshal(map[string]any{"resource": e.Resource, "version": e.Version})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o, db
}

func emit(t *testing.T, db *store.DB, resource string, version int64) {
	t.Helper()
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		return cluster.Emit(tx, cluster.Event{Kind: cluster.TaskStateChange, Resource: resource, Version: version})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func waiting(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	err := db.View(func(r store.Reader) error {
		n = cluster.Events.Len(r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
	}
}

// Each event reaches each subscriber in order, even if one fails at first, and
// leaves the store then.
func TestDelivery(t *testing.T) {
	o, db := open(t)
	var mu sync.Mutex
	got := map[string][]int64{}
	fail := 2
	o.Subscribe("steady", func(_ context.Context, es []Event) error {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range es {
			got["steady/"+e.Resource] = append(got["steady/"+e.Resource], e.Version)
		}
		return nil
	})
	o.Subscribe("shaky", func(_ context.Context, es []Event) error {
		mu.Lock()
		defer mu.Unlock()
		if fail--; fail >= 0 {
			return errors.New("not now")
		}
		for _, e := range es {
			got["shaky/"+e.Resource] = append(got["shaky/"+e.Resource], e.Version)
		}
		return nil
	})
	emit(t, db, "a", 1) // before Run
	emit(t, db, "bad", 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { o.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	for v := int64(2); v <= 150; v++ {
		emit(t, db, "a", v)
		emit(t, db, "b", v)
	}
	eventually(t, "delivery", func() bool { return waiting(t, db) == 0 })
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"steady", "shaky"} {
		for resource, first := range map[string]int64{"a": 1, "b": 2} {
			for i, v := range got[name+"/"+resource] {
				if v != first+int64(i) {
					t.Fatalf("%s/%s: event %d has version %d", name, resource, i, v)
				}
			}
			if n := len(got[name+"/"+resource]); n != int(151-first) {
				t.Errorf("%s/%s: %d events, want %d", name, resource, n, 151-first)
			}
		}
		if got[name+"/bad"] != nil {
			t.Error("an event that cannot be rendered was delivered")
		}
	}
}

// Events of one resource stay in order although the clock was set back since
// the process before wrote its last ones.
func TestClockSetBack(t *testing.T) {
	o, db := open(t)
	ahead := time.Now().Add(time.Hour)
	err := db.Update(context.Background(), func(tx *store.Tx) error {
		return cluster.Events.Put(tx, cluster.Event{ID: fmt.Sprintf("%020d-0123456789ab", ahead.UnixNano()),
			Kind: cluster.TaskStateChange, Resource: "a", Version: 1, At: ahead})
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := New(o.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for v := int64(2); v <= 5; v++ {
		emit(t, db, "a", v)
	}
	var got []int64
	ctx, cancel := context.WithCancel(context.Background())
	again.Subscribe("all", func(_ context.Context, es []Event) error {
		for _, e := range es {
			got = append(got, e.Version)
			if e.Version > 1 && e.At.After(ahead) {
				t.Errorf("version %d is of %v", e.Version, e.At)
			}
		}
		cancel()
		return nil
	})
	again.Run(ctx)
	if fmt.Sprint(got) != "[1 2 3 4 5]" {
		t.Errorf("delivered %v", got)
	}
}

// What was delivered but not deleted, because the process died, comes again.
func TestUndeliveredSurvives(t *testing.T) {
	o, db := open(t)
	emit(t, db, "a", 1)
	ctx, cancel := context.WithCancel(context.Background())
	o.Subscribe("dies", func(context.Context, []Event) error { cancel(); return errors.New("dying") })
	o.Run(ctx)
	if n := waiting(t, db); n != 1 {
		t.Fatalf("%d events wait, want 1", n)
	}
	again, err := New(o.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	taken := make(chan Event, 1)
	again.Subscribe("lives", func(_ context.Context, es []Event) error { taken <- es[0]; return nil })
	go again.Run(ctx)
	select {
	case e := <-taken:
		if e.Resource != "a" {
			t.Errorf("event of %q", e.Resource)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the event did not come again")
	}
	eventually(t, "deletion", func() bool { return waiting(t, db) == 0 })
}

func TestRecent(t *testing.T) {
	r := newRecent()
	for i := range Keep + 50 {
		e := cluster.Event{ID: fmt.Sprint(i), Version: int64(i)}
		r.add(e)
		r.add(e) // twice: from the list and from the change
	}
	events, next, missed, _ := r.from(0)
	if len(events) != Keep || next != Keep+50 || missed != 50 || events[0].Version != 50 || events[Keep-1].Version != Keep+49 {
		t.Errorf("%d events from %d, next %d, missed %d", len(events), events[0].Version, next, missed)
	}
	if events, _, missed, _ := r.from(r.last(3)); len(events) != 3 || missed != 0 || events[2].Version != Keep+49 {
		t.Errorf("the last 3: %v, missed %d", events, missed)
	}
	if len(r.seen) != Keep {
		t.Errorf("%d ids are remembered", len(r.seen))
	}
}

func TestStream(t *testing.T) {
	o, db := open(t)
	for v := int64(1); v <= 3; v++ {
		emit(t, db, "a", v)
	}
	eventually(t, "remembering", func() bool { return o.recent.last(0) == 3 })
	srv := httptest.NewServer(o)
	t.Cleanup(srv.Close) // after the streams
	lines := func(query string) *bufio.Scanner {
		t.Helper()
		resp, err := srv.Client().Get(srv.URL + query)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return bufio.NewScanner(resp.Body)
	}
	next := func(s *bufio.Scanner, want string) {
		t.Helper()
		if !s.Scan() || s.Text() != want {
			t.Fatalf("line %q, want %q", s.Text(), want)
		}
	}
	s := lines("/?replay=2")
	next(s, `{"resource":"a","version":2}`)
	next(s, `{"resource":"a","version":3}`)
	if s.Scan() {
		t.Errorf("one more line: %s", s.Text())
	}
	s = lines("/?follow=1&replay=1")
	next(s, `{"resource":"a","version":3}`)
	emit(t, db, "a", 4)
	next(s, `{"resource":"a","version":4}`)
	if resp, err := srv.Client().Get(srv.URL + "/?replay=x"); err != nil || resp.StatusCode != 400 {
		t.Errorf("a bad replay: %v, %v", resp, err)
	}
}
