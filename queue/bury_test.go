package queue

import (
	"testing"
	"time"
)

// Messages that a queue did not take come to another one as its dead letters.
func TestBury(t *testing.T) {
	const from = "arn:aws:sqs:eu-west-1:111111111111:orders"
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		delay := time.Minute
		if _, err := q.Bury(t.Context(), from, Message{Body: "b", Group: "g", Dedup: "d", Delay: &delay}); err != nil {
			t.Fatal(err)
		}
		got := mustReceive(t, q, Receive{Max: 10})
		if len(got) != 1 || got[0].DeadLetterOf != from || got[0].Body != "b" || got[0].Group != "g" {
			t.Fatalf("received %+v", got)
		}
	})
	s := Defaults()
	s.FIFO = true
	inBubble(t, s, func(t *testing.T, q *Queue, _ *bench) {
		for _, m := range []Message{{Body: "b", Group: "g", Dedup: "d"}, {Body: "b", Group: "g", Dedup: "d"}, {Body: "b"}} {
			if sent, err := q.Bury(t.Context(), from, m); err != nil || sent[0].Err != nil {
				t.Fatal(sent, err)
			}
		}
		got := mustReceive(t, q, Receive{Max: 10})
		if len(got) != 2 || got[0].DeadLetterOf != from || got[1].Group != "dead-letters" {
			t.Fatalf("received %+v", got)
		}
	})
}
