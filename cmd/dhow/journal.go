package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/nats"
	"github.com/dhowhq/dhow/journal/pebble"
	"github.com/dhowhq/dhow/store"
)

func (p *platform) openJournal() error {
	if p.cmd.Journal != "" {
		j, err := nats.Open(p.cmd.Journal, nats.Options{Replicas: p.cmd.Replicas})
		if err == nil {
			p.journal = j
		}
		return err
	}
	j, err := pebble.Open(filepath.Join(p.cmd.DataDir, "journal"), pebble.Options{Log: p.log})
	if err == nil {
		p.journal = j
	}
	return err
}

// matchJournal holds that the state and the journal belong together. In another
// journal the state's queues would be empty, and what two platforms write into
// one would be mixed. A journal says in a log whose it is and its own name, the
// state in a setting which journal it uses.
func (p *platform) matchJournal(ctx context.Context) error {
	const owner, name = "platform", "journal"
	var state, used setting
	p.db.View(func(r store.Reader) error {
		state, _ = settings.Get(r, stateID)
		used, _ = settings.Get(r, name)
		return nil
	})
	log, err := p.journal.Open(ctx, owner, 1)
	if err != nil {
		return err
	}
	said, err := lastRecord(ctx, log)
	if err != nil {
		return err
	}
	of, id, _ := strings.Cut(said, " ")
	usedID, usedAt, _ := strings.Cut(used.Value, " ")
	switch {
	case said != "" && of != state.Value:
		return fmt.Errorf("the journal %s has another platform's messages: give the --data-dir or --etcd-endpoints that it was used with, or another --journal", p.journalPlace())
	case usedID != "" && usedID != id && !p.cmd.NewJournal && usedAt == p.journalPlace():
		return fmt.Errorf("the messages of this state were in another journal in the place of %s: bring that back, give the same --journal as before, or leave them behind with --new-journal", usedAt)
	case usedID != "" && usedID != id && !p.cmd.NewJournal:
		return fmt.Errorf("the messages of this state are in the journal %s, not in %s: give the same --journal as before, or leave them behind with --new-journal", usedAt, p.journalPlace())
	case id == "":
		id = cluster.NewID()
		if _, err := log.Append(ctx, journal.Synced, []byte(state.Value+" "+id)); err != nil {
			return err
		}
	case usedID == id:
		return nil
	}
	return p.db.Update(ctx, func(tx *store.Tx) error { return settings.Put(tx, setting{name, id + " " + p.journalPlace()}) })
}

// journalPlace says where the journal is, without credentials.
func (p *platform) journalPlace() string {
	if p.cmd.Journal == "" {
		return filepath.Join(p.cmd.DataDir, "journal")
	}
	servers := strings.Split(p.cmd.Journal, ",")
	for i, s := range servers {
		if u, err := url.Parse(s); err == nil {
			u.User = nil
			servers[i] = u.String()
		}
	}
	return strings.Join(servers, ",")
}

// lastRecord is the newest record of a log; "" if it has none.
func lastRecord(ctx context.Context, l journal.Log) (string, error) {
	var last string
	var failed error
	for r, err := range l.Read(ctx, 0) {
		last, failed = string(r.Data), errors.Join(failed, err)
	}
	return last, failed
}
