package main

import (
	"strings"
	"testing"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store/storetest"
)

// TestMatchJournal starts two platforms on two journals in turn.
func TestMatchJournal(t *testing.T) {
	first, second := &platform{db: storetest.Open(t)}, &platform{db: storetest.Open(t)}
	for _, p := range []*platform{first, second} {
		p.cmd = &upCmd{DataDir: t.TempDir()}
		if err := p.matchState(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a, b := mem.New(), mem.New()
	for _, c := range []struct {
		what    string
		p       *platform
		journal journal.Journal
		flags   upCmd
		want    string // of the error
	}{
		{"a state and a journal, both new", first, a, upCmd{}, ""},
		{"again", first, a, upCmd{}, ""},
		{"another journal", first, b, upCmd{Journal: "nats://me:secret@h:1,nats://g"}, "not in nats://h:1,nats://g: give the same --journal as before"},
		{"another state", second, a, upCmd{}, "has another platform's messages"},
		{"another journal, meant so", first, b, upCmd{NewJournal: true}, ""},
		{"the former one", first, a, upCmd{}, "give the same --journal as before"},
		{"the new one", first, b, upCmd{}, ""},
		{"an empty one", first, mem.New(), upCmd{}, "give the same --journal as before"},
	} {
		c.flags.DataDir = c.p.cmd.DataDir
		c.p.cmd, c.p.journal = &c.flags, c.journal
		err := c.p.matchJournal(t.Context())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, expected %q", c.what, err, c.want)
		}
	}
}
