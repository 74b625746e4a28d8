package stream

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/disktest"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/journal/pebble"
)

// faulty is a journal with faults, and the next process's.
type faulty struct {
	journal.Journal
	faults *journaltest.Faults
	reopen func() journal.Journal // closes it and opens it again
}

func newFaulty(j journal.Journal, reopen func() journal.Journal) *faulty {
	f := new(journaltest.Faults)
	return &faulty{f.Over(j), f, reopen}
}

// model is what a plain list knows of a stream.
type model struct {
	f     *fixture
	j     *faulty
	ref   Ref
	next  int
	acked map[string][]string // by partition key, in order
	tried map[string]bool
	place map[string]Placed // of acked records, by their data
	held  []held
}

// held is an iterator that a reader holds, and what it must find: the acked
// records of the shard from there on.
type held struct {
	token string
	shard string
	after SequenceNumber
	made  time.Time
}

func (m *model) put(t *rapid.T) {
	var entries []Entry
	for range rapid.IntRange(1, 30).Draw(t, "records") {
		m.next++
		data := fmt.Sprint(m.next)
		m.tried[data] = true
		x := Entry{PartitionKey: fmt.Sprint("key", rapid.IntRange(0, 12).Draw(t, "key")), Data: []byte(data)}
		if rapid.IntRange(0, 5).Draw(t, "large") == 0 {
			x.Data = append(x.Data, make([]byte, 40<<10)...)
		}
		entries = append(entries, x)
	}
	out, err := m.f.Put(m.f.ctx, m.ref, entries...)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range out {
		data := string(entries[i].Data)
		if p.Err == nil {
			m.acked[entries[i].PartitionKey] = append(m.acked[entries[i].PartitionKey], data)
			m.place[data] = p
		}
	}
	m.f.clock.add(time.Second)
}

func (m *model) reshard(t *rapid.T) {
	_, shards, err := m.f.ShardsOf(m.ref)
	if err != nil {
		t.Fatal(err)
	}
	shards = slices.DeleteFunc(shards, func(s Shard) bool { return !s.Open() })
	s := rapid.SampledFrom(shards).Draw(t, "shard")
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		k := HashKey{rapid.Uint64Range(s.Start.Hi, s.End.Hi).Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		err = m.f.Split(m.f.ctx, m.ref, s.ID(), k)
	case 1:
		err = m.f.Merge(m.f.ctx, m.ref, s.ID(), rapid.SampledFrom(shards).Draw(t, "other").ID())
	case 2:
		_, err = m.f.Rescale(m.f.ctx, m.ref, rapid.IntRange((len(shards)+1)/2, min(10, 2*len(shards))).Draw(t, "count"))
	}
	if err != nil && !Is(err, Invalid) && !Is(err, LimitExceeded) {
		t.Fatal(err)
	}
	if err == nil && rapid.Bool().Draw(t, "restart amid") {
		m.restart()
	}
	m.f.active(m.ref)
}

func (m *model) restart() {
	m.f.stop()
	j := newFaulty(m.j.reopen(), m.j.reopen)
	m.j, m.f.j = j, j
	m.f.start(m.f.db)
}

// hold takes an iterator at a record that was acknowledged.
func (m *model) hold(t *rapid.T) {
	_, shards, err := m.f.ShardsOf(m.ref)
	if err != nil {
		t.Fatal(err)
	}
	s := rapid.SampledFrom(shards).Draw(t, "shard")
	start, after := horizon, SequenceNumber{}
	var here []SequenceNumber
	for _, p := range m.place {
		if p.Shard == s.ID() {
			here = append(here, p.Sequence)
		}
	}
	if len(here) > 0 && rapid.Bool().Draw(t, "after a record") {
		slices.SortFunc(here, compare)
		after = rapid.SampledFrom(here).Draw(t, "record")
		start = Start{Type: types.ShardIteratorTypeAfterSequenceNumber, Sequence: after.String()}
	}
	token, err := m.f.Iterator(m.f.ctx, m.ref, s.ID(), start)
	if err != nil {
		t.Fatal(err)
	}
	m.held = append(m.held, held{token, s.ID(), after, m.f.clock.Now()})
}

func compare(a, b SequenceNumber) int {
	switch {
	case a == b:
		return 0
	case a.Less(b):
		return -1
	}
	return 1
}

