package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// lag is how long what became of deliveries may be unwritten: what a kill of the
// process lets come again.
const lag = 5 * time.Millisecond

// wakeFlush has the flusher come soon. The mutex is held.
func (e *Engine) wakeFlush() {
	select {
	case e.flushes <- struct{}{}:
	default:
	}
}

// flushUntil writes what became of deliveries until ctx ends.
func (e *Engine) flushUntil(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.flushes:
		}
		err, wait := e.flush(ctx), lag
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, journal.ErrFull): // what was to be written is kept
			e.cfg.Log.Warn("there is no room to write what became of deliveries, will retry", "err", err)
			wait = time.Second
		case err != nil:
			e.fail(err)
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// flush writes the states that changed and removes records that are done.
func (e *Engine) flush(ctx context.Context) error {
	e.mu.Lock()
	if e.failed != nil {
		defer e.mu.Unlock()
		return e.failed
	}
	done, changed := e.done, e.changed
	e.done, e.changed = nil, nil
	var states [][]byte
	for _, t := range changed {
		if t.rec.left > 0 {
			states = append(states, encodeState(taskKey{t.rec.seq, t.n}, t.state))
		}
	}
	first, trim := e.advance()
	e.mu.Unlock()
	err := e.write(ctx, done, states, first, trim)
	if errors.Is(err, journal.ErrFull) {
		e.mu.Lock()
		e.done, e.changed = append(done, e.done...), append(changed, e.changed...)
		e.wakeFlush()
		e.mu.Unlock()
	}
	return err
}

func (e *Engine) write(ctx context.Context, done []*record, states [][]byte, first journal.Seq, trim bool) error {
	if err := e.writeStates(ctx, states); err != nil {
		return err
	}
	if trim {
		if err := e.ingest.Trim(ctx, first); err != nil {
			return err
		}
	}
	var rest []journal.Seq
	for _, r := range done {
		if r.seq >= first {
			rest = append(rest, r.seq)
		}
	}
	if len(rest) > 0 {
		if err := e.ingest.Delete(ctx, rest...); err != nil {
			return err
		}
	}
	return e.compact(ctx)
}

// advance passes over the records at the beginning that are done, and returns
// the number below which there is none that is not, and whether it is new.
// Records that are on disk but not admitted yet are not done either.
func (e *Engine) advance() (first journal.Seq, moved bool) {
	bound := e.ingest.Next()
	for floor := range e.appends {
		bound = min(bound, *floor)
	}
	n := 0
	for n < len(e.order) && e.order[n].left == 0 && e.order[n].seq < bound {
		n++
	}
	if n > 0 {
		first = e.order[n-1].seq + 1
		e.order = slices.Delete(e.order, 0, n)
	}
	return first, n > 0
}

// writeStates uses what is kept of a full disk: the removal of records comes
// after their states.
func (e *Engine) writeStates(ctx context.Context, states [][]byte) error {
	for chunk := range slices.Chunk(states, journal.MaxBatch) {
		if _, err := e.states.Append(ctx, journal.Written|journal.MakesRoom, chunk...); err != nil {
			return err
		}
		e.written += len(chunk)
	}
	return nil
}

// compact writes the states that still count anew and drops the rest, when they
// are the lesser part.
func (e *Engine) compact(ctx context.Context) error {
	e.mu.Lock()
	if e.written < 1000 || e.written < 4*len(e.open) {
		e.mu.Unlock()
		return nil
	}
	first := e.states.Next()
	var states [][]byte
	e.mu.Unlock()
	live := map[taskKey][]byte{}
	for r, err := range e.states.Read(ctx, 0) {
		if err != nil {
			return err
		}
		k, _, err := decodeState(r.Data)
		if err != nil {
			return err
		}
		live[k] = r.Data
	}
	e.mu.Lock()
	for k, data := range live {
		if e.open[k.seq] != nil {
			states = append(states, data)
		}
	}
	e.mu.Unlock()
	e.written = 0
	if err := e.writeStates(ctx, states); err != nil {
		return err
	}
	return e.states.Trim(ctx, first)
}
