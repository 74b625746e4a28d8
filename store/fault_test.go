package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// faultyKV is an etcd that loses, delays and repeats what passes between it and
// the store.
type faultyKV struct {
	clientv3.KV
	late  sync.WaitGroup
	calm  atomic.Bool
	count [6]atomic.Int32 // of each fault
}

func (f *faultyKV) Txn(ctx context.Context) clientv3.Txn {
	return &faultyTxn{Txn: f.KV.Txn(ctx), again: f.KV.Txn(context.Background()), kv: f}
}

type faultyTxn struct {
	clientv3.Txn
	again clientv3.Txn // the same transaction, to be sent late
	kv    *faultyKV
}

func (t *faultyTxn) If(c ...clientv3.Cmp) clientv3.Txn {
	t.Txn, t.again = t.Txn.If(c...), t.again.If(c...)
	return t
}

func (t *faultyTxn) Then(o ...clientv3.Op) clientv3.Txn {
	t.Txn, t.again = t.Txn.Then(o...), t.again.Then(o...)
	return t
}

func (t *faultyTxn) Else(o ...clientv3.Op) clientv3.Txn {
	t.Txn, t.again = t.Txn.Else(o...), t.again.Else(o...)
	return t
}

func (t *faultyTxn) Commit() (*clientv3.TxnResponse, error) {
	f := t.kv
	if f.calm.Load() {
		return t.Txn.Commit()
	}
	fault := rand.IntN(12)
	if fault < len(f.count) {
		f.count[fault].Add(1)
	}
	switch fault {
	case 0: // the request is lost
		return nil, rpctypes.ErrTimeout
	case 1: // the answer is lost
		t.Txn.Commit()
		return nil, rpctypes.ErrTimeout
	case 2: // the request arrives when nobody waits for it any more
		f.late.Go(func() {
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			t.again.Commit()
		})
		return nil, context.DeadlineExceeded
	case 3: // the request is overtaken
		time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
		return t.Txn.Commit()
	case 4: // no space
		return nil, rpctypes.ErrNoSpace
	case 5: // no space, but for this one
		t.Txn.Commit()
		return nil, rpctypes.ErrNoSpace
	}
	return t.Txn.Commit()
}

// TestFaults counts exactly over an etcd whose answers get lost, with batches
// large enough to fly two at a time.
func TestFaults(t *testing.T) {
	db := open(t, Config{Dir: t.TempDir(), UnsafeNoSync: true})
	defer db.Close()
	kv := &faultyKV{KV: db.client.KV}
	db.client.KV = kv

	const writers, each, counters, width = 24, 60, 40, 20
	type outcome struct {
		rows []int
		err  error
	}
	outcomes := make([][]outcome, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				rows := rand.Perm(counters)[:width]
				err := db.Update(context.Background(), func(tx *Tx) error {
					for _, n := range rows {
						id := fmt.Sprint("counter", n)
						v, _ := items.Get(tx, id)
						if err := items.Put(tx, item{ID: id, Body: v.Body + "+"}); err != nil {
							return err
						}
					}
					return items.Put(tx, item{ID: fmt.Sprint("receipt", w, "-", i)})
				})
				outcomes[w] = append(outcomes[w], outcome{rows, err})
			}
		})
	}
	wg.Wait()
	kv.calm.Store(true)
	kv.late.Wait()
	if err := db.reload(t.Context()); err != nil { // what came late
		t.Fatal(err)
	}

	fresh, err := db.load(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for name, s := range map[string]*state{"cache": db.now.Load(), "etcd": fresh} {
		var want [counters]int
		for w := range outcomes {
			for i, o := range outcomes[w] {
				_, in := items.Get(s, fmt.Sprint("receipt", w, "-", i))
				switch {
				case o.err == nil && !in:
					t.Errorf("%s: an acknowledged transaction is not there", name)
				case errors.Is(o.err, ErrUnknown):
					kinds["unknown"]++
				case errors.Is(o.err, ErrFull):
					kinds["refused"]++
					if in {
						t.Errorf("%s: a refused transaction is there", name)
					}
				case o.err != nil:
					t.Error(o.err)
				}
				for _, n := range o.rows {
					if in {
						want[n]++
					}
				}
			}
		}
		for n, want := range want {
			v, _ := items.Get(s, fmt.Sprint("counter", n))
			if got := strings.Count(v.Body, "+"); got != want {
				t.Errorf("%s: counter %d is %d, the transactions that are there make %d", name, n, got, want)
			}
		}
	}
	for i := range kv.count {
		if kv.count[i].Load() == 0 {
			t.Errorf("fault %d did not happen", i)
		}
	}
	t.Logf("%+v, %v", db.Stats(), kinds)
}
