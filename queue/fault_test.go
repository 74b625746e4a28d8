package queue

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/journal/journaltest"
)

// faults is two queues, of which one has the other's dead letters, over a faulty
// journal, and what their users were told.
type faults struct {
	*bench
	faults  journaltest.Faults
	n       int
	acked   map[string]bool // sent
	asked   map[string]bool // its deletion
	deleted map[string]bool
}

func (f *faults) restart(kill bool) {
	synctest.Wait() // or what is being loaded would outlive its process
	if kill {
		f.kill()
	} else {
		f.stop()
	}
	f.e = New(Config{Journal: f.faults.Over(f.journal), Log: slog.New(slog.DiscardHandler)})
	f.e.rows = f.rows
	f.term++
	f.e.reign(f.term)
}

// fail has appends fail, soon.
func (f *faults) fail(t *rapid.T, how func(after, n int)) {
	how(rapid.IntRange(0, 6).Draw(t, "after"), rapid.IntRange(1, 3).Draw(t, "appends"))
}

func (f *faults) send(t *rapid.T) {
	var out []Message
	for range rapid.IntRange(1, 4).Draw(t, "n") {
		f.n++
		m := Message{Body: fmt.Sprint(f.n)}
		if f.queue(t, "main").FIFO {
			m.Group, m.Dedup = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "group"), m.Body
		}
		out = append(out, m)
	}
	sent, err := f.queue(t, "main").Send(context.Background(), out...)
	for i := range sent {
		if err == nil && sent[i].Err == nil {
			f.acked[out[i].Body] = true
		}
	}
}

// receive gets messages of one of the queues, and deletes some of them.
func (f *faults) receive(t *rapid.T) {
	q := f.queue(t, rapid.SampledFrom([]string{"main", "main", "dead"}).Draw(t, "queue"))
	visibility := time.Duration(max(0, rapid.IntRange(-3, 1).Draw(t, "visibility"))) * 10 * time.Second
	got, err := q.Receive(context.Background(), Receive{Max: rapid.IntRange(1, 10).Draw(t, "max"), Visibility: &visibility})
	if err != nil || visibility == 0 {
		return
	}
	for _, d := range got {
		if f.deleted[d.Body] {
			t.Fatalf("%s came back after it was deleted", d.Body)
		}
		if !rapid.Bool().Draw(t, "delete") {
			continue
		}
		f.asked[d.Body] = true
		if errs, err := q.Delete(context.Background(), d.Handle); err == nil && errs[0] == nil {
			f.deleted[d.Body] = true
		}
	}
}

// redrive brings dead letters back, as a task does.
func (f *faults) redrive(t *rapid.T) {
	q := f.queue(t, "dead")
	s, err := q.open(context.Background())
	if err != nil {
		return
	}
	if seqs := s.pull(&q.Definition, 5, s.newest()+1); len(seqs) > 0 {
		if err := s.transfer(context.Background(), &q.Definition, seqs, forRedrive, func(*payload) (*Queue, error) { return f.e.Queue(here, "main") }); err != nil {
			s.giveUp(context.Background(), &q.Definition, seqs, err)
		}
	}
}

// count says how often each message is in the queues.
func (f *faults) count(t *rapid.T) map[string]int {
	all := map[string]int{}
	for _, name := range []string{"main", "dead"} {
		s, err := f.queue(t, name).open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		verify(t, s)
		s.mu.Lock()
		s.index.each(func(seq uint64, _ *entry) {
			rs, err := s.m.Get(context.Background(), seqOf(seq))
			if err != nil {
				t.Fatalf("%s: %d: %v", name, seq, err)
			}
			_, p, err := parseRecord(rs[0].Data, s.seal)
			if err != nil {
				t.Fatal(err)
			}
			all[p.Body]++
		})
		s.mu.Unlock()
	}
	return all
}

func testFaults(t *testing.T, fifo bool) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any
		synctest.Test(t, func(*testing.T) {
			defer func() { failure = recover() }()
			s := Defaults()
			s.FIFO, s.Retention = fifo, 14*86400
			dead := define("dead", s)
			s.Redrive = &Redrive{dead.ARN(), 1}
			f := &faults{bench: newBench(fixedRows{"dead": dead, "main": define("main", s)}), acked: map[string]bool{}, asked: map[string]bool{}, deleted: map[string]bool{}}
			f.restart(true)
			defer func() {
				synctest.Wait()
				f.kill()
				time.Sleep(time.Minute) // moves of states that were given up see it
			}()
			rt.Repeat(map[string]func(*rapid.T){
				"send": f.send, "receive": f.receive, "receive more": f.receive, "redrive": f.redrive, "redrive more": f.redrive,
				"refuse": func(t *rapid.T) { f.fail(t, f.faults.Refuse) },
				"forget": func(t *rapid.T) { f.fail(t, f.faults.Forget) },
				"pass":   func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second) },
				"kill":   func(*rapid.T) { f.restart(true) },
				"stop":   func(*rapid.T) { f.restart(false) },
				"point": func(*rapid.T) {
					for _, s := range f.e.open() {
						s.checkpoint(context.Background())
					}
				},
			})
			f.faults.Heal()
			for range 2 { // in memory, and as it is on disk
				for range 3 { // a call finds that a state was given up, the next one loads it anew
					for _, name := range []string{"main", "dead"} {
						f.queue(rt, name).Counts(context.Background())
					}
					time.Sleep(time.Minute) // what is under way goes on
				}
				have := f.count(rt)
				for _, body := range slices.Sorted(maps.Keys(f.acked)) {
					if n := have[body]; f.deleted[body] && n > 0 || !f.asked[body] && n != 1 || n > 1 {
						rt.Fatalf("%s is there %d times; deletion asked for: %v, acknowledged: %v", body, n, f.asked[body], f.deleted[body])
					}
				}
				f.restart(true)
			}
		})
		if failure != nil {
			panic(failure)
		}
	})
}

// TestFaultsStandard and TestFaultsFIFO have appends fail, with and without an effect, and the process end at
// any point: what was acknowledged is there once, what was deleted is not.
func TestFaultsStandard(t *testing.T) { testFaults(t, false) }
func TestFaultsFIFO(t *testing.T)     { testFaults(t, true) }
