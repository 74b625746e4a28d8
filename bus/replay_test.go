package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// archived makes an archive of events that were taken at those times, in the
// order in which they came into it.
func archived(t *testing.T, db *store.DB, j journal.Journal, at ...int64) Archive {
	t.Helper()
	a := Archive{Scope: here, Name: "a", ID: "id-a", Bus: DefaultName}
	put(t, db, Archives, a)
	log, err := j.Open(t.Context(), archivePrefix+a.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range at {
		if _, err := log.Append(t.Context(), journal.Synced, envelope{ingested: time.Unix(s, 0), event: event(i).JSON}.encode()); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// ended waits for the end of the replay p.
func ended(t *testing.T, db *store.DB) (p Replay) {
	t.Helper()
	commits, unwatch := db.Watch(Replays)
	defer unwatch()
	for end := time.After(10 * time.Second); ; {
		db.View(func(rd store.Reader) error { p, _ = Replays.Get(rd, here.Key("p")); return nil })
		if !p.Active() {
			return p
		}
		select {
		case <-commits:
		case <-end:
			t.Fatalf("the replay does not end: %+v", p)
		}
	}
}

// TestReplayOutOfOrder replays an event that came into the archive behind one
// that was taken later, as events do that are archived side by side.
func TestReplayOutOfOrder(t *testing.T) {
	db, j, r := storetest.Open(t), mem.New(), newReceiver()
	a := archived(t, db, j, 1000, 1010, 1001)
	put(t, db, Rules, rule("r"))
	put(t, db, Replays, Replay{Scope: here, Name: "p", Archive: "a", ArchiveID: a.ID, Bus: DefaultName, State: types.ReplayStateStarting, From: time.Unix(1000, 0), To: time.Unix(1010, 0)})
	_, stop := start(t, db, j, r)
	defer stop()
	if p := ended(t, db); p.State != types.ReplayStateCompleted {
		t.Fatalf("%+v", p)
	}
	got := map[string]bool{}
	for _, d := range r.wait(t, 2) {
		got[d.EventID] = true
	}
	if want := "map[0:true 2:true]"; fmt.Sprint(got) != want {
		t.Errorf("replayed are %v, want %s", got, want)
	}
}

// TestReplayOnFullDisk lets a replay wait for room rather than fail.
func TestReplayOnFullDisk(t *testing.T) {
	var faults journaltest.Faults
	db, j, r := storetest.Open(t), faults.Over(mem.New(), "delivery/events/messages"), newReceiver()
	a := archived(t, db, j, 1000, 1001)
	put(t, db, Rules, rule("r"))
	put(t, db, Replays, Replay{Scope: here, Name: "p", Archive: "a", ArchiveID: a.ID, Bus: DefaultName, State: types.ReplayStateStarting, From: time.Unix(1000, 0), To: time.Unix(1010, 0)})
	faults.Refuse(0, 1)
	e, err := New(Config{DB: db, Journal: j, Targets: map[string]Target{"sqs": r}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx) })
	defer work.Wait()
	defer cancel()
	if p := ended(t, db); p.State != types.ReplayStateCompleted {
		t.Fatalf("the replay is %s: %s", p.State, p.Reason)
	}
	r.wait(t, 2)
}

// TestReplayCutShort has a replay cut short when a batch of it is written and nobody
// knows: it goes on behind that batch.
func TestReplayCutShort(t *testing.T) {
	var faults journaltest.Faults
	db, j, r := storetest.Open(t), faults.Over(mem.New(), "delivery/events/messages"), newReceiver()
	a := archived(t, db, j, slices.Repeat([]int64{1000}, 3*replayBatch)...)
	put(t, db, Rules, rule("r"))
	put(t, db, Replays, Replay{Scope: here, Name: "p", Archive: "a", ArchiveID: a.ID, Bus: DefaultName, State: types.ReplayStateStarting, StartedAt: time.Now(), From: time.Unix(1000, 0), To: time.Unix(1010, 0)})
	faults.Forget(1, 1)
	r.fail = errors.New("not before the end of the replay")
	e, err := New(Config{DB: db, Journal: j, Targets: map[string]Target{"sqs": r}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.backoff = func(int, float64) time.Duration { return 100 * time.Millisecond }
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx) })
	defer work.Wait()
	defer cancel()
	if p := ended(t, db); p.State != types.ReplayStateCompleted || !p.LastEvent.Equal(time.Unix(1000, 0)) {
		t.Fatalf("the replay is %s: %s, of %v", p.State, p.Reason, p.LastEvent)
	}
	r.mu.Lock()
	r.fail = nil
	r.mu.Unlock()
	r.wait(t, 3*replayBatch)
	for end := time.Now().Add(10 * time.Second); e.Stats().Delivery.Waiting > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := r.wait(t, 0); len(got) != 3*replayBatch {
		t.Errorf("%d events came of %d", len(got), 3*replayBatch)
	}
}

// TestReplayIsOver has a replay that was found active begin after it was
// cancelled: it stays as it is, and nothing of it comes.
func TestReplayIsOver(t *testing.T) {
	db, j, r := storetest.Open(t), mem.New(), newReceiver()
	a := archived(t, db, j, 1000, 1001)
	put(t, db, Rules, rule("r"))
	p := Replay{Scope: here, Name: "p", Archive: "a", ArchiveID: a.ID, Bus: DefaultName, State: types.ReplayStateCancelled, StartedAt: time.Now(), EndedAt: time.Now(), From: time.Unix(1000, 0), To: time.Unix(1010, 0)}
	put(t, db, Replays, p)
	e, stop := start(t, db, j, r)
	defer stop()
	if _, err := e.delivery(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := p
	found.State = types.ReplayStateRunning
	e.replay(t.Context(), found)
	if now := ended(t, db); now.State != types.ReplayStateCancelled || !now.EndedAt.Equal(p.EndedAt) {
		t.Errorf("the replay is %s, ended at %v", now.State, now.EndedAt)
	}
	if s := e.Stats(); s.Events != 0 {
		t.Errorf("%d events were put", s.Events)
	}
}
