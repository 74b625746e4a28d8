package stream

import (
	"context"
	"crypto/cipher"
	"sync"
	"time"

	"github.com/dhowhq/dhow/store"
)

// reign is the time in which this process owns the logs.
type reign struct {
	e        *Engine
	ctx      context.Context // ends with the lease
	term     int64
	iterator cipher.AEAD

	mu    sync.Mutex
	lives map[string]*live // by stream id
	subs  map[string]*Subscription
	busy  map[string]bool   // what is being worked on
	seen  map[string]demand // by stream id; tend's

	again chan struct{} // capacity one: look at the tables
}

// Run owns the shards and does the work that calls have recorded, until ctx
// ends. It is to be run under a lease, whose term fences other processes:
//
//	db.Lead(ctx, "streams", engine.Run)
func (e *Engine) Run(ctx context.Context) {
	r := &reign{e: e, ctx: ctx, term: store.Term(ctx), lives: map[string]*live{},
		subs: map[string]*Subscription{}, busy: map[string]bool{}, seen: map[string]demand{}, again: make(chan struct{}, 1)}
	for {
		var err error
		if r.iterator, err = e.iteratorSealer(ctx); err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		e.log.Warn("cannot read the key of iterators, will retry", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	e.mu.Lock()
	e.reign = r
	close(e.owned)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.reign, e.owned = nil, make(chan struct{})
		e.mu.Unlock()
	}()
	r.loop()
}

// owner waits for this process to own the logs.
func (e *Engine) owner(ctx context.Context) (*reign, error) {
	e.mu.Lock()
	r, owned := e.reign, e.owned
	e.mu.Unlock()
	if r != nil {
		return r, nil
	}
	late := time.NewTimer(ownerWait)
	defer late.Stop()
	select {
	case <-owned:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late.C:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reign == nil {
		return nil, ErrNoOwner
	}
	return e.reign, nil
}
