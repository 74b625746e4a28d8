package bus

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// ArchiveSize is how much an archive holds. The engine writes it now and then;
// what was archived since the last time is counted at the next start.
type ArchiveSize struct {
	ID     string // Archive.ID
	Events int64
	Bytes  int64
	Next   journal.Seq // what is from here on is not counted
	Newest journal.Seq // what is from here on, a few thousand records, the next start has to know again
}

// ArchiveSizes is the table of archives' sizes.
var ArchiveSizes = store.NewTable("bus.archivesizes", func(s ArchiveSize) string { return s.ID })

const archivePrefix = "bus/archives/"

// archiveLogs are the logs of archives that are open.
type archiveLogs struct {
	mu      sync.Mutex
	journal journal.Journal
	term    int64
	open    map[string]*archiveLog // by Archive.ID
}

// archiveLog is an archive's events.
type archiveLog struct {
	journal.Log
	appends sync.RWMutex // shared by appends; held in whole to read what they left

	mu      sync.Mutex
	size    ArchiveSize
	saved   ArchiveSize
	newest  newest
	unknown bool // nobody knows whether an append was written
}

// newest are an archive's newest records by their hashes, which hold the events'
// ids: a delivery that comes again, for its process died before it was noted as
// done, or for an append had no answer, is of an event that is there.
type newest struct {
	known map[[16]byte]bool
	ring  [][16]byte // in their order, from at on
	seqs  []journal.Seq
	at    int
	from  journal.Seq // from here on there is no record, of those counted, that is not known
}

// newestEvents is more than are under way to an archive, or done and not noted
// yet.
const newestEvents = 4096

func hashOf(data []byte) [16]byte {
	sum := sha256.Sum256(data)
	return [16]byte(sum[:16])
}

func (n *newest) add(hash [16]byte, seq journal.Seq) {
	n.known[hash] = true
	if len(n.ring) < newestEvents {
		n.ring, n.seqs = append(n.ring, hash), append(n.seqs, seq)
		return
	}
	delete(n.known, n.ring[n.at])
	n.from = max(n.from, n.seqs[n.at]+1)
	n.ring[n.at], n.seqs[n.at] = hash, seq
	n.at = (n.at + 1) % len(n.ring)
}

func (a *archiveLogs) begin(j journal.Journal, term int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.journal, a.term, a.open = j, term, map[string]*archiveLog{}
}

func (a *archiveLogs) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.journal, a.open = nil, nil
}

// get returns an archive's log, and counts what it holds at the first time.
func (a *archiveLogs) get(ctx context.Context, db *store.DB, id string) (*archiveLog, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.journal == nil {
		return nil, ErrUnavailable
	}
	if l := a.open[id]; l != nil {
		return l, nil
	}
	log, err := a.journal.Open(ctx, archivePrefix+id, a.term)
	if err != nil {
		return nil, err
	}
	l := &archiveLog{Log: log, size: ArchiveSize{ID: id}, newest: newest{known: map[[16]byte]bool{}}}
	db.View(func(r store.Reader) error {
		if s, ok := ArchiveSizes.Get(r, id); ok {
			l.size = s
		}
		return nil
	})
	l.saved = l.size
	l.newest.from = l.size.newest()
	for r, err := range log.Read(ctx, l.newest.from) {
		if err != nil {
			return nil, err
		}
		if r.Seq >= l.saved.Next {
			l.size.add(r)
		}
		l.newest.add(hashOf(r.Data), r.Seq)
	}
	a.open[id] = l
	return l, nil
}

// newest is where to read from to know the newest records. Sizes that were written
// before these were known do not say; an archive is not read in whole for that.
func (s *ArchiveSize) newest() journal.Seq {
	if s.Newest > 0 || s.Events <= newestEvents {
		return s.Newest
	}
	return s.Next - newestEvents // records of an archive are one behind the other, or nearly
}

func (s *ArchiveSize) add(r journal.Record) {
	s.Events++
	s.Bytes += int64(len(r.Data))
	s.Next = max(s.Next, r.Seq+1)
}

// archiveEvent keeps an event in the archive of that ARN.
func (e *Engine) archiveEvent(ctx context.Context, lane string, ingested time.Time, event []byte) error {
	s, name, _ := parseArchiveARN(lane)
	var a Archive
	var ok bool
	e.cfg.DB.View(func(r store.Reader) error { a, ok = Archives.Get(r, s.Key(name)); return nil })
	if !ok {
		return delivery.Permanent(CodeNoResource, "the archive was deleted")
	}
	l, err := e.archives.get(ctx, e.cfg.DB, a.ID)
	if err != nil {
		return err
	}
	data := envelope{ingested: ingested, event: event}.encode()
	return l.put(ctx, data)
}

