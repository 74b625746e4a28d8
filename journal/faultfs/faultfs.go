// Package faultfs is a file system in memory that fails as disks do: machines
// lose power and with it what was not synced, whole pages or sectors of them;
// names that no sync of their directory followed are gone; disks fill up; syncs
// and writes fail. It takes the place of a vfs.FS under journal/pebble.
//
// A FS is the disk as one process sees it. Kill and PowerLoss end that process
// and return what the next one finds.
package faultfs

import (
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrGone is the answer to all changes that a process makes after its end. It may
// read on, which does no harm and lets it come to rest.
var ErrGone = errors.New("faultfs: the process is gone")

// ErrIO is an error for hooks to inject.
var ErrIO error = syscall.EIO

// Kind is what an operation does.
type Kind string

// The kinds of operations.
const (
	Create   Kind = "create"
	Open     Kind = "open"
	Remove   Kind = "remove"
	Rename   Kind = "rename"
	Link     Kind = "link"
	Mkdir    Kind = "mkdir"
	List     Kind = "list"
	Read     Kind = "read"
	Write    Kind = "write"
	Sync     Kind = "sync"     // of a file's data
	SyncDir  Kind = "sync dir" // of a directory's names
	Allocate Kind = "allocate"
)

// mutates tells whether the operation changes what a later process may find.
func (k Kind) mutates() bool { return k != Open && k != List && k != Read }

// Op is an operation that is about to be done.
type Op struct {
	Kind Kind
	Path string
	Size int // bytes of a read or a write
}

// Short is an error for hooks on writes: so many of the bytes are written before
// Err is the answer.
type Short struct {
	N   int
	Err error
}

func (s *Short) Error() string { return s.Err.Error() }

func (s *Short) Unwrap() error { return s.Err }

// FS is the disk in the hands of a process.
type FS struct {
	d     *disk
	gone  bool // these are guarded by d.mu
	fuse  int  // operations until the end, -1 for none
	locks map[string]bool
}

var _ vfs.FS = (*FS)(nil)

// disk is what outlives processes.
type disk struct {
	mu    sync.Mutex
	root  *node
	rng   *rand.Rand
	limit int64 // bytes, 0 for none
	used  int64
	hook  func(Op) error
	done  map[Kind]int
}

// New returns an empty disk. The seed decides what a loss of power leaves.
func New(seed uint64) *FS {
	d := &disk{root: newDir(), rng: rand.New(rand.NewPCG(seed, 1)), done: map[Kind]int{}}
	return d.handle()
}

func (d *disk) handle() *FS { return &FS{d: d, fuse: -1, locks: map[string]bool{}} }

// Kill ends the process as kill -9 does: what it wrote is there for the next
// one, synced or not.
func (fs *FS) Kill() *FS {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	fs.gone = true
	return fs.d.handle()
}

// PowerLoss ends all processes and leaves what was synced, and of the rest what
// chance had written back: names in the order in which they were made, data in
// any.
func (fs *FS) PowerLoss() *FS {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	fs.gone = true
	fs.d.used = 0
	luck := [...]float64{0, 1, fs.d.rng.Float64(), fs.d.rng.Float64()}[fs.d.rng.IntN(4)]
	fs.d.settle(fs.d.root, luck, map[*node]bool{})
	return fs.d.handle()
}

// StopAfter lets the process do n more operations that change the disk; the one
// after them is done halfway, and nothing afterwards: a process that is killed
// at that moment. The next process comes by Kill or PowerLoss.
func (fs *FS) StopAfter(n int) {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	fs.fuse = n
}

// Stopped tells whether the process is at its end.
func (fs *FS) Stopped() bool {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	return fs.gone
}

// Inject has hook called before each operation; an error of its is the
// operation's answer. After a sync that failed so, what it should have written
// back is lost at the next loss of power even if a later sync succeeds, as with
// Linux. Nil ends it. It stays over Kill and PowerLoss.
func (fs *FS) Inject(hook func(Op) error) {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	fs.d.hook = hook
}

// FailSyncs is a hook for Inject: of the syncs after some others, n fail.
func FailSyncs(after, n int) func(Op) error {
	var mu sync.Mutex
	syncs := 0
	return func(op Op) error {
		if op.Kind != Sync {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if syncs++; syncs > after && syncs-after <= n {
			return ErrIO
		}
		return nil
	}
}

// Limit sets the size of the disk in bytes, 0 for one without end. It may be
// less than what is there.
func (fs *FS) Limit(bytes int64) {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	fs.d.limit = bytes
}

// Used is the number of bytes that files take up.
func (fs *FS) Used() int64 {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	return fs.d.used
}

// Done is how many operations of the kind have been done, by all processes.
func (fs *FS) Done(k Kind) int {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	return fs.d.done[k]
}

// begin asks the hook, locks the disk and counts. A nil error leaves it locked;
// with a Short one the operation is to be done in part, for a write.
func (fs *FS) begin(op Op) error {
	fs.d.mu.Lock()
	hook := fs.d.hook
	if hook != nil {
		fs.d.mu.Unlock()
		injected := hook(op)
		fs.d.mu.Lock()
		if injected != nil && !fs.gone {
			return injected
		}
	}
	if fs.gone && op.Kind.mutates() {
		return ErrGone
	}
	if op.Kind.mutates() && fs.fuse >= 0 {
		if fs.fuse--; fs.fuse < 0 {
			fs.gone = true
			return &Short{N: fs.d.rng.IntN(op.Size + 1), Err: ErrGone}
		}
	}
	fs.d.done[op.Kind]++
	return nil
}

// do does an operation that is done whole or not at all.
func (fs *FS) do(op Op, f func() error) error {
	err := fs.begin(op)
	defer fs.d.mu.Unlock()
	if err != nil {
		return err
	}
	return f()
}
