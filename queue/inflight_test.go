package queue

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/dhowhq/dhow/journal"
)

// slow is a journal whose appends of messages wait for a gate, and whose other
// ones have an outcome that is not known while lost is set.
type slow struct {
	journal.Journal
	gate atomic.Pointer[chan struct{}]
	lost atomic.Bool
}

type slowLog struct {
	journal.Log
	j        *slow
	messages bool
}

func (j *slow) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	l, err := j.Journal.Open(ctx, name, term)
	return &slowLog{l, j, strings.HasSuffix(name, "/messages")}, err
}

func (l *slowLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if gate := l.j.gate.Load(); l.messages && gate != nil {
		<-*gate
	}
	if !l.messages && l.j.lost.Load() {
		return 0, journal.ErrUnknown
	}
	return l.Log.Append(ctx, d, records...)
}

// TestSendWhileGivenUp gives a queue up while a message is on its way to the
// journal: once it is acknowledged, it is there.
func TestSendWhileGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(fixedRows{"main": define("main", Defaults())})
		defer b.kill()
		j := &slow{Journal: b.journal}
		b.e = New(Config{Journal: j, Log: slog.New(slog.DiscardHandler)})
		b.e.rows = b.rows
		b.term++
		b.e.reign(b.term)
		mustSend(t, b.queue(t, "main"), Message{Body: "a"})
		gate, sent := make(chan struct{}), make(chan error, 1)
		j.gate.Store(&gate)
		go func() {
			got, err := b.queue(t, "main").Send(context.Background(), Message{Body: "b"})
			if err == nil {
				err = got[0].Err
			}
			sent <- err
		}()
		synctest.Wait()
		j.lost.Store(true)
		if got, err := b.queue(t, "main").Receive(t.Context(), Receive{}); err == nil {
			t.Fatalf("received %v, with an outcome that is not known", got)
		}
		j.lost.Store(false)
		for range 3 { // calls that may load the queue anew
			b.queue(t, "main").Counts(t.Context())
			synctest.Wait()
		}
		j.gate.Store(nil)
		close(gate)
		err := <-sent
		synctest.Wait()
		b.queue(t, "main").Counts(t.Context())
		synctest.Wait()
		c, countErr := b.queue(t, "main").Counts(t.Context())
		if countErr != nil || err == nil && c.Visible != 2 {
			t.Errorf("the second message was acknowledged: %v; the queue has %+v, %v", err == nil, c, countErr)
		}
	})
}
