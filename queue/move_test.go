package queue

import (
	"fmt"
	"slices"
	"testing"
)

// TestMoveOfNoisyGroup has a task move what was there when it began, also where a
// newer message of a quieter group is to be received first.
func TestMoveOfNoisyGroup(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		var old []Message
		for i := range 40 {
			old = append(old, Message{Body: fmt.Sprint(i), Group: "loud"})
		}
		mustSend(t, q, old...)
		for range 3 { // somebody looks at thirty of them
			mustReceive(t, q, Receive{Max: 10})
		}
		s, err := q.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		below := s.newest() + 1
		mustSend(t, q, Message{Body: "new", Group: "quiet"})
		seqs := s.pull(&q.Definition, 100, below)
		if len(seqs) != 10 || slices.Max(seqs) >= below {
			t.Errorf("of 10 messages that were there %d are moved: %d, below %d", len(seqs), seqs, below)
		}
		if got := mustReceive(t, q, Receive{Max: 10}); len(got) != 1 || got[0].Body != "new" {
			t.Errorf("left is %+v, want the new one", got)
		}
		verify(t, s)
	})
}

// TestMoveBehindNewer has a message that came after the task began return to the
// front of those that were there before.
func TestMoveBehindNewer(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		mustSend(t, q, Message{Body: "old"})
		held := mustReceive(t, q, Receive{})
		s, err := q.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		below := s.newest() + 1
		mustSend(t, q, Message{Body: "new"})
		held = append(held, mustReceive(t, q, Receive{})...)
		for _, d := range held { // first the old one comes back, then the new one
			if errs, err := q.ChangeVisibility(t.Context(), Change{Handle: d.Handle}); err != nil || errs[0] != nil {
				t.Fatal(err, errs)
			}
		}
		if seqs := s.pull(&q.Definition, 100, below); len(seqs) != 1 || seqs[0] >= below {
			t.Errorf("moved are %d, want the one below %d", seqs, below)
		}
		verify(t, s)
	})
}
