package nats_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/nats"
	"github.com/dhowhq/dhow/journal/nats/natstest"
)

func TestClusterContract(t *testing.T) {
	c := natstest.StartCluster(t)
	n := 0
	journaltest.Run(t, func(*testing.T) journaltest.Place {
		n++
		return place{url: c.URL(), stream: fmt.Sprint("J", n), n: 3}
	})
}

// TestServerLost appends while one server after the other is stopped and started
// again, and misses nothing that was acknowledged.
func TestServerLost(t *testing.T) {
	c := natstest.StartCluster(t)
	j, err := nats.Open(c.URL(), nats.Options{Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	l, err := j.Open(t.Context(), "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	var acked []journal.Seq
	want := map[journal.Seq]string{}
	appendSome := func(n int) {
		for i := 0; i < n; {
			data := fmt.Sprint(len(acked))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			first, err := l.Append(ctx, journal.Synced, []byte(data), []byte(data))
			cancel()
			if errors.Is(err, journal.ErrFenced) {
				t.Fatal(err)
			}
			if err != nil { // nobody knows, or not now
				time.Sleep(50 * time.Millisecond)
				continue
			}
			acked = append(acked, first)
			want[first], want[first+1] = data, data
			i++
		}
	}
	for i := range c.Size() {
		appendSome(20)
		c.Stop(i)
		appendSome(20)
		c.Start(t, i)
		appendSome(20)
		c.WaitCurrent(t, "DHOW_JOURNAL")
	}
	for r, err := range l.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := want[r.Seq]; ok && data != string(r.Data) {
			t.Errorf("record %d is %q, want %q", r.Seq, r.Data, data)
		}
		delete(want, r.Seq)
	}
	if len(want) > 0 {
		t.Errorf("%d records of %d are missing", len(want), 2*len(acked))
	}
}

// TestOpenWithoutLeader opens a journal while the cluster elects its leader.
func TestOpenWithoutLeader(t *testing.T) {
	c := natstest.StartCluster(t)
	c.Stop(c.Leader(""))
	j, err := nats.Open(c.URL(), nats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
}
