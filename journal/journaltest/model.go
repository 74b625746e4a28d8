package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
)

var runs atomic.Int64 // makes the names of logs differ between runs

// model does random calls to a journal and to one in memory, and compares.
func model(t *testing.T, p Place) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{p: p, mem: mem.New(), prefix: fmt.Sprintf("run-%d/", runs.Add(1)), real: map[string][]journal.Seq{}}
		m.reopen(t)
		defer func() { m.j.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"append": m.append, "append more": m.append, "open": m.open, "delete": m.delete, "trim": m.trim,
			"drop": m.drop, "read": m.read, "get": m.get, "names": m.names, "reopen": m.reopen, "kill": m.kill,
		})
	})
}

// machine drives the two journals. The one in memory numbers records from 1
// without gaps; real has the numbers that the other one gave them.
type machine struct {
	p      Place
	j      journal.Journal
	mem    *mem.Journal
	prefix string
	real   map[string][]journal.Seq
	logs   []pair // open, of any term
}

type pair struct {
	name      string
	model, it journal.Log
}

var ctx = context.Background()

func (m *machine) reopen(t *rapid.T) {
	if m.j != nil {
		if err := m.j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.restart(t)
}

func (m *machine) kill(t *rapid.T) {
	m.p.Kill(m.j)
	m.restart(t)
}

func (m *machine) restart(t *rapid.T) {
	var err error
	if m.j, err = m.p.Open(); err != nil {
		t.Fatal(err)
	}
	m.mem, m.logs = m.mem.Reopen(), nil
}

// same fails the test unless both errors mean the same.
func same(t *rapid.T, what string, model, it error) bool {
	t.Helper()
	for _, e := range []error{journal.ErrFenced, journal.ErrNotFound, journal.ErrClosed, journal.ErrTooBig} {
		if errors.Is(model, e) != errors.Is(it, e) {
			t.Fatalf("%s: %v, the model says %v", what, it, model)
		}
	}
	if (model == nil) != (it == nil) {
		t.Fatalf("%s: %v, the model says %v", what, it, model)
	}
	return model == nil
}

func (m *machine) name(t *rapid.T) string {
	return m.prefix + rapid.SampledFrom([]string{"a", "b", "b/c", "d"}).Draw(t, "name")
}

func (m *machine) term(t *rapid.T) int64 { return rapid.Int64Range(0, 4).Draw(t, "term") }

func (m *machine) open(t *rapid.T) {
	name, term := m.name(t), m.term(t)
	a, err := m.mem.Open(ctx, name, term)
	b, err2 := m.j.Open(ctx, name, term)
	if same(t, "open", err, err2) {
		m.logs = append(m.logs, pair{name, a, b})
	}
}

func (m *machine) drop(t *rapid.T) {
	name, term := m.name(t), m.term(t)
	same(t, "drop", m.mem.Drop(ctx, name, term), m.j.Drop(ctx, name, term))
}

func (m *machine) log(t *rapid.T) pair {
	if len(m.logs) == 0 {
		t.Skip("no log is open")
	}
	return rapid.SampledFrom(m.logs).Draw(t, "log")
}

func (m *machine) append(t *rapid.T) {
	l := m.log(t)
	records := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 40), 1, 10).Draw(t, "records")
	d := rapid.SampledFrom([]journal.Durability{journal.Synced, journal.Written}).Draw(t, "durability")
	_, err := l.model.Append(ctx, d, records...)
	first, err2 := l.it.Append(ctx, d, records...)
	if !same(t, "append", err, err2) {
		return
	}
	real := m.real[l.name]
	if len(real) > 0 && first <= real[len(real)-1] {
		t.Fatalf("append got number %d, %d was given before", first, real[len(real)-1])
	}
	for i := range records {
		real = append(real, first+journal.Seq(i))
	}
	m.real[l.name] = real
}

// number is what the journal calls the model's number.
func (m *machine) number(name string, seq journal.Seq) journal.Seq {
	real := m.real[name]
	switch {
	case seq == 0 || len(real) == 0:
		return 0
	case seq > journal.Seq(len(real)):
		return real[len(real)-1] + seq - journal.Seq(len(real))
	}
	return real[seq-1]
}

// seqs draws numbers of the model, and what the journal calls them.
func (m *machine) seqs(t *rapid.T, l pair) (model, it []journal.Seq) {
	n := uint64(len(m.real[l.name]))
	model = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) journal.Seq {
		return journal.Seq(rapid.Uint64Range(0, n).Draw(t, "seq"))
	}), 1, 5).Draw(t, "seqs")
	for _, s := range model {
		it = append(it, m.number(l.name, s))
	}
	return model, it
}

func (m *machine) delete(t *rapid.T) {
	l := m.log(t)
	model, it := m.seqs(t, l)
	same(t, "delete", l.model.Delete(ctx, model...), l.it.Delete(ctx, it...))
}

func (m *machine) trim(t *rapid.T) {
	l := m.log(t)
	first := journal.Seq(rapid.IntRange(0, len(m.real[l.name])+1).Draw(t, "first"))
	same(t, "trim", l.model.Trim(ctx, first), l.it.Trim(ctx, m.number(l.name, first)))
}

func (m *machine) get(t *rapid.T) {
	l := m.log(t)
	seqs, numbers := m.seqs(t, l)
	want, err := l.model.Get(ctx, seqs...)
	got, err2 := l.it.Get(ctx, numbers...)
	if same(t, "get", err, err2) {
		m.compare(t, l.name, got, want)
	}
}

func (m *machine) read(t *rapid.T) {
	l := m.log(t)
	from := journal.Seq(rapid.IntRange(0, len(m.real[l.name])+1).Draw(t, "from"))
	want, err := collect(l.model, from)
	got, err2 := collect(l.it, m.number(l.name, from))
	if same(t, "read", err, err2) {
		m.compare(t, l.name, got, want)
	}
}

func collect(l journal.Log, from journal.Seq) (records []journal.Record, err error) {
	for r, err := range l.Read(ctx, from) {
		if err != nil {
			return records, err
		}
		records = append(records, r)
	}
	return records, nil
}

func (m *machine) compare(t *rapid.T, name string, got, want []journal.Record) {
	t.Helper()
	for i := range want {
		if want[i].Seq = m.number(name, want[i].Seq); i < len(got) && got[i].Seq == want[i].Seq &&
			string(got[i].Data) == string(want[i].Data) && (got[i].Data == nil) == (want[i].Data == nil) {
			continue
		}
		t.Fatalf("record %d of log %s is wrong:\n got %v\nwant %v", i, name, got, want)
	}
	if len(got) != len(want) {
		t.Fatalf("log %s has %d records, want %d", name, len(got), len(want))
	}
}

func (m *machine) names(t *rapid.T) {
	prefix := m.prefix + rapid.SampledFrom([]string{"", "b", "b/", "x"}).Draw(t, "prefix")
	want, err := m.mem.Names(ctx, prefix)
	got, err2 := m.j.Names(ctx, prefix)
	if same(t, "names", err, err2) && !slices.Equal(got, want) {
		t.Fatalf("names are %q, want %q", got, want)
	}
}

// check holds after every step.
func (m *machine) check(t *rapid.T) {
	for _, l := range m.logs {
		if real := m.real[l.name]; len(real) > 0 && l.it.Next() <= real[len(real)-1] && l.model.Next() > journal.Seq(len(real)) {
			if _, err := l.model.Get(ctx); err == nil { // not a fenced one's, which may be behind
				t.Fatalf("Next is %d after number %d", l.it.Next(), real[len(real)-1])
			}
		}
	}
}
