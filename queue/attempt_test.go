package queue

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestAttemptThatFailed has a receiver leave before it gets its messages, and try
// again after another one got them: what is in somebody's hands is not given out
// a second time.
func TestAttemptThatFailed(t *testing.T) {
	s := Defaults()
	s.FIFO, s.ContentDedup = true, true
	inBubble(t, s, func(t *testing.T, q *Queue, b *bench) {
		mustSend(t, q, Message{Body: "b", Group: "g"})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := q.Receive(gone, Receive{Attempt: "x"}); !errors.Is(err, context.Canceled) || len(got) > 0 {
			t.Fatalf("a receiver that left: %v, %v", got, err)
		}
		if got := mustReceive(t, q, Receive{}); len(got) != 1 || got[0].Receives != 1 {
			t.Fatalf("another receiver got %+v", got)
		}
		if got := mustReceive(t, q, Receive{Attempt: "x"}); len(got) > 0 {
			t.Errorf("the first one, who tried again, got what the other one holds: %+v", got)
		}
		time.Sleep(time.Duration(s.Visibility) * time.Second)
		if got := mustReceive(t, q, Receive{Attempt: "x"}); len(got) != 1 || got[0].Receives != 2 {
			t.Errorf("after the visibility timeout the same attempt got %+v", got)
		}
	})
}
