package topic

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/disktest"
)

// onDisk keeps the world's messages on a disk that loses power when the engine
// dies.
func (w *world) onDisk(seed uint64) {
	d := disktest.Files(w.t, seed)
	w.journal, w.reopen = d.Journal(), d.PowerLoss
	w.t.Cleanup(func() { d.Close() })
}

// TestPowerLoss cuts the power after publications that were acknowledged to a FIFO
// topic: what is published again then is a duplicate, and everything is
// delivered and, of a topic that archives, in the archive.
func TestPowerLoss(t *testing.T) {
	for name, days := range map[string]int{"plain": 0, "with an archive": 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.onDisk(uint64(days))
			w.start()
			defer func() { w.stop() }()
			topic := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = days })
			w.subscribe(topic, SQS, queueARN("q.fifo"))
			var told []Published
			message := func(n int) Message { return Message{Body: fmt.Sprint(n), Group: "g", Dedup: fmt.Sprint("d", n)} }
			for n := range 20 {
				for range 3 { // the first after a start is synced for its number's sake
					told = append(told, w.publish(topic, message(len(told)))...)
				}
				w.die()
				for i, first := range told {
					if again := w.publish(topic, message(i))[0]; again != first {
						t.Fatalf("after loss %d of power, message %d was published as %v, and again as %v", n, i, first, again)
					}
				}
			}
			w.settle()
			got := w.bodies(queueARN("q.fifo"))
			for n := range told {
				if !slices.Contains(got, fmt.Sprint(n)) {
					t.Errorf("message %d was not delivered", n)
				}
			}
			if archived := len(w.archived(topic)); days > 0 && archived != len(told) {
				t.Errorf("%d messages are in the archive, %d were published", archived, len(told))
			}
		})
	}
}

// TestPowerLossUnderLoad cuts it while publishers publish, to topics with and
// without a subscriber: what was acknowledged to them is a duplicate, and of
// what is a duplicate nothing is lost.
func TestPowerLossUnderLoad(t *testing.T) {
	for seed := range uint64(8) {
		w := newWorld(t)
		w.onDisk(seed)
		w.start()
		topics := []*Topic{w.topic("heard.fifo", fifoTopic), w.topic("unheard.fifo", fifoTopic), w.topic("kept.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 1 })}
		w.subscribe(topics[0], SQS, queueARN("heard.fifo"))
		w.subscribe(topics[2], SQS, queueARN("kept.fifo"))
		message := func(n int) Message { return Message{Body: fmt.Sprint(n), Group: "g", Dedup: fmt.Sprint(n)} }
		told := make([][]Published, len(topics))
		for range 3 {
			e := w.e
			ctx, cancel := context.WithCancel(t.Context())
			var publishers sync.WaitGroup
			for i, topic := range topics {
				publishers.Go(func() {
					for ctx.Err() == nil {
						out, err := e.Publish(ctx, topic.ARN(), message(len(told[i])))
						if err != nil {
							return // nobody knows what became of it
						}
						told[i] = append(told[i], out...)
					}
				})
			}
			time.Sleep(time.Duration(3+seed) * time.Millisecond) // of publishing, before the loss in the midst of it
			cancel()                                             // none begins another one; those under way go on
			w.die()
			publishers.Wait()
			for i, topic := range topics {
				for n, first := range told[i] {
					if again := w.publish(topic, message(n))[0]; again != first {
						t.Fatalf("seed %d: message %d of %d of %s was published as %v, and again as %v", seed, n, len(told[i]), topic.Name, first, again)
					}
				}
				told[i] = append(told[i], w.publish(topic, message(len(told[i])))...) // and what was under way
			}
		}
		w.settle()
		for _, i := range []int{0, 2} {
			got := map[string]bool{}
			for _, body := range w.bodies(queueARN(topics[i].Name)) {
				got[body] = true
			}
			if len(got) != len(told[i]) {
				t.Errorf("seed %d: %d messages of %s were delivered, %d were published", seed, len(got), topics[i].Name, len(told[i]))
			}
		}
		w.stop()
	}
}

// archived is what a topic's archive holds.
func (w *world) archived(t *Topic) (out []journal.Record) {
	w.t.Helper()
	r, err := w.e.current(w.t.Context())
	must(w.t, err)
	f, err := w.e.fifo(w.t.Context(), r, t.ID)
	must(w.t, err)
	for rec, err := range f.archive.Read(w.t.Context(), 0) {
		must(w.t, err)
		out = append(out, rec)
	}
	return out
}
