// Package journaltest holds what every journal must do: tests of the contract
// that back ends run.
package journaltest

import (
	"testing"

	"github.com/dhowhq/dhow/journal"
)

// Place is where a journal's data lies, a directory or a cluster. It outlives the
// journals that are opened on it, one after the other.
type Place interface {
	// Open opens a journal, as another process would after the end of the last.
	Open() (journal.Journal, error)
	// Kill ends j as kill -9 of its process would.
	Kill(j journal.Journal)
}

// Run runs the contract against places that are made by make, one for each test.
func Run(t *testing.T, make func(t *testing.T) Place) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Place)
	}{
		{"append and read", appendAndRead},
		{"numbers", numbers},
		{"data is copied", dataIsCopied},
		{"get", get},
		{"delete", remove},
		{"trim", trim},
		{"long read", longRead},
		{"read while trimming", readWhileTrimming},
		{"fencing", fencing},
		{"drop", drop},
		{"names", names},
		{"limits", limits},
		{"cancelled contexts", cancelled},
		{"closed", closed},
		{"concurrent appends to one log", func(t *testing.T, p Place) { concurrent(t, p, 1) }},
		{"concurrent appends to many logs", func(t *testing.T, p Place) { concurrent(t, p, 25) }},
		{"what was acknowledged survives", survives},
		{"size", size},
		{"model", model},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, make(t)) })
	}
}

// open opens the place's journal until the end of the test.
func open(t *testing.T, p Place) journal.Journal {
	t.Helper()
	j, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// openLog opens a log in an open journal.
func openLog(t *testing.T, j journal.Journal, name string, term int64) journal.Log {
	t.Helper()
	l, err := j.Open(t.Context(), name, term)
	if err != nil {
		t.Fatalf("open %s for term %d: %v", name, term, err)
	}
	return l
}

// appendAll appends the strings with one call, and returns the number of the
// first.
func appendAll(t *testing.T, l journal.Log, d journal.Durability, records ...string) journal.Seq {
	t.Helper()
	data := make([][]byte, len(records))
	for i, r := range records {
		data[i] = []byte(r)
	}
	first, err := l.Append(t.Context(), d, data...)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return first
}

// read returns the log's records from a number on, as strings.
func read(t *testing.T, l journal.Log, from journal.Seq) (records []string) {
	t.Helper()
	last := journal.Seq(0)
	for r, err := range l.Read(t.Context(), from) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if r.Seq < from || r.Seq <= last {
			t.Errorf("reading from %d, record %d came after %d", from, r.Seq, last)
		}
		last = r.Seq
		records = append(records, string(r.Data))
	}
	return records
}