// resume reads from an iterator that was held, and checks what it gives.
func (m *model) resume(t *rapid.T) {
	if len(m.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(t, "iterator")
	h := m.held[i]
	m.held = slices.Delete(m.held, i, i+1)
	if m.f.clock.Now().Sub(h.made) > iteratorLife {
		return
	}
	found := map[string]bool{}
	last := h.after
	for token := h.token; token != ""; {
		m.f.clock.add(time.Second)
		b, err := m.f.Read(m.f.ctx, token, rapid.IntRange(1, 50).Draw(t, "limit"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Records {
			if compare(r.Sequence, last) <= 0 {
				t.Fatalf("%s came after %s", r.Sequence, last)
			}
			last = r.Sequence
			found[string(r.Data)] = true
		}
		if token = b.Next; b.Behind == 0 {
			break
		}
	}
	for data, p := range m.place {
		if p.Shard == h.shard && h.after.Less(p.Sequence) && !found[data] {
			t.Fatalf("record %.10q at %s is not behind the iterator at %s", data, p.Sequence, h.after)
		}
	}
}

// check reads all shards, parents before children, and compares.
func (m *model) check(t *rapid.T) {
	_, shards, err := m.f.ShardsOf(m.ref)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	numbers := map[string]SequenceNumber{}
	for _, s := range shards {
		token, err := m.f.Iterator(m.f.ctx, m.ref, s.ID(), horizon)
		for token != "" {
			m.f.clock.add(time.Second)
			var b Batch
			if b, err = m.f.Read(m.f.ctx, token, 0); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.Records {
				data := string(r.Data)
				if !m.tried[data[:len(fmt.Sprint(atoi(data)))]] {
					t.Fatalf("record %.10q was never put", data)
				}
				if p, ok := m.place[data]; ok {
					got[r.PartitionKey] = append(got[r.PartitionKey], data)
					if p.Sequence != r.Sequence || p.Shard != s.ID() || p.Encrypted != r.Encrypted {
						t.Fatalf("record %.10q is at %s, encrypted %v; %+v was said", data, r.Sequence, r.Encrypted, p)
					}
				}
				if last := numbers[r.PartitionKey]; compare(last, r.Sequence) >= 0 {
					t.Fatalf("the numbers of %s do not rise: %s, %s", r.PartitionKey, last, r.Sequence)
				}
				numbers[r.PartitionKey] = r.Sequence
			}
			if token = b.Next; b.Behind == 0 {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range m.acked {
		if !slices.Equal(got[key], want) {
			t.Fatalf("of %s there are %d records, want %d in order", key, len(got[key]), len(want))
		}
	}
}

func atoi(s string) (n int) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// TestModel holds an engine against plain lists: nothing acknowledged is lost
// and the order of a partition key's records stands, over resharding, restarts
// in the middle of it, encryption, and a journal that fails.
func TestModel(t *testing.T) {
	t.Run("mem", func(t *testing.T) {
		j := mem.New()
		model1(t, newFaulty(j, func() journal.Journal { j = j.Reopen(); return j }), 1)
	})
	t.Run("pebble", func(t *testing.T) {
		dir := t.TempDir()
		open := func(t testing.TB) journal.Journal {
			j, err := pebble.Open(dir, pebble.Options{})
			must(t, err)
			return j
		}
		// A restart and a sync take their time: fewer of them.
		j := open(t)
		model1(t, newFaulty(j, func() journal.Journal {
			must(t, j.Close())
			j = open(t)
			return j
		}), 8)
	})
}

// model1 runs the property over a journal; one in rare of its cases.
func model1(t *testing.T, j *faulty, rare int) {
	f := newFixtureOn(t, j)
	t.Cleanup(func() {
		f.stop()
		must(t, f.j.Close())
	})
	streams := 0
	disktest.OneIn(t, rare, func(t *rapid.T) {
		streams++
		ref := f.stream(fmt.Sprint("s", streams), rapid.IntRange(1, 4).Draw(t, "shards"))
		m := &model{f: f, j: f.j.(*faulty), ref: ref, acked: map[string][]string{}, tried: map[string]bool{}, place: map[string]Placed{}}
		t.Repeat(map[string]func(*rapid.T){
			"put":     m.put,
			"reshard": m.reshard,
			"restart": func(*rapid.T) { m.restart() },
			"hold":    m.hold,
			"resume":  m.resume,
			"encrypt": func(t *rapid.T) {
				must(f.t, f.Encrypt(f.ctx, ref, rapid.SampledFrom([]string{"", "alias/aws/kinesis"}).Draw(t, "key")))
				f.active(ref)
			},
			"full":    func(*rapid.T) { m.j.faults.Refuse(0, 2); m.put(t); m.j.faults.Heal() },
			"unknown": func(*rapid.T) { m.j.faults.Forget(0, 2); m.put(t); m.j.faults.Heal() },
			"trim": func(t *rapid.T) {
				r, err := f.owner(f.ctx)
				must(f.t, err)
				must(f.t, r.trim())
			},
		})
		m.check(t)
		must(f.t, f.Delete(f.ctx, ref, true))
	})
}
