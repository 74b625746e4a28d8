package topic

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/store"
)

// The archive is replayed, in order, within its time, and new messages come
// after it.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 7; t.Archived = time.Now().Truncate(time.Millisecond) })
	var want []string
	for i := range 50 {
		w.publish(top, Message{Body: fmt.Sprint(i), Group: "g", Dedup: fmt.Sprint(i)})
		want = append(want, fmt.Sprint(i))
	}
	s := w.subscribe(top, SQS, queueARN("q.fifo"), func(s *Subscription) {
		s.Replay = Replay{ID: "r1", From: time.Now().Add(-time.Hour), Status: ReplayPending}
	})
	for i := 50; i < 100; i++ { // while it runs
		w.publish(top, Message{Body: fmt.Sprint(i), Group: "g", Dedup: fmt.Sprint(i)})
		want = append(want, fmt.Sprint(i))
		if i == 75 {
			w.die()
		}
	}
	w.replayed(s, ReplayCompleted)
	w.publish(top, Message{Body: "last", Group: "g", Dedup: "last"})
	w.settle()
	seen := map[string]bool{}
	var got []string
	for _, m := range w.got[queueARN("q.fifo")] {
		if !seen[m.Dedup] { // as a FIFO queue does
			got = append(got, m.Body)
		}
		seen[m.Dedup] = true
	}
	if !slices.Equal(got, append(want, "last")) {
		t.Errorf("%v", got)
	}
}

// A replay of a subscription that waits for its confirmation begins with that.
func TestReplayOfUnconfirmed(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 7; t.Archived = time.Now().Truncate(time.Millisecond) })
	w.publish(top, Message{Body: "a", Group: "g", Dedup: "a"})
	policy := Replay{From: time.Now().Add(-time.Hour), Status: ReplayPending}
	waiting := w.subscribe(top, SQS, queueARN("waiting.fifo"), func(s *Subscription) { s.Pending, s.Replay = true, policy; s.Replay.ID = "r1" })
	// One that begins later has ended, so the first one would have begun.
	w.replayed(w.subscribe(top, SQS, queueARN("q.fifo"), func(s *Subscription) { s.Replay = policy; s.Replay.ID = "r2" }), ReplayCompleted)
	w.replayed(waiting, ReplayPending)
	must(t, w.db.Update(t.Context(), func(tx *store.Tx) error {
		waiting.Pending = false
		return Subscriptions.Put(tx, *waiting)
	}))
	w.replayed(waiting, ReplayCompleted)
	w.settle()
	if got := w.bodies(queueARN("waiting.fifo")); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v", got)
	}
}

// TestReplayIsOver has a replay that was found active begin after its end: what
// was published since, and delivered, does not come again.
func TestReplayIsOver(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 7; t.Archived = time.Now().Truncate(time.Millisecond) })
	w.publish(top, Message{Body: "old", Group: "g", Dedup: "old"})
	s := w.subscribe(top, SQS, queueARN("q.fifo"), func(s *Subscription) {
		s.Replay = Replay{ID: "r", From: time.Now().Add(-time.Hour), Status: ReplayPending}
	})
	w.replayed(s, ReplayCompleted)
	w.publish(top, Message{Body: "new", Group: "g", Dedup: "new"})
	r, err := w.e.current(t.Context())
	must(t, err)
	must(t, w.e.replayOnce(t.Context(), r, s))
	w.settle()
	if got := w.bodies(queueARN("q.fifo")); !slices.Equal(got, []string{"old", "new"}) {
		t.Errorf("%v", got)
	}
}

// TestReplayGoesOn has a replay to a standard queue meet a full disk, and one be cut
// short when a batch of it is written and nobody knows: they go on behind what is
// written, with nothing coming again.
func TestReplayGoesOn(t *testing.T) {
	for name, fail := range map[string]func(*journaltest.Faults){
		"full disk": func(f *journaltest.Faults) { f.Refuse(1, 1) },
		"cut short": func(f *journaltest.Faults) { f.Forget(0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var faults journaltest.Faults
			w.journal = faults.Over(w.journal, "delivery/topics/messages")
			w.start()
			defer func() { w.stop() }()
			top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 7; t.Archived = time.Now().Truncate(time.Millisecond) })
			want := map[string]int{}
			for i := range 2 * replayBatch {
				w.publish(top, Message{Body: fmt.Sprint(i), Group: "g", Dedup: fmt.Sprint(i)})
				want[fmt.Sprint(i)] = 1
			}
			w.mu.Lock()
			w.refuse = func(string, int) error { return errAway } // until the end of the replay: deliveries may come again too
			w.mu.Unlock()
			fail(&faults)
			s := w.subscribe(top, SQS, queueARN("q"), func(s *Subscription) {
				s.Replay = Replay{ID: "r", From: time.Now().Add(-time.Hour), Status: ReplayPending}
			})
			w.replayed(s, ReplayCompleted)
			w.mu.Lock()
			w.refuse = nil
			w.mu.Unlock()
			w.settle()
			got := map[string]int{}
			for _, body := range w.bodies(queueARN("q")) {
				got[body]++
			}
			if !maps.Equal(got, want) {
				t.Errorf("%d messages came %d times in all, of %d", len(got), len(w.bodies(queueARN("q"))), len(want))
			}
		})
	}
}

