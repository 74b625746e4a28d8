package bus

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// replayBatch is how many events of a replay are put at a time.
const replayBatch = 100

// lateBy bounds how late an event comes into its archive, and so, how far behind
// events that were taken after it: it is tried for a day.
const lateBy = 25 * time.Hour

// errCancelled ends a replay; errOver says that it has ended, or is gone.
var (
	errCancelled = errors.New("bus: the replay is cancelled")
	errOver      = errors.New("bus: the replay is over")
)

// runReplays runs the replays that are active, side by side.
func (e *Engine) runReplays(ctx context.Context) {
	commits, stop := e.cfg.DB.Watch(Replays)
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	var mu sync.Mutex
	running := map[string]bool{}
	for ctx.Err() == nil {
		var active []Replay
		mu.Lock() // one that ends meanwhile is among those that run, or not active
		e.cfg.DB.View(func(r store.Reader) error {
			for rp := range Replays.By(r, "active", "1") {
				active = append(active, rp)
			}
			return nil
		})
		for _, r := range active {
			if running[r.Key()] {
				continue
			}
			running[r.Key()] = true
			work.Go(func() {
				e.replay(ctx, r)
				mu.Lock()
				defer mu.Unlock()
				delete(running, r.Key())
			})
		}
		mu.Unlock()
		select {
		case <-ctx.Done():
		case <-commits:
		case <-time.After(time.Minute): // replays that failed on the way
		}
	}
}

// replay runs one replay to its end.
func (e *Engine) replay(ctx context.Context, r Replay) {
	err := e.replayEvents(ctx, r)
	for err != nil && e.passes(r, err) && ctx.Err() == nil {
		e.log.Warn("a replay stopped, will retry", "replay", r.ARN(), "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		err = e.replayEvents(ctx, r)
	}
	if ctx.Err() != nil || errors.Is(err, errOver) {
		return
	}
	update := e.updateReplay(ctx, r, func(now *Replay) {
		now.EndedAt = time.Now().UTC()
		switch {
		case err == nil:
			now.State = types.ReplayStateCompleted
		case errors.Is(err, errCancelled):
			now.State = types.ReplayStateCancelled
		default:
			now.State, now.Reason = types.ReplayStateFailed, err.Error()
		}
	})
	if update != nil && !errors.Is(update, errOver) && ctx.Err() == nil {
		e.log.Warn("cannot note the end of a replay, it is run again", "replay", r.ARN(), "err", update)
	}
}

// passes reports whether what stopped a replay may be over later: a full disk, a
// journal that does not answer. That the archive is gone, or cannot be read,
// lasts.
func (e *Engine) passes(r Replay, err error) bool {
	if errors.Is(err, errCancelled) || errors.Is(err, errOver) || errors.Is(err, errEnvelope) {
		return false
	}
	var a Archive
	var ok bool
	e.cfg.DB.View(func(rd store.Reader) error { a, ok = Archives.Get(rd, r.Scope.Key(r.Archive)); return nil })
	return ok && a.ID == r.ArchiveID
}

func (e *Engine) updateReplay(ctx context.Context, r Replay, f func(*Replay)) error {
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		now, ok := Replays.Get(tx, r.Key())
		if !ok || !now.Active() || !now.StartedAt.Equal(r.StartedAt) {
			return errOver
		}
		f(&now)
		return Replays.Put(tx, now)
	})
}

func (e *Engine) replayEvents(ctx context.Context, r Replay) error {
	l, err := e.archives.get(ctx, e.cfg.DB, r.ArchiveID)
	if err != nil {
		return err
	}
	if err := e.marked(ctx, r); err != nil {
		return err
	}
	if err := e.updateReplay(ctx, r, func(now *Replay) {
		if now.State == types.ReplayStateStarting {
			now.State = types.ReplayStateRunning
		}
		r.State, r.Reached = now.State, now.Reached
	}); err != nil {
		return err
	}
	if r.State == types.ReplayStateCancelling {
		return errCancelled
	}
	var batch []Event
	var last time.Time
	size := 0
	flush := func(next journal.Seq) error {
		if err := e.putMarked(ctx, r, mark{r.StartedAt, next, last}, batch); err != nil {
			return err
		}
		batch, size = nil, 0
		if err := e.marked(ctx, r); err != nil {
			return err
		}
		err := errCancelled
		e.cfg.DB.View(func(rd store.Reader) error {
			if now, ok := Replays.Get(rd, r.Key()); ok && now.State != types.ReplayStateCancelling {
				err = nil
			}
			return nil
		})
		return err
	}
	next := journal.Seq(r.Reached)
	for rec, err := range l.Read(ctx, next) {
		if err != nil {
			return err
		}
		v, err := decode(rec.Data)
		if err != nil {
			return err
		}
		at := v.ingested
		next = rec.Seq + 1
		if !at.Before(r.To.Add(lateBy)) {
			break
		}
		if at.Before(r.From) || !at.Before(r.To) {
			continue
		}
		if size += len(v.event); len(batch) == replayBatch || len(batch) > 0 && size > delivery.MarkedBytes {
			if err := flush(rec.Seq); err != nil {
				return err
			}
			size = len(v.event)
		}
		last = at
		batch = append(batch, Event{Bus: r.Scope, Name: r.Bus, JSON: withReplay(v.event, r.Name), Ingested: now(), Replay: r.ARN(), Only: r.FilterARNs})
	}
	if len(batch) > 0 {
		return flush(next)
	}
	return nil
}

// withReplay adds the replay's name to an event.
func withReplay(event []byte, name string) []byte {
	quoted, err := json.Marshal(name)
	if err != nil || len(event) < 2 {
		return event
	}
	out := make([]byte, 0, len(event)+len(quoted)+16)
	out = append(out, event[:len(event)-1]...)
	out = append(out, `,"replay-name":`...)
	out = append(out, quoted...)
	return append(out, '}')
}
