package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// batch is a group of transactions for one etcd transaction.
type batch struct {
	id      string
	txs     []*pending
	changes []write // one per row: what it was before the batch, what it is after
	at      map[rowID]int
	size    int
	sealed  bool
	after   *state        // once sealed
	expect  string        // what the clock must say
	prev    *batch        // flew before this one when it was taken
	start   time.Time     // when it was taken
	over    bool          // committed or taken apart; guarded by DB.applying
	done    chan struct{} // closed when err is final
	err     error         // nil: committed; errRetry: taken apart
	once    sync.Once
}

type rowID struct {
	def *def
	key string
}

// pending is a transaction that waits for its outcome.
type pending struct {
	tx   *Tx
	done chan error // capacity one
}

// wait returns the outcome.
func (p *pending) wait(ctx context.Context) error {
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// settle tells everyone in a batch its outcome. The first one counts.
func (b *batch) settle(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.done)
		for _, p := range b.txs {
			p.done <- err
		}
	})
}
