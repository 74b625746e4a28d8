package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
)

// reserveLog is the log of a full disk: it takes what makes room, nothing else.
type reserveLog struct{ journal.Log }

func (l reserveLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if d&journal.MakesRoom == 0 {
		return 0, journal.ErrFull
	}
	return l.Log.Append(ctx, d, records...)
}

// TestMakesRoom has a disk that filled up with deliveries: those that come to an
// end make room, also while the tries of another one, which fail, are to be written.
func TestMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 185}, send: func(_ context.Context, m Message) error {
			if m.Lane == "down" {
				return errors.New("no")
			}
			return nil
		}}
		e, err := Open(context.Background(), w.config(mem.New()))
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, e, Item{[]string{"down"}, []byte("x")})
		for range 10 {
			enqueue(t, e, Item{[]string{"up"}, []byte("x")})
		}
		e.states, e.ingest = reserveLog{e.states}, reserveLog{e.ingest}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go e.Run(ctx)
		time.Sleep(time.Hour)
		if n := records(t, e.ingest); n != 1 {
			t.Errorf("%d records on the full disk, of which one is to be delivered still", n)
		}
	})
}
