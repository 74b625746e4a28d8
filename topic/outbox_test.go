package topic

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/dhowhq/dhow/journal"
)

// sparseJournal is a journal whose numbers have gaps between the records of an
// outbox, as those of a cluster have, or of a journal after a kill.
type sparseJournal struct{ journal.Journal }

type sparseLog struct {
	journal.Log
	mu sync.Mutex
}

const gap = 100

func (j sparseJournal) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	l, err := j.Journal.Open(ctx, name, term)
	if name == outboxLog(here.Account) {
		l = &sparseLog{Log: l}
	}
	return l, err
}

func (l *sparseLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var gone []journal.Seq
	for range gap - 1 {
		seq, err := l.Log.Append(ctx, journal.Written, nil)
		if err != nil {
			return 0, err
		}
		gone = append(gone, seq)
	}
	if err := l.Delete(ctx, gone...); err != nil {
		return 0, err
	}
	return l.Log.Append(ctx, d, records...)
}

// TestOutboxKeeps has letters with gaps between their numbers stay, as many as an
// outbox keeps.
func TestOutboxKeeps(t *testing.T) {
	w := newWorld(t)
	w.journal = sparseJournal{w.journal}
	w.start()
	defer func() { w.stop() }()
	r, err := w.e.current(t.Context())
	must(t, err)
	for i := range 300 {
		must(t, w.e.drop(t.Context(), r, here, Letter{Protocol: SMS, To: "+15551234567", Body: fmt.Sprint(i)}))
	}
	got, err := w.e.Outbox(t.Context(), here.Account, 0)
	must(t, err)
	if len(got) != 300 || got[0].Body != "0" {
		t.Errorf("%d of 300 letters are left, of %d that an outbox keeps", len(got), outboxKept)
	}
}

// TestOutboxForgets lets the oldest letters of a full outbox go.
func TestOutboxForgets(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	for round, n := range []int{outboxKept + outboxMore - 1, 2} { // over an end of the process
		r, err := w.e.current(t.Context())
		must(t, err)
		for i := range n {
			must(t, w.e.drop(t.Context(), r, here, Letter{Protocol: SMS, To: "+15551234567", Body: fmt.Sprint(round, " ", i)}))
		}
		if round == 0 {
			w.die()
		}
	}
	got, err := w.e.Outbox(t.Context(), here.Account, 0)
	must(t, err)
	if len(got) != outboxKept+1 || got[0].Body != fmt.Sprint(0, " ", outboxMore) || got[outboxKept].Body != "1 1" {
		t.Errorf("%d letters are left, from %q to %q", len(got), got[0].Body, got[len(got)-1].Body)
	}
}
