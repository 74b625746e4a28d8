package topic

import (
	"context"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// Logs of topics that are gone are dropped, archives are trimmed, publications
// forgotten in time.
func TestTend(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	ctx := context.Background()
	top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 2; t.Archived = time.Now().Truncate(time.Millisecond) })
	w.publish(top, Message{Body: "x", Group: "g", Dedup: "d"})
	r, err := w.e.current(ctx)
	must(t, err)
	f, err := w.e.fifo(ctx, r, top.ID)
	must(t, err)
	count := func(l journal.Log) (n int) {
		for _, err := range l.Read(ctx, 0) {
			must(t, err)
			n++
		}
		return n
	}
	must(t, w.e.tendOnce(ctx, r, time.Now().Add(4*time.Minute)))
	if count(f.log) != 1 || count(f.archive) != 1 {
		t.Errorf("after four minutes: %d publications, %d archived", count(f.log), count(f.archive))
	}
	must(t, w.e.tendOnce(ctx, r, time.Now().Add(6*time.Minute)))
	if count(f.log) != 0 || len(f.seen) != 0 || count(f.archive) != 1 {
		t.Errorf("after six minutes: %d publications, %d archived", count(f.log), count(f.archive))
	}
	must(t, w.e.tendOnce(ctx, r, time.Now().Add(49*time.Hour)))
	if count(f.archive) != 0 {
		t.Errorf("after two days: %d archived", count(f.archive))
	}
	must(t, w.db.Update(ctx, func(tx *store.Tx) error { Topics.Delete(tx, top.RowKey()); return nil }))
	must(t, w.e.tendOnce(ctx, r, time.Now()))
	names, err := w.journal.Names(ctx, logPrefix)
	must(t, err)
	if len(names) != 0 {
		t.Errorf("left are %q", names)
	}
}

// Tending does not take the place of a topic's first reading.
func TestTendBeforeLoad(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	ctx := context.Background()
	top := w.topic("t.fifo", fifoTopic)
	r, err := w.e.current(ctx)
	must(t, err)
	r.mu.Lock()
	r.fifos[top.ID] = &fifo{seen: map[[32]byte]publication{}} // as a first publication leaves it for a moment
	r.mu.Unlock()
	must(t, w.e.tendOnce(ctx, r, time.Now()))
	w.publish(top, Message{Body: "x", Group: "g", Dedup: "d"})
}
