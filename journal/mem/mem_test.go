package mem_test

import (
	"slices"
	"testing"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/mem"
)

type place struct{ j *mem.Journal }

func (p *place) Open() (journal.Journal, error) {
	p.j = p.j.Reopen()
	return p.j, nil
}

func (p *place) Kill(j journal.Journal) { j.Close() }

func TestContract(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journaltest.Place { return &place{mem.New()} })
}

// TestPowerLoss loses what came after the last sync, of all logs, the newest
// first, removals too.
func TestPowerLoss(t *testing.T) {
	for _, c := range []struct {
		share float64
		want  []string // of the logs a and b
	}{
		{0, []string{"a1", "a2", "b1"}},
		{0.5, []string{"a1", "a2", "a3", "b1", "b2"}},
		{0.75, []string{"a2", "a3", "b1", "b2"}},
		{1, []string{"a2", "a3", "b1"}},
	} {
		j := mem.New()
		a, b := open(t, j, "a"), open(t, j, "b")
		appendTo(t, a, journal.Written, "a1", "a2")
		appendTo(t, b, journal.Synced, "b1")
		appendTo(t, a, journal.Written|journal.MakesRoom, "a3")
		appendTo(t, b, journal.Written, "b2")
		if err := a.Trim(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if err := b.Delete(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		j = j.PowerLoss(c.share)
		var got []string
		size := int64(0)
		for _, name := range []string{"a", "b"} {
			l := open(t, j, name)
			for r, err := range l.Read(t.Context(), 0) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(r.Data))
			}
			size += l.Size()
		}
		if !slices.Equal(got, c.want) || size != int64(2*len(c.want)) {
			t.Errorf("with a share of %v there are %q of %d bytes, want %q", c.share, got, size, c.want)
		}
	}
}

func open(t *testing.T, j journal.Journal, name string) journal.Log {
	t.Helper()
	l, err := j.Open(t.Context(), name, 1)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendTo(t *testing.T, l journal.Log, d journal.Durability, data ...string) {
	t.Helper()
	for _, s := range data {
		if _, err := l.Append(t.Context(), d, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
}
