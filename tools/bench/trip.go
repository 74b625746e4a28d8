package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// letter is a request with a mark in it that says which of many it is.
type letter struct {
	request []byte
	at      int
}

// stamp is the place of the mark in a letter: a number of eight digits, between
// signs that no encoding on the way changes.
const stamp = "~00000000~"

func newLetter(request []byte) letter {
	return letter{bytes.Clone(request), bytes.Index(request, []byte(stamp)) + 1}
}

// mark writes the number and returns the request; one without a stamp is left
// as it is.
func (l letter) mark(n int) []byte {
	if l.at == 0 {
		return l.request
	}
	for i := l.at + 7; i >= l.at; i-- {
		l.request[i] = byte('0' + n%10)
		n /= 10
	}
	return l.request
}

// marks calls f with every mark in an answer.
func marks(answer []byte, f func(n int)) {
	for {
		i := bytes.IndexByte(answer, '~')
		if i < 0 || len(answer) < i+len(stamp) {
			return
		}
		answer = answer[i+1:]
		if n, err := strconv.Atoi(string(answer[:8])); err == nil && answer[8] == '~' {
			f(n)
			answer = answer[9:]
		}
	}
}

// trips are messages on their way, marked from base on.
type trips struct {
	base       int
	sent, took []atomic.Int64 // nanoseconds: since epoch, and 0 until it has arrived
	left       atomic.Int64
	all        chan struct{} // closed when all have arrived
}

func newTrips(base, n int) *trips {
	t := &trips{base: base, sent: make([]atomic.Int64, n), took: make([]atomic.Int64, n), all: make(chan struct{})}
	t.left.Store(int64(n))
	return t
}

// epoch is what moments count from.
var epoch = time.Now()

// arrive notes the first arrival of a mark; marks of others are nothing.
func (t *trips) arrive(mark int, at time.Time) {
	i := mark - t.base
	if i < 0 || i >= len(t.took) {
		return
	}
	if t.took[i].CompareAndSwap(0, max(1, int64(at.Sub(epoch))-t.sent[i].Load())) && t.left.Add(-1) == 0 {
		close(t.all)
	}
}

// wait returns how long each took, when all have arrived.
func (t *trips) wait(ctx context.Context) ([]time.Duration, error) {
	select {
	case <-t.all:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(30 * time.Second):
		return nil, fmt.Errorf("%d of %d messages have not arrived after 30 s", t.left.Load(), len(t.took))
	}
	took := make([]time.Duration, len(t.took))
	for i := range took {
		took[i] = time.Duration(t.took[i].Load())
	}
	return took, nil
}

// inbox is polled by several connections at once, which remove what they get.
type inbox struct {
	now    atomic.Pointer[trips]
	next   int // base of the next trips
	cancel context.CancelFunc
	ended  chan error
}

// pollers is how many long polls wait: one of them does while others remove.
const pollers = 8

// openInbox starts polling. Function remove is the request that removes an
// answer's messages, or nil when there are none.
func openInbox(ctx context.Context, url string, poll []byte, remove func(answer []byte) []byte) *inbox {
	ctx, cancel := context.WithCancel(ctx)
	in := &inbox{next: 1, cancel: cancel, ended: make(chan error, 1)}
	in.now.Store(newTrips(0, 0))
	polls, removes := dial(ctx, url, pollers), dial(ctx, url, pollers)
	go func() {
		err := together(pollers, func(i int) error {
			for ctx.Err() == nil {
				err := in.take(polls[i], removes[i], poll, remove)
				if err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
		hangUp(polls)
		hangUp(removes)
		in.ended <- err
	}()
	return in
}

func (in *inbox) take(p, r *conn, poll []byte, remove func([]byte) []byte) error {
	answer, err := p.do(poll)
	if err != nil {
		return err
	}
	at := time.Now()
	marks(answer, func(n int) { in.now.Load().arrive(n, at) })
	if gone := remove(answer); gone != nil {
		_, err = r.do(gone)
	}
	return err
}

func (in *inbox) close() error {
	in.cancel()
	return <-in.ended
}

// measure sends n letters at a rate, from 16 connections, and returns how long
// the calls took and how long it was until each letter was received. The times
// of the calls do not depend on how long calls take: one that stalls is counted
// for all that it holds up.
func (in *inbox) measure(ctx context.Context, url string, rate float64, n int, request []byte) (calls, trips []time.Duration, err error) {
	if newLetter(request).at == 0 {
		return nil, nil, errors.New("a letter without a stamp")
	}
	t := newTrips(in.next, n)
	in.next += n
	in.now.Store(t)
	calls, err = openLoop(ctx, url, rate, n, request, func(i int, from time.Time) int {
		t.sent[i].Store(int64(from.Sub(epoch)))
		return t.base + i
	})
	if err != nil {
		return nil, nil, err
	}
	select {
	case err := <-in.ended:
		in.ended <- err
		return nil, nil, errors.Join(errors.New("the receivers have ended"), err)
	default:
	}
	trips, err = t.wait(ctx)
	return calls, trips, err
}

// openLoop sends a letter n times at a rate and returns how long the calls took.
// Function begin is told when a call begins and says its mark.
func openLoop(ctx context.Context, url string, rate float64, n int, request []byte, begin func(i int, from time.Time) int) ([]time.Duration, error) {
	conns := dial(ctx, url, connections)
	defer hangUp(conns)
	took := make([]time.Duration, n)
	var next atomic.Int64
	began := time.Now()
	err := together(connections, func(w int) error {
		l := newLetter(request)
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			from := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			if early := time.Until(from); early > 0 {
				time.Sleep(early)
				from = time.Now() // that a timer is late is nobody's stall
			}
			if _, err := conns[w].do(l.mark(begin(i, from))); err != nil {
				return err
			}
			took[i] = time.Since(from)
		}
		return ctx.Err()
	})
	return took, err
}
