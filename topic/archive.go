package topic

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// A record of an archive is a message's time in milliseconds, and the message.
func encodeArchived(t *Topic, m *Message) ([]byte, error) {
	body, err := encode(m, t.seal())
	return append(binary.BigEndian.AppendUint64(nil, uint64(m.Time.UnixMilli())), body...), err
}

func archivedAt(b []byte) (time.Time, error) {
	if len(b) < 8 {
		return time.Time{}, errRecord
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC(), nil
}

// BeginningOfArchive is the time from which on messages can be replayed.
func (t *Topic) BeginningOfArchive(now time.Time) time.Time {
	since := now.AddDate(0, 0, -t.ArchiveDays)
	if since.Before(t.Archived) {
		return t.Archived
	}
	return since
}

// tendLogs forgets old publications, trims archives, and drops the logs of
// topics that are gone.
func (e *Engine) tendLogs(ctx context.Context, r *reign, now time.Time) error {
	names, err := e.cfg.Journal.Names(ctx, logPrefix)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		kind, id, ok := splitLog(name)
		if !ok {
			continue
		}
		t, alive := e.topicByID(id)
		switch {
		case !alive || kind == "archive" && t.ArchiveDays == 0:
			errs = append(errs, e.dropLog(ctx, r, name, kind, id))
		case kind == "archive":
			errs = append(errs, e.trimArchive(ctx, r, t, now))
		}
	}
	r.mu.Lock()
	var open []*fifo
	for _, f := range r.fifos {
		open = append(open, f)
	}
	r.mu.Unlock()
	for _, f := range open {
		if f.loaded.Load() {
			errs = append(errs, f.expire(ctx, now))
		}
	}
	return errors.Join(errs...)
}

// splitLog takes the name of a topic's log apart.
func splitLog(name string) (kind, id string, ok bool) {
	for _, kind := range []string{"dedup", "archive"} {
		prefix := logPrefix + kind + "/"
		if len(name) > len(prefix) && name[:len(prefix)] == prefix {
			return kind, name[len(prefix):], true
		}
	}
	return "", "", false
}

func (e *Engine) topicByID(id string) (t Topic, ok bool) {
	e.cfg.DB.View(func(r store.Reader) error {
		for t = range Topics.By(r, "id", id) {
			ok = true
		}
		return nil
	})
	return t, ok
}

// dropLog removes a log, or, of a topic that is there, what is in it.
func (e *Engine) dropLog(ctx context.Context, r *reign, name, kind, id string) error {
	if kind == "archive" {
		if t, ok := e.topicByID(id); ok {
			return e.emptyArchive(ctx, r, t)
		}
	}
	r.mu.Lock()
	delete(r.fifos, id)
	r.mu.Unlock()
	return e.cfg.Journal.Drop(ctx, name, r.term)
}

// emptyArchive removes what a topic archived that archives no more.
func (e *Engine) emptyArchive(ctx context.Context, r *reign, t Topic) error {
	f, err := e.fifo(ctx, r, t.ID)
	if err != nil {
		return err
	}
	f.order.Lock() // nothing is published, and archived, meanwhile
	defer f.order.Unlock()
	if t, ok := e.topicByID(t.ID); !ok || t.ArchiveDays > 0 {
		return nil
	}
	for _, err := range f.archive.Read(ctx, 0) {
		if err != nil {
			return err
		}
		return f.archive.Trim(ctx, f.archive.Next())
	}
	return nil
}

func (e *Engine) trimArchive(ctx context.Context, r *reign, t Topic, now time.Time) error {
	f, err := e.fifo(ctx, r, t.ID)
	if err != nil {
		return err
	}
	begin := t.BeginningOfArchive(now)
	var first journal.Seq
	for rec, err := range f.archive.Read(ctx, 0) {
		if err != nil {
			return err
		}
		if at, err := archivedAt(rec.Data); err == nil && !at.Before(begin) {
			break
		}
		first = rec.Seq + 1
	}
	if first == 0 {
		return nil
	}
	return f.archive.Trim(ctx, first)
}

// runReplays starts and ends replays as subscriptions say.
func (e *Engine) runReplays(ctx context.Context, r *reign) {
	commits, stop := Subscriptions.Notify(e.cfg.DB, "replay", "1")
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	var mu sync.Mutex
	running := map[string]context.CancelFunc{} // by Replay.ID
	for {
		wanted := map[string]Subscription{}
		mu.Lock() // one that ends meanwhile is among those that run, or not wanted
		e.cfg.DB.View(func(rd store.Reader) error {
			for s := range Subscriptions.By(rd, "replay", "1") {
				wanted[s.Replay.ID] = s
			}
			return nil
		})
		for id, cancel := range running {
			if _, ok := wanted[id]; !ok {
				cancel()
			}
		}
		for id, s := range wanted {
			if running[id] != nil {
				continue
			}
			replay, cancel := context.WithCancel(ctx)
			running[id] = cancel
			work.Go(func() {
				defer func() {
					cancel()
					mu.Lock()
					delete(running, id)
					mu.Unlock()
				}()
				e.replay(replay, r, s)
			})
		}
		mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-commits:
		}
	}
}