// replayed waits for the status of a subscription's replay.
func (w *world) replayed(s *Subscription, status string) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		var now Subscription
		w.db.View(func(r store.Reader) error { now, _ = Subscriptions.Get(r, s.RowKey()); return nil })
		if now.Replay.Status == status {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("the replay is %s", now.Replay.Status)
		}
	}
}

// A replay of a part of the archive takes that part, and only what the filter
// lets through.
func TestReplayPart(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 7; t.Archived = time.Now().Truncate(time.Millisecond) })
	say := func(body, kind string) {
		w.publish(top, Message{Body: body, Group: "g", Dedup: body, Attributes: []Attribute{{Name: "k", Type: "String", Value: kind}}})
		time.Sleep(3 * time.Millisecond)
	}
	say("before", "a")
	from := time.Now().Truncate(time.Millisecond) // times of messages are milliseconds
	say("in", "a")
	say("filtered", "b")
	to := time.Now()
	time.Sleep(2 * time.Millisecond)
	say("after", "a")
	s := w.subscribe(top, SQS, queueARN("q.fifo"), func(s *Subscription) {
		s.Filter = `{"k": ["a"]}`
		s.Replay = Replay{ID: "r", From: from, To: to, Status: ReplayPending}
	})
	w.replayed(s, ReplayCompleted)
	w.settle()
	if got := w.bodies(queueARN("q.fifo")); !slices.Equal(got, []string{"in"}) {
		t.Errorf("%v", got)
	}
}

// What is published while a part of the archive is replayed, and is not of that
// part, is delivered as ever.
func TestPublishedWhilePartIsReplayed(t *testing.T) {
	w := newWorld(t)
	w.start()
	defer func() { w.stop() }()
	top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 7; t.Archived = time.Now().Truncate(time.Millisecond) })
	w.publish(top, Message{Body: "old", Group: "g", Dedup: "old"})
	time.Sleep(3 * time.Millisecond) // times of messages are milliseconds
	to := time.Now().Truncate(time.Millisecond)
	time.Sleep(3 * time.Millisecond)
	w.mu.Lock() // the replay's delivery waits
	s := w.subscribe(top, SQS, queueARN("q.fifo"), func(s *Subscription) {
		s.Replay = Replay{ID: "r", From: to.Add(-time.Hour), To: to, Status: ReplayPending}
	})
	w.publish(top, Message{Body: "new", Group: "g", Dedup: "new"})
	w.mu.Unlock()
	w.replayed(s, ReplayCompleted)
	w.publish(top, Message{Body: "last", Group: "g", Dedup: "last"})
	w.settle()
	got := w.bodies(queueARN("q.fifo"))
	slices.Sort(got)
	if !slices.Equal(got, []string{"last", "new", "old"}) {
		t.Errorf("delivered are %v", got)
	}
}

// TestRoomAfterCrash has the replays that a process left behind when it died end
// in the next one, which frees their places; one that waits for its confirmation
// takes none.
func TestRoomAfterCrash(t *testing.T) {
	w := newWorld(t)
	top := w.topic("t.fifo", fifoTopic, func(t *Topic) { t.ArchiveDays = 7; t.Archived = time.Now().Truncate(time.Millisecond) })
	replaying := func(n int, status string, pending bool) *Subscription {
		return w.subscribe(top, SQS, queueARN(fmt.Sprintf("q%d.fifo", n)), func(s *Subscription) {
			s.Pending, s.Replay = pending, Replay{ID: fmt.Sprint(n), From: time.Now().Add(-time.Hour), Status: status}
		})
	}
	room := func(want bool) {
		t.Helper()
		w.db.View(func(r store.Reader) error {
			if got := RoomToReplay(r, &Subscription{Scope: top.Scope, Topic: top.Name, ID: "next", Replay: Replay{Status: ReplayPending}}); got != want {
				t.Errorf("there is room: %v", got)
			}
			return nil
		})
	}
	var left []*Subscription
	replaying(0, ReplayPending, true)
	for n := 1; n < MaxReplays; n++ {
		left = append(left, replaying(n, ReplayRunning, false))
	}
	room(true)
	left = append(left, replaying(MaxReplays, ReplayPending, false))
	room(false)
	w.start()
	defer func() { w.stop() }()
	for _, s := range left {
		w.replayed(s, ReplayCompleted)
	}
	room(true)
}
