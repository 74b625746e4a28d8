package journaltest

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/dhowhq/dhow/journal"
)

// Faults are failures of a journal that a test asks for: after some changes that
// do not fail, a few that do. Engines must take each of them at any call.
type Faults struct {
	skip                 atomic.Int32 // changes that do not fail yet
	refuse, forget, hold atomic.Int32 // how many do
}

// Over returns j with the faults, in the logs of these names alone if there are
// any. The next process's journal may have them too.
func (f *Faults) Over(j journal.Journal, logs ...string) journal.Journal { return &faulty{j, f, logs} }

// Refuse has the n appends after some others answer journal.ErrFull, with nothing
// written.
func (f *Faults) Refuse(after, n int) { f.set(&f.refuse, after, n) }

// Forget has the n appends after some others answer journal.ErrUnknown, with all
// written.
func (f *Faults) Forget(after, n int) { f.set(&f.forget, after, n) }

// Hold has the n removals after some other changes answer journal.ErrFull, with
// nothing removed.
func (f *Faults) Hold(after, n int) { f.set(&f.hold, after, n) }

func (f *Faults) set(kind *atomic.Int32, after, n int) {
	f.skip.Store(int32(after))
	kind.Store(int32(n))
}

// Heal ends all faults.
func (f *Faults) Heal() {
	for _, n := range []*atomic.Int32{&f.skip, &f.refuse, &f.forget, &f.hold} {
		n.Store(0)
	}
}

type faulty struct {
	journal.Journal
	f    *Faults
	logs []string
}

func (j *faulty) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	l, err := j.Journal.Open(ctx, name, term)
	if err != nil || len(j.logs) > 0 && !slices.Contains(j.logs, name) {
		return l, err
	}
	return &faultyLog{l, j.f}, nil
}

type faultyLog struct {
	journal.Log
	f *Faults
}

func (l *faultyLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if l.f.skip.Add(-1) >= 0 {
		return l.Log.Append(ctx, d, records...)
	}
	if l.f.refuse.Add(-1) >= 0 {
		return 0, journal.ErrFull
	}
	seq, err := l.Log.Append(ctx, d, records...)
	if err == nil && l.f.forget.Add(-1) >= 0 {
		return 0, journal.ErrUnknown
	}
	return seq, err
}

func (l *faultyLog) Delete(ctx context.Context, seqs ...journal.Seq) error {
	return l.remove(func() error { return l.Log.Delete(ctx, seqs...) })
}

func (l *faultyLog) Trim(ctx context.Context, first journal.Seq) error {
	return l.remove(func() error { return l.Log.Trim(ctx, first) })
}

func (l *faultyLog) remove(do func() error) error {
	if l.f.skip.Load() <= 0 && l.f.hold.Add(-1) >= 0 {
		return journal.ErrFull
	}
	return do()
}
