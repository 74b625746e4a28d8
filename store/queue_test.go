package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// gateKV holds transactions back until the test says what becomes of them.
type gateKV struct {
	clientv3.KV
	arrived chan *gateTxn
}

func (g *gateKV) Txn(ctx context.Context) clientv3.Txn {
	return &gateTxn{g.KV.Txn(ctx), g, make(chan error), make(chan bool, 1)}
}

type gateTxn struct {
	clientv3.Txn
	g       *gateKV
	verdict chan error // nil lets it pass
	passed  chan bool  // whether etcd committed it
}

func (t *gateTxn) If(c ...clientv3.Cmp) clientv3.Txn  { t.Txn = t.Txn.If(c...); return t }
func (t *gateTxn) Then(o ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Then(o...); return t }
func (t *gateTxn) Else(o ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Else(o...); return t }

func (t *gateTxn) Commit() (*clientv3.TxnResponse, error) {
	t.g.arrived <- t
	if err := <-t.verdict; err != nil {
		return nil, err
	}
	resp, err := t.Txn.Commit()
	t.passed <- err == nil && resp.Succeeded
	return resp, err
}

// gate opens a store whose transactions the test lets pass.
func gate(t *testing.T) (*DB, *gateKV) {
	db := open(t, Config{Dir: t.TempDir(), UnsafeNoSync: true})
	t.Cleanup(func() { db.Close() })
	g := &gateKV{db.client.KV, make(chan *gateTxn)}
	db.client.KV = g
	return db, g
}

var errExists = errors.New("exists")

// create puts a row, or fails if it is there. The second result gets a token
// before each run of the function.
func create(db *DB, id string) (result chan error, runs chan struct{}) {
	result, runs = make(chan error, 1), make(chan struct{}, 10)
	go func() {
		result <- db.Update(context.Background(), func(tx *Tx) error {
			runs <- struct{}{}
			if _, ok := items.Get(tx, id); ok {
				return errExists
			}
			return items.Put(tx, item{ID: id})
		})
	}()
	return result, runs
}

// TestSeenButNotCommitted has a transaction that fails because of what another
// one is about to write: it waits for that, and runs again if it never comes.
func TestSeenButNotCommitted(t *testing.T) {
	for name, c := range map[string]struct {
		verdict       error
		first, second error
	}{
		"committed": {nil, nil, errExists},
		"refused":   {rpctypes.ErrNoSpace, ErrFull, nil},
	} {
		t.Run(name, func(t *testing.T) {
			db, g := gate(t)
			first, _ := create(db, "a")
			flying := <-g.arrived
			second, runs := create(db, "a")
			<-runs
			<-runs // sees the row that flies
			select {
			case err := <-second:
				t.Fatalf("returned %v before the other transaction came to its end", err)
			case <-time.After(10 * time.Millisecond):
			}
			flying.verdict <- c.verdict
			if err := <-first; !errors.Is(err, c.first) {
				t.Errorf("first: %v, want %v", err, c.first)
			}
			if c.second == nil {
				(<-g.arrived).verdict <- nil
			}
			if err := <-second; !errors.Is(err, c.second) {
				t.Errorf("second: %v, want %v", err, c.second)
			}
		})
	}
}

// TestWriterGivesUp ends a writer's context while its commit is under way.
func TestWriterGivesUp(t *testing.T) {
	db, g := gate(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		result <- db.Update(ctx, func(tx *Tx) error { return items.Put(tx, item{ID: "a"}) })
	}()
	flying := <-g.arrived
	cancel()
	if err := <-result; !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	commits, stop := db.Watch(items)
	defer stop()
	flying.verdict <- nil
	<-commits // it was committed, though nobody waited
}

// TestWritersShareBatches fills a batch while another is under way.
func TestWritersShareBatches(t *testing.T) {
	db, g := gate(t)
	first, _ := create(db, "first")
	flying := <-g.arrived
	var results []chan error
	for _, id := range []string{"a", "b", "c", "d"} {
		r, runs := create(db, id)
		<-runs
		results = append(results, r)
	}
	for {
		db.queue.mu.Lock()
		n := db.queue.waiting()
		db.queue.mu.Unlock()
		if n == 4 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	flying.verdict <- nil
	(<-g.arrived).verdict <- nil
	for _, r := range append(results, first) {
		if err := <-r; err != nil {
			t.Error(err)
		}
	}
	if st := db.Stats(); st.Batches != 2 || st.Transactions != 5 {
		t.Errorf("%d transactions in %d batches, want 5 in 2", st.Transactions, st.Batches)
	}
}

// TestLargeBatchesOverlap has a large batch fly behind another. If the first is
// refused the one behind it must be sent again, though it has nothing to do
// with it.
func TestLargeBatchesOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		verdict error
		want    error
		batches int64
	}{
		"committed": {nil, nil, 2},
		"refused":   {rpctypes.ErrNoSpace, ErrFull, 1},
	} {
		t.Run(name, func(t *testing.T) {
			db, g := gate(t)
			first, _ := create(db, "first")
			one := <-g.arrived
			large := make(chan error, 1)
			go func() {
				large <- db.Update(t.Context(), func(tx *Tx) error {
					for i := range largeRows {
						if err := items.Put(tx, item{ID: string(rune('A' + i))}); err != nil {
							return err
						}
					}
					return nil
				})
			}()
			two := <-g.arrived // while the first is still under way
			two.verdict <- nil
			if <-two.passed {
				t.Error("a batch was committed before the one in front of it")
			}
			one.verdict <- c.verdict
			if err := <-first; !errors.Is(err, c.want) {
				t.Errorf("first: %v, want %v", err, c.want)
			}
			(<-g.arrived).verdict <- nil
			if err := <-large; err != nil {
				t.Errorf("large: %v", err)
			}
			if st := db.Stats(); st.Batches != c.batches {
				t.Errorf("%d batches, want %d", st.Batches, c.batches)
			}
		})
	}
}

