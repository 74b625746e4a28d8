// Package pebble keeps journals on the local disk, all logs of a process in one
// Pebble: appends of all logs are committed together, so that many share a sync.
package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	pdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dhowhq/dhow/journal"
)

// Options are what may be set; the zero value is for production.
type Options struct {
	// FS is the file system underneath: tests put a faulty one here.
	FS vfs.FS
	// Log gets what the owner of the machine should know.
	Log *slog.Logger
}

// Journal is a journal in a directory.
type Journal struct {
	db   *pdb.DB
	lock *pdb.Lock
	log  *slog.Logger

	use    sync.RWMutex // held for reading by calls under way
	closed atomic.Bool
	failed chan error // gets one error

	mu     sync.Mutex
	logs   map[string]*state // those opened
	nextID uint64
	floor  journal.Seq // new logs begin here
}

// Open opens the journal in dir, making it if it is not there. It fails with
// journal.ErrInUse if another one has the directory open.
func Open(dir string, o Options) (*Journal, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{log: o.Log, failed: make(chan error, 1), logs: map[string]*state{}}
	if err := j.open(dir, o); err != nil {
		if j.db != nil {
			j.db.Close()
		}
		if j.lock != nil {
			j.lock.Close()
		}
		return nil, fmt.Errorf("journal in %s: %w", dir, err)
	}
	return j, nil
}

func (j *Journal) open(dir string, o Options) (err error) {
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if j.lock, err = pdb.LockDirectory(dir, o.FS); err != nil {
		if errors.Is(err, os.ErrPermission) {
			return err
		}
		return fmt.Errorf("%w: %v", journal.ErrInUse, err)
	}
	opts := tuning()
	opts.FS, opts.Lock, opts.Logger = o.FS, j.lock, logger{j}
	cache := pdb.NewCache(cacheSize)
	defer cache.Unref()
	opts.Cache = cache
	if j.db, err = pdb.Open(dir, opts); err != nil {
		return err
	}
	return j.loadGlobal()
}

func (j *Journal) loadGlobal() error {
	v, err := j.get([]byte(globalKey))
	if err != nil {
		return err
	}
	j.nextID, j.floor = 1, 1
	if len(v) >= 16 {
		j.nextID = binary.BigEndian.Uint64(v)
		j.floor = journal.Seq(binary.BigEndian.Uint64(v[8:]))
	}
	return nil
}

func (j *Journal) putGlobal(b *pdb.Batch) error {
	v := binary.BigEndian.AppendUint64(nil, j.nextID)
	return b.Set([]byte(globalKey), binary.BigEndian.AppendUint64(v, uint64(j.floor)), nil)
}

// get returns a copy of the key's value, nil if there is none.
func (j *Journal) get(key []byte) ([]byte, error) {
	v, closer, err := j.db.Get(key)
	if errors.Is(err, pdb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return append([]byte{}, v...), nil
}

// enter begins a call; leave ends it.
func (j *Journal) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.use.RLock()
	if j.closed.Load() {
		j.use.RUnlock()
		return nil, journal.ErrClosed
	}
	return j.use.RUnlock, nil
}

// Open implements journal.Journal.
func (j *Journal) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := journal.CheckName(name); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s, err := j.load(name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := j.take(s, term); err != nil {
		return nil, err
	}
	j.logs[name] = s
	return &log{j: j, s: s, term: term}, nil
}

// load returns the state of a log that is there, was dropped, or never was.
// The caller holds j.mu.
func (j *Journal) load(name string) (*state, error) {
	if s := j.logs[name]; s != nil {
		return s, nil
	}
	s := &state{name: name, next: j.floor, first: 1, absent: true}
	for _, prefix := range []byte{prefixLog, prefixOff} {
		v, err := j.get(nameKey(prefix, name))
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		if s.head, err = decodeHead(v); err != nil {
			return nil, fmt.Errorf("log %s: %w", name, err)
		}
		s.next, s.absent = max(s.head.reserved, s.next), prefix == prefixOff
		return s, j.loadCut(s)
	}
	return s, nil
}

func (j *Journal) loadCut(s *state) error {
	v, err := j.get(cutKey(s.head.id))
	if err == nil && len(v) == 8 {
		s.first = journal.Seq(binary.BigEndian.Uint64(v))
	}
	s.swept = s.first
	if s.absent {
		s.first, s.swept = s.next, s.next
	}
	return err
}

// take makes the log if it is not there, and its owner that of the term. The
// caller holds j.mu and s.mu.
func (j *Journal) take(s *state, term int64) error {
	switch {
	case s.head.id != 0 && term < s.head.term:
		return journal.ErrFenced
	case s.head.id != 0 && term == s.head.term && !s.absent:
		return nil
	}
	h := s.head
	h.term, h.dropped = term, 0
	b := j.db.NewBatch()
	defer b.Close()
	if h.id == 0 {
		h.id = j.nextID
		j.nextID++
		if err := j.putGlobal(b); err != nil {
			return err
		}
	}
	if s.absent {
		if err := b.Delete(nameKey(prefixOff, s.name), nil); err != nil {
			return err
		}
	}
	if err := b.Set(nameKey(prefixLog, s.name), h.encode(), nil); err != nil {
		return err
	}
	if err := j.commit(b); err != nil {
		return err
	}
	s.head, s.absent = h, false
	return nil
}

// Names implements journal.Journal.
func (j *Journal) Names(ctx context.Context, prefix string) ([]string, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	from, to := prefixBounds(prefixLog, prefix)
	it, err := j.db.NewIter(&pdb.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, err
	}
	var names []string
	for ok := it.First(); ok; ok = it.Next() {
		names = append(names, string(it.Key()[1:]))
	}
	return names, it.Close()
}

// Drop implements journal.Journal.
func (j *Journal) Drop(ctx context.Context, name string, term int64) error {
	leave, err := j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	j.mu.Lock()
	defer j.mu.Unlock()
	s, err := j.load(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.absent:
		return nil
	case term < s.head.term:
		return journal.ErrFenced
	}
	return j.drop(s, term)
}

// Failed implements journal.Journal.
func (j *Journal) Failed() <-chan error { return j.failed }

// Close implements journal.Journal.
func (j *Journal) Close() error {
	j.use.Lock()
	defer j.use.Unlock()
	if j.closed.Swap(true) {
		return nil
	}
	return errors.Join(j.settle(), j.db.Close(), j.lock.Close())
}
