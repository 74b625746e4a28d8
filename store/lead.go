package store

import (
	"context"
	"net/url"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// leaseSeconds is how long a lease outlives its silent owner.
const leaseSeconds = 10

// election holds this process's lease, which all its offices share.
type election struct {
	mu      sync.Mutex
	session *concurrency.Session
	offices map[string]chan struct{} // per name a token: one candidate per process
	closed  bool
	terms   sync.WaitGroup
}

type termKey struct{}

// Term is the fencing number of the context that Lead gave to its function: it
// grows from leader to leader, over restarts too. It is 0 for other contexts.
func Term(ctx context.Context) int64 {
	t, _ := ctx.Value(termKey{}).(int64)
	return t
}

// Lead runs f while this process holds the named lease, again after each loss,
// until ctx ends. f's context ends when the lease is lost. If f returns before,
// the lease is given up and sought again a second later. The error is that of
// ctx, or ErrClosed.
func (db *DB) Lead(ctx context.Context, name string, f func(ctx context.Context)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(db.ctx, func() { cancel(ErrClosed) })()
	office := db.election.office(name)
	select {
	case <-office:
		defer func() { office <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for ctx.Err() == nil {
		lost, err := db.lead(ctx, name, f)
		if err != nil && ctx.Err() == nil {
			db.log.Warn("cannot seek the lease, will retry", "name", name, "err", err)
		}
		if lost {
			continue
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

// lead serves one term, and reports whether it ended because the lease was
// lost.
func (db *DB) lead(ctx context.Context, name string, f func(ctx context.Context)) (lost bool, err error) {
	s, err := db.election.join(db.client)
	if err != nil {
		return false, err
	}
	defer db.election.terms.Done()
	term, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(s.Ctx(), end)()
	e := concurrency.NewElection(s, db.prefix+".lead/"+url.PathEscape(name))
	if err := e.Campaign(term, db.id); err != nil {
		return false, err
	}
	f(context.WithValue(term, termKey{}, e.Rev()))
	if s.Ctx().Err() != nil {
		return true, nil
	}
	bye, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	return false, e.Resign(bye)
}

// office returns the token of a name.
func (l *election) office(name string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.offices == nil {
		l.offices = map[string]chan struct{}{}
	}
	c := l.offices[name]
	if c == nil {
		c = make(chan struct{}, 1)
		c <- struct{}{}
		l.offices[name] = c
	}
	return c
}

// join returns the living session and counts a term, which the caller ends.
func (l *election) join(c *clientv3.Client) (*concurrency.Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if l.session != nil {
		select {
		case <-l.session.Done():
			l.session = nil
		default:
		}
	}
	if l.session == nil {
		s, err := concurrency.NewSession(c, concurrency.WithTTL(leaseSeconds))
		if err != nil {
			return nil, err
		}
		l.session = s
	}
	l.terms.Add(1)
	return l.session, nil
}

// close waits for the terms, which the end of the store's context ends, and
// gives the lease back, so that others need not wait for it to run out.
func (l *election) close(alive context.Context) {
	l.mu.Lock()
	l.closed = true
	s := l.session
	l.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		l.terms.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
	}
	if s != nil {
		ctx, cancel := context.WithTimeout(alive, 2*time.Second)
		defer cancel()
		s.Orphan()
		s.Client().Revoke(ctx, s.Lease())
	}
}

// dropLeases removes what earlier processes left in the embedded etcd: none of
// them lives, for the directory is ours.
func (db *DB) dropLeases(ctx context.Context) error {
	key := db.prefix + ".lead/"
	resp, err := db.client.Get(ctx, key, clientv3.WithPrefix(), clientv3.WithSerializable(), clientv3.WithCountOnly())
	if err != nil || resp.Count == 0 {
		return err
	}
	_, err = db.client.Delete(ctx, key, clientv3.WithPrefix())
	return err
}