// put appends an event, unless it is there.
func (l *archiveLog) put(ctx context.Context, data []byte) error {
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	l.appends.RLock()
	defer l.appends.RUnlock()
	hash := hashOf(data)
	l.mu.Lock()
	known := l.newest.known[hash]
	l.mu.Unlock()
	if known {
		return nil
	}
	seq, err := l.Append(context.WithoutCancel(ctx), journal.Synced, data)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.unknown = l.unknown || !errors.Is(err, journal.ErrFull)
		return err
	}
	l.size.add(journal.Record{Seq: seq, Data: data})
	l.newest.add(hash, seq)
	return nil
}

// catchUp counts what was written and nobody knew.
func (l *archiveLog) catchUp(ctx context.Context) error {
	l.mu.Lock()
	unknown := l.unknown
	l.mu.Unlock()
	if !unknown {
		return nil
	}
	l.appends.Lock()
	defer l.appends.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.unknown {
		return nil
	}
	for r, err := range l.Read(ctx, l.newest.from) {
		if err != nil {
			return err
		}
		if hash := hashOf(r.Data); !l.newest.known[hash] {
			l.size.add(r)
			l.newest.add(hash, r.Seq)
		}
	}
	l.unknown = false
	return nil
}

// SizeOf is how much an archive holds.
func (e *Engine) SizeOf(ctx context.Context, a Archive) (ArchiveSize, error) {
	if _, err := e.delivery(ctx); err != nil {
		return ArchiveSize{}, err
	}
	l, err := e.archives.get(ctx, e.cfg.DB, a.ID)
	if err != nil {
		return ArchiveSize{}, err
	}
	if err := l.catchUp(ctx); err != nil {
		return ArchiveSize{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size, nil
}

// DropArchive removes the events of an archive whose row is gone.
func (e *Engine) DropArchive(ctx context.Context, a Archive) error {
	e.archives.mu.Lock()
	defer e.archives.mu.Unlock()
	if e.archives.journal == nil {
		return nil // the next term finds it
	}
	delete(e.archives.open, a.ID)
	return e.archives.journal.Drop(ctx, archivePrefix+a.ID, e.archives.term)
}

// keepArchives drops what is older than archives keep, and logs of archives that
// are gone, and saves sizes.
func (e *Engine) keepArchives(ctx context.Context) {
	every := time.NewTicker(time.Minute)
	defer every.Stop()
	for {
		if err := e.tendArchives(ctx, time.Now()); err != nil && ctx.Err() == nil {
			e.log.Warn("archives are not tended, will retry", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

func (e *Engine) tendArchives(ctx context.Context, now time.Time) error {
	names, err := e.cfg.Journal.Names(ctx, archivePrefix)
	if err != nil {
		return err
	}
	known := map[string]Archive{}
	e.cfg.DB.View(func(r store.Reader) error {
		for a := range Archives.List(r, "") {
			known[a.ID] = a
		}
		return nil
	})
	var errs []error
	for _, name := range names {
		id := name[len(archivePrefix):]
		a, ok := known[id]
		if !ok {
			errs = append(errs, e.DropArchive(ctx, Archive{ID: id}), e.cfg.DB.Update(ctx, func(tx *store.Tx) error { ArchiveSizes.Delete(tx, id); return nil }))
			continue
		}
		if err := e.tendArchive(ctx, a, now); err != nil {
			errs = append(errs, fmt.Errorf("archive %s: %w", a.ARN(), err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) tendArchive(ctx context.Context, a Archive, now time.Time) error {
	l, err := e.archives.get(ctx, e.cfg.DB, a.ID)
	if err != nil {
		return err
	}
	if err := l.catchUp(ctx); err != nil { // what is trimmed is counted
		return err
	}
	if a.Days > 0 {
		if err := l.trim(ctx, now.AddDate(0, 0, -int(a.Days))); err != nil {
			return err
		}
	}
	l.appends.Lock() // what is below Next is counted then, unless it is not known
	l.mu.Lock()
	l.size.Newest = l.newest.from
	size, saved, unknown := l.size, l.saved, l.unknown
	l.mu.Unlock()
	l.appends.Unlock()
	if unknown || size == saved {
		return nil
	}
	if err := e.cfg.DB.Update(ctx, func(tx *store.Tx) error { return ArchiveSizes.Put(tx, size) }); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved = size
	return nil
}

// trim drops what was taken before a time.
func (l *archiveLog) trim(ctx context.Context, before time.Time) error {
	var first journal.Seq
	var events, bytes int64
	for r, err := range l.Read(ctx, 0) {
		if err != nil {
			return err
		}
		v, err := decode(r.Data)
		if err == nil && !v.ingested.Before(before) {
			break
		}
		first, events, bytes = r.Seq+1, events+1, bytes+int64(len(r.Data))
	}
	if events == 0 {
		return nil
	}
	if err := l.Trim(ctx, first); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size.Events -= events
	l.size.Bytes -= bytes
	return nil
}