// TestSmallerLimits has an etcd that refuses batches of more than two rows.
func TestSmallerLimits(t *testing.T) {
	db, g := gate(t)
	first, _ := create(db, "first")
	flying := <-g.arrived
	results := []chan error{first}
	for _, id := range []string{"a", "b", "c", "d"} {
		r, _ := create(db, id)
		results = append(results, r)
	}
	for {
		db.queue.mu.Lock()
		n := db.queue.waiting()
		db.queue.mu.Unlock()
		if n == 4 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	flying.verdict <- nil
	(<-g.arrived).verdict <- rpctypes.ErrTooManyOps
	(<-g.arrived).verdict <- nil
	(<-g.arrived).verdict <- nil
	for _, r := range results {
		if err := <-r; err != nil {
			t.Error(err)
		}
	}
	alone, _ := create(db, "alone")
	(<-g.arrived).verdict <- rpctypes.ErrRequestTooLarge
	if err := <-alone; !errors.Is(err, rpctypes.ErrRequestTooLarge) {
		t.Errorf("one transaction that is too large alone: %v", err)
	}
}

// TestSlowWriter has a slow function among quick writers of the same row.
func TestSlowWriter(t *testing.T) {
	db := open(t, Config{Dir: t.TempDir(), UnsafeNoSync: true})
	defer db.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	touch := func(tx *Tx) error {
		items.Get(tx, "hot")
		return items.Put(tx, item{ID: "hot"})
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				db.Update(t.Context(), touch)
			}
		})
	}
	runs := 0
	err := db.Update(t.Context(), func(tx *Tx) error {
		runs++
		err := touch(tx)
		before := db.Stats().Transactions
		for range 20 { // let others in between, unless they have to wait
			if db.Stats().Transactions > before {
				break
			}
			time.Sleep(time.Millisecond)
		}
		return err
	})
	cancel()
	wg.Wait()
	if err != nil || runs > patience+1 {
		t.Errorf("error %v after %d runs", err, runs)
	}
}

// TestCloseAmongWriters closes a store while it is written to.
func TestCloseAmongWriters(t *testing.T) {
	c := Config{Dir: t.TempDir(), UnsafeNoSync: true}
	db := open(t, c)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var acked []string
	started := make(chan struct{}, 1)
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprint(w, "-", i)
				err := db.Update(t.Context(), func(tx *Tx) error { return items.Put(tx, item{ID: id}) })
				if errors.Is(err, ErrClosed) {
					return
				} else if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked = append(acked, id)
				if len(acked) == 200 {
					started <- struct{}{}
				}
				mu.Unlock()
			}
		})
	}
	<-started
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	db = open(t, c)
	defer db.Close()
	db.View(func(r Reader) error {
		for _, id := range acked {
			if _, ok := items.Get(r, id); !ok {
				t.Errorf("acknowledged row %s is not there", id)
			}
		}
		return nil
	})
}

func TestDeclarations(t *testing.T) {
	db := open(t, Config{Dir: t.TempDir(), UnsafeNoSync: true})
	defer db.Close()
	panics := func(what, want string, f func()) {
		t.Helper()
		defer func() {
			if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
				t.Errorf("%s: panic %q, want %q", what, got, want)
			}
		}()
		f()
	}
	key := func(i item) string { return i.ID }
	panics("twice", "declared twice", func() { NewTable("bench.items", key) })
	panics("bad name", "is not of small letters", func() { NewTable("a/b", key) })
	panics("unknown index", "no index", func() {
		db.View(func(r Reader) error { items.By(r, "nosuch", ""); return nil })
	})
	late := NewTable(fmt.Sprint("test.late", len(declared())), key)
	panics("late", "after the store was opened", func() {
		db.View(func(r Reader) error { late.Get(r, "a"); return nil })
	})
	var kept *Tx
	db.Update(t.Context(), func(tx *Tx) error { kept = tx; return nil })
	panics("kept", "after its function returned", func() { items.Get(kept, "a") })
}
