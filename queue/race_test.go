package queue

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// TestPointsUnderLoad makes checkpoints all the time while senders send and
// receivers delete, and kills: what was acknowledged must be as it was said.
func TestPointsUnderLoad(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run(fmt.Sprintf("fifo %v", fifo), func(t *testing.T) {
			s := Defaults()
			s.FIFO = fifo
			b := newBench(fixedRows{"main": define("main", s)})
			sent, deleted := map[string]bool{}, map[string]bool{}
			for round := range 4 {
				underLoad(t, b, round, sent, deleted)
				if round%2 == 0 {
					b.kill()
				} else {
					b.stop()
				}
				ids := idsOf(t, b)
				for id := range sent {
					if ids[id] == 0 && !deleted[id] {
						t.Fatalf("round %d: the message %s is lost", round, id)
					}
				}
				for id, n := range ids {
					if deleted[id] || n > 1 {
						t.Fatalf("round %d: the message %s is there %d times, deleted: %v", round, id, n, deleted[id])
					}
				}
			}
		})
	}
}

func underLoad(t *testing.T, b *bench, round int, sent, deleted map[string]bool) {
	var mu sync.Mutex
	var senders, others sync.WaitGroup
	done := make(chan struct{})
	q := b.queue(t, "main")
	for w := range 3 {
		senders.Go(func() {
			for i := range 400 {
				m := Message{Body: "b"}
				if q.FIFO {
					m.Group, m.Dedup = fmt.Sprint(i%7), fmt.Sprint(round, w, i)
				}
				got, err := q.Send(context.Background(), m, m)
				if err != nil || got[0].Err != nil {
					t.Errorf("send: %v %+v", err, got)
					return
				}
				mu.Lock()
				sent[got[0].ID], sent[got[1].ID] = true, true
				mu.Unlock()
			}
		})
	}
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			got, err := q.Receive(context.Background(), Receive{Max: 3})
			if err != nil {
				t.Errorf("receive: %v", err)
				return
			}
			for _, d := range got {
				if errs, err := q.Delete(context.Background(), d.Handle); err != nil || errs[0] != nil {
					t.Errorf("delete: %v %v", err, errs)
				}
				mu.Lock()
				deleted[d.ID] = true
				mu.Unlock()
			}
		}
	})
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, s := range b.e.open() {
				if err := s.checkpoint(context.Background()); err != nil {
					t.Errorf("checkpoint: %v", err)
				}
			}
		}
	})
	senders.Wait()
	close(done)
	others.Wait()
}

// idsOf counts the messages that are in the queue, by their ids.
func idsOf(t *testing.T, b *bench) map[string]int {
	s, err := b.queue(t, "main").open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	verify(t, s)
	ids := map[string]int{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.each(func(seq uint64, _ *entry) {
		rs, err := s.m.Get(t.Context(), seqOf(seq))
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := parseRecord(rs[0].Data, s.seal)
		if err != nil {
			t.Fatal(err)
		}
		ids[formatUUID(h.id)]++
	})
	return ids
}

// TestPointBetweenArrivals writes a segment as a checkpoint does that began
// before some of its messages came: the next one must have them.
func TestPointBetweenArrivals(t *testing.T) {
	b := newBench(fixedRows{"main": define("main", Defaults())})
	q := b.queue(t, "main")
	if _, err := q.Send(t.Context(), make10()...); err != nil {
		t.Fatal(err)
	}
	s, err := q.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	low := s.index.low(0)
	s.index.dirty = nil
	if s.segmentRecord(low/segmentSize, low+5) == nil {
		t.Fatal("the segment was written as empty")
	}
	if err := s.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.kill()
	if n := len(idsOf(t, b)); n != 10 {
		t.Errorf("%d of 10 messages are left", n)
	}
}

func make10() []Message {
	ms := make([]Message, 10)
	for i := range ms {
		ms[i].Body = fmt.Sprint(i)
	}
	return ms
}