// replay carries one out, and again until it is through.
func (e *Engine) replay(ctx context.Context, r *reign, s Subscription) {
	for ctx.Err() == nil {
		err := e.replayOnce(ctx, r, &s)
		if err == nil || ctx.Err() != nil {
			return
		}
		e.log.Warn("a replay stopped, will retry", "subscription", s.ARN(), "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// replayOnce goes on with a replay: from where its row says, or, after an error,
// from where s says.
func (e *Engine) replayOnce(ctx context.Context, r *reign, s *Subscription) error {
	t, ok := e.routes.topic(s.Scope.Key(s.Topic))
	if !ok || t.ID != s.TopicID {
		return e.saveReplay(ctx, s, ReplayFailed)
	}
	f, err := e.fifo(ctx, r, t.ID)
	if err != nil {
		return err
	}
	if err := r.marked(ctx, s); err != nil {
		return err
	}
	var now Subscription
	e.cfg.DB.View(func(rd store.Reader) error { now, ok = Subscriptions.Get(rd, s.RowKey()); return nil })
	if !ok || now.Replay.ID != s.Replay.ID || !now.Replaying() {
		return nil
	}
	now.Replay.Next = max(now.Replay.Next, s.Replay.Next)
	*s = now
	if err := e.saveReplay(ctx, s, ReplayRunning); err != nil {
		return err
	}
	if err := e.replayFrom(ctx, r, t, f, s); err != nil {
		return err
	}
	// Nothing is published while the rest is read; from the end of the replay on
	// new messages go to the subscription directly.
	f.order.Lock()
	defer f.order.Unlock()
	if err := e.replayFrom(ctx, r, t, f, s); err != nil {
		return err
	}
	return e.saveReplay(ctx, s, ReplayCompleted)
}

// replayFrom delivers what the archive holds from s.Replay.Next on.
func (e *Engine) replayFrom(ctx context.Context, r *reign, t *Topic, f *fifo, s *Subscription) error {
	var batch []delivery.Item
	size, next := 0, s.Replay.Next
	for rec, err := range f.archive.Read(ctx, journal.Seq(next)) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		body, err := replayed(t, s, rec.Data)
		if err != nil {
			return err
		}
		if body != nil {
			if size += len(body); len(batch) == replayBatch || len(batch) > 0 && size > delivery.MarkedBytes {
				if err := r.putMarked(ctx, s, batch, next); err != nil {
					return err
				}
				batch, size = nil, len(body)
			}
			batch = append(batch, delivery.Item{Lanes: []string{s.ARN()}, Body: body})
		}
		next = uint64(rec.Seq) + 1
	}
	return r.putMarked(ctx, s, batch, next)
}

// replayed is what a subscription gets of a record of the archive, nil for
// nothing.
func replayed(t *Topic, s *Subscription, data []byte) ([]byte, error) {
	at, err := archivedAt(data)
	if err != nil || at.Before(s.Replay.From) || !s.Replay.To.IsZero() && at.After(s.Replay.To) {
		return nil, err
	}
	m, err := decode(data[8:], t.Key)
	if err != nil || !s.passes(&m) {
		return nil, err
	}
	m.Replay = s.Replay.ID
	return encode(&m, t.seal())
}

// replayDedup is the MessageDeduplicationId of a message that comes again: a
// FIFO queue that got the first one minutes ago must not drop it.
func replayDedup(m *Message) string {
	if m.Replay == "" {
		return m.Dedup
	}
	sum := sha256.Sum256([]byte(m.Replay + "/" + m.Dedup + "/" + m.ID))
	return hex.EncodeToString(sum[:])
}

// saveReplay notes how far a replay is, unless another one took its place.
func (e *Engine) saveReplay(ctx context.Context, s *Subscription, status string) error {
	s.Replay.Status = status
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		row, ok := Subscriptions.Get(tx, s.RowKey())
		if !ok || row.Replay.ID != s.Replay.ID || !row.Replaying() {
			return nil
		}
		row.Replay = s.Replay
		return Subscriptions.Put(tx, row)
	})
}
