package mem_test

import (
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
