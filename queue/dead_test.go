package queue

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadLettersCountOn has a dead letter of a standard queue say how often,
// and since when, it was received in all, as on AWS: after maxReceiveCount
// receives its first one in the dead-letter queue counts maxReceiveCount+1. What
// goes back to work is a new message.
func TestDeadLettersCountOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Defaults()
		s.Visibility = 1
		dead := define("dead", s)
		s.Redrive = &Redrive{dead.ARN(), 2}
		b := newBench(fixedRows{"dead": dead, "main": define("main", s)})
		defer b.kill()
		main := b.queue(t, "main")
		mustSend(t, main, Message{Body: "a"})
		time.Sleep(5 * time.Second)
		first := time.Now()
		for range 3 {
			mustReceive(t, main, Receive{})
			time.Sleep(2 * time.Second)
		}
		for i := range 4 {
			if i == 2 {
				b.kill()
			}
			got := mustReceive(t, b.queue(t, "dead"), Receive{})
			if len(got) != 1 || got[0].Receives != 3+i || !got[0].FirstReceived.Equal(first) {
				t.Fatalf("dead: %+v, want the receive %d, the first at %v", got, 3+i, first)
			}
			time.Sleep(2 * time.Second)
		}
		q := b.queue(t, "dead")
		from, err := q.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seqs := from.pull(&q.Definition, 10, from.newest()+1)
		if err := from.transfer(t.Context(), &q.Definition, seqs, forRedrive, func(*payload) (*Queue, error) { return b.e.Queue(here, "main") }); err != nil {
			t.Fatal(err)
		}
		if got := mustReceive(t, b.queue(t, "main"), Receive{}); len(got) != 1 || got[0].Receives != 1 || got[0].FirstReceived.Equal(first) {
			t.Errorf("back at work: %+v", got)
		}
	})
}
