package broker

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/contract/registry"
)

// TestUsage counts, keeps the counts over a restart, and guards what is used.
func TestUsage(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f := newFixture(t, func(c *Config) { c.Now = func() time.Time { return now.Add(time.Microsecond) } })
	at := queue(SchemaTag, "shop/order@1")
	f.tags[at.ARN()] = at.Tags
	const task = "arn:aws:sts::123456789012:assumed-role/web/"
	for i := range 3 {
		if v := f.Check(f.ctx, at, binaryBody(f.glue(0, datum10)), Sender{Name: fmt.Sprint(task, "task", i)}); v.Err != nil {
			t.Fatal(v.Err)
		}
	}
	f.check(at, binaryBody(f.glue(1, datum10)))
	f.check(at, binaryBody(f.glue(2, datum20)))
	f.check(at, textBody("hello"))

	again := New(f.cfg)
	f.must(f.flush(f.ctx))
	list, err := again.Usage(f.ctx, f.name)
	f.must(err)
	got := map[string][2]int64{}
	for _, u := range list {
		if u.Resource != at.ARN() || !u.Last.Equal(now) || !u.First.Equal(now) {
			t.Errorf("a row is %+v", u)
		}
		got[u.Version+" "+u.Sender] = [2]int64{u.Accepted, u.Refused}
	}
	ann := "arn:aws:iam::123456789012:user/ann"
	want := map[string][2]int64{"1.0.0 arn:aws:sts::123456789012:assumed-role/web": {3, 0}, "1.1.0 " + ann: {0, 1}, "2.0.0 " + ann: {0, 1}, " " + ann: {0, 1}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	again.Check(f.ctx, at, binaryBody(f.glue(0, datum10)), Sender{Name: task + "x"})
	if list, err = again.Usage(f.ctx, f.name); err != nil || list[1].Accepted != 4 {
		t.Errorf("after a restart: %+v, %v", list, err)
	}
	again.Close()

	_, err = f.registry.DeleteVersion(f.ctx, f.name, 1, true)
	if !errors.Is(err, registry.ErrInUse) || !strings.Contains(err.Error(), "took 4 messages of it from arn:aws:sts::123456789012:assumed-role/web") {
		t.Errorf("a version in use is deleted: %v", err)
	}
	if _, err = f.registry.DeleteVersion(f.ctx, f.name, 2, true); err != nil {
		t.Errorf("a version of which every message was refused: %v", err)
	}
	now = now.Add(Window + time.Second)
	if _, err = f.registry.DeleteVersion(f.ctx, f.name, 1, true); err != nil {
		t.Errorf("nobody has sent it for %v: %v", Window, err)
	}
	f.must(f.registry.Sweep(f.ctx))
	f.must(f.sweep(f.ctx))
	if list, err = f.Usage(f.ctx, f.name); err != nil || len(list) != 2 {
		t.Errorf("rows of deleted versions are left: %+v, %v", list, err)
	}
	f.check(at, textBody("hello"))
	if list, err = f.Usage(f.ctx, f.name); err != nil || len(list) != 2 || list[0].Refused != 2 {
		t.Errorf("counted on after the sweep: %+v, %v", list, err)
	}
	f.must(f.Reset(f.ctx, here.Account))
	if list, err = f.Usage(f.ctx, f.name); err != nil || len(list) != 0 {
		t.Errorf("after a reset: %+v, %v", list, err)
	}
}

// TestManySenders bounds the counters.
func TestManySenders(t *testing.T) {
	f := newFixture(t, nil)
	at, m := queue(SchemaTag, "shop/order@1"), binaryBody(f.glue(0, datum10))
	const senders = 3 * maxSenders
	for i := range senders {
		f.Check(f.ctx, at, m, Sender{Name: fmt.Sprint("s", i)})
	}
	list, err := f.Usage(f.ctx, f.name)
	f.must(err)
	var sum int64
	for _, u := range list {
		sum += u.Accepted
	}
	if len(list) != maxSenders+1 || sum != senders {
		t.Errorf("%d rows with %d messages, want %d with %d", len(list), sum, maxSenders+1, senders)
	}
}

// TestDeletedUnderLoad deletes versions while messages of them come: a message
// is taken before the delete, and refused after it.
func TestDeletedUnderLoad(t *testing.T) {
	f := newFixture(t, nil)
	at := queue(SchemaTag, "shop/order@1")
	for _, version := range []int{0, 1} {
		m := binaryBody(f.glue(version, [][]byte{datum10, datum11}[version]))
		var deleted atomic.Bool
		var taken, late atomic.Int64
		var work sync.WaitGroup
		warm, cold, stop := make(chan struct{}), make(chan struct{}), make(chan struct{})
		for range 4 {
			work.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					was := deleted.Load()
					v := f.check(at, m)
					switch {
					case was && v.Err == nil:
						t.Error("taken after the delete")
						fallthrough
					case was:
						if late.Add(1) == 1000 {
							close(cold)
						}
					case v.Err == nil:
						if taken.Add(1) == 1000 {
							close(warm)
						}
					}
				}
			})
		}
		<-warm
		_, err := f.registry.DeleteVersion(f.ctx, f.name, int64(version+1), true)
		f.must(err)
		deleted.Store(true)
		<-cold
		close(stop)
		work.Wait()
		list, err := f.Usage(f.ctx, f.name)
		f.must(err)
		var accepted int64
		for _, u := range list {
			if u.ID == f.versions[version].ID {
				accepted += u.Accepted
			}
		}
		if accepted != taken.Load() {
			t.Errorf("counted %d messages, %d were taken", accepted, taken.Load())
		}
	}
}
