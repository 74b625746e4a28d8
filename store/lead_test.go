package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dhowhq/dhow/store"
)

// term is a term of office that a test observes.
type term struct {
	ctx    context.Context
	number int64
	end    chan struct{} // closed to make the function return
}

// lead seeks the lease in the background and sends each term.
func lead(t *testing.T, ctx context.Context, db *store.DB, name string) (<-chan term, <-chan error) {
	terms, result := make(chan term, 10), make(chan error, 1)
	go func() {
		result <- db.Lead(ctx, name, func(ctx context.Context) {
			end := make(chan struct{})
			terms <- term{ctx, store.Term(ctx), end}
			select {
			case <-ctx.Done():
			case <-end:
			}
		})
	}()
	return terms, result
}

// next waits for a term.
func next(t *testing.T, terms <-chan term) term {
	t.Helper()
	select {
	case x := <-terms:
		return x
	case <-time.After(20 * time.Second):
		t.Fatal("no term within 20 s")
		panic("unreachable")
	}
}

func TestLead(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		ctx, cancel := context.WithCancel(t.Context())
		terms, result := lead(t, ctx, db, "a/b")
		first := next(t, terms)

		// Another candidate of the same process waits, another office does not.
		second, secondResult := lead(t, t.Context(), db, "a/b")
		under, _ := lead(t, t.Context(), db, "a")
		if x := next(t, under); x.number <= first.number {
			t.Errorf("term %d after %d", x.number, first.number)
		}
		select {
		case <-second:
			t.Error("two leaders")
		default:
		}

		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Lead returned %v", err)
		}
		x := next(t, second)
		if first.ctx.Err() == nil || x.number <= first.number {
			t.Errorf("term %d after %d, whose context says %v", x.number, first.number, first.ctx.Err())
		}
		close(x.end) // returns by itself: is asked again
		if y := next(t, second); y.number <= x.number {
			t.Errorf("term %d after %d", y.number, x.number)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := <-secondResult; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Lead of a closed store returned %v", err)
		}
		if err := db.Lead(t.Context(), "a", func(context.Context) { t.Error("led after close") }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Lead after close returned %v", err)
		}
	})
}

func TestLeadMovesOn(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		if !p.shared {
			t.Skip("only one process may open this kind")
		}
		c := p.config(t)
		a, b := open(t, c), open(t, c)
		ofA, _ := lead(t, t.Context(), a, "loop")
		first := next(t, ofA)
		ofB, _ := lead(t, t.Context(), b, "loop")

		revoke(t, c)
		second := next(t, ofB) // A's lease is gone, and A knows
		eventually(t, "the deposed leader's context ends", func() bool { return first.ctx.Err() != nil })
		if second.number <= first.number {
			t.Errorf("term %d after %d", second.number, first.number)
		}

		start := time.Now() // a clean end does not wait for the lease to run out
		b.Close()
		if third := next(t, ofA); third.number <= second.number {
			t.Errorf("term %d after %d", third.number, second.number)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("taking over after a clean end took %v", took)
		}
	})
}

// revoke ends the leases of the leaders in office, as time would if their
// process hung.
func revoke(t *testing.T, c store.Config) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	resp, err := client.Get(t.Context(), c.Prefix+".lead/", clientv3.WithFirstCreate()...)
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("no leader to depose: %v %v", resp, err)
	}
	if _, err := client.Revoke(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
}

// TestOneLeader has many candidates of three stores, who must never overlap.
func TestOneLeader(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c := p.config(t)
		stores := []*store.DB{open(t, c)}
		if p.shared {
			stores = append(stores, open(t, c), open(t, c))
		}
		var inside, terms atomic.Int32
		var last atomic.Int64
		var wg sync.WaitGroup
		for i := range 9 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stores[i%len(stores)].Lead(ctx, "one", func(ctx context.Context) {
					defer cancel()
					if inside.Add(1) != 1 {
						t.Error("two leaders at once")
					}
					if n := store.Term(ctx); n <= last.Swap(n) {
						t.Errorf("term %d is not newer", n)
					}
					terms.Add(1)
					inside.Add(-1)
				})
			})
		}
		wg.Wait()
		if n := terms.Load(); n != 9 {
			t.Errorf("%d candidates led, want 9", n)
		}
	})
}

// childLead leads until it is killed, and prints its term.
func childLead() {
	db, err := store.Open(context.Background(), store.Config{Dir: os.Args[1]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	db.Lead(context.Background(), "loop", func(ctx context.Context) {
		fmt.Println(store.Term(ctx))
		select {}
	})
}

// TestLeadAfterKill finds the lease of a killed process free at once.
func TestLeadAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := self("lead", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	before, convErr := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil || convErr != nil {
		t.Fatal(err, convErr)
	}
	start := time.Now()
	terms, _ := lead(t, t.Context(), open(t, store.Config{Dir: dir}), "loop")
	if x := next(t, terms); x.number <= before {
		t.Errorf("term %d after %d", x.number, before)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v to lead after a kill", took)
	}
}
