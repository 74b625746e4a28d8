package pebble

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system as Pebble sees it. An error in the wrong place makes
// Pebble panic, exit or wait for ever. So on a full disk its writes wait here
// until there is room; and from when the journal has failed, or closes while the
// disk is full, Pebble only dreams: its writes succeed, new files are in memory,
// and nothing reaches the disk.
type disk struct {
	vfs.FS
	dir   string
	fail  func(error) error // takes errors that nothing survives
	owed  func() int64      // bytes that are to be written whatever is removed; the committer's
	dream *vfs.MemFS

	blocked atomic.Int32 // writes that wait for room
	ended   atomic.Bool  // nothing reaches the disk any more

	mu      sync.Mutex // guards what follows
	scarce  bool       // there is less room than is to be kept
	checked time.Time
	written int64     // since then
	noticed time.Time // when a write last found the disk full
}

const (
	// keepFree is how much of the disk is left free, so that what makes room can
	// be done: on small disks it is a tenth. What waits to be flushed comes first,
	// and needs room besides.
	keepFree = 512 << 20
	// checkEvery and checkBytes are how often the free space is looked at.
	checkEvery = 100 * time.Millisecond
	checkBytes = 256 << 10
	// retryEvery is how often a write is tried again that found no room.
	retryEvery = 20 * time.Millisecond
)

// errEnded says that from now on Pebble dreams.
var errEnded = errors.New("the journal has ended")

// full tells whether err is for want of space.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// full tells whether there is too little room to accept so many bytes more. It is
// the committer's.
func (d *disk) full(more int) bool {
	if d.blocked.Load() > 0 {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.written += int64(more)
	if now.Sub(d.checked) < checkEvery && d.written < checkBytes {
		return d.scarce || now.Sub(d.noticed) < checkEvery
	}
	d.checked, d.written, d.scarce = now, 0, false
	if use, err := d.GetDiskUsage(d.dir); err == nil {
		d.scarce = use.AvailBytes < min(keepFree, use.TotalBytes/10)+uint64(d.owed())
	}
	return d.scarce
}

// noticeFull notes that a write found no room.
func (d *disk) noticeFull() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.noticed = time.Now()
}

func (d *disk) end() { d.ended.Store(true) }

func (d *disk) dead() bool { return d.ended.Load() }

// do does an operation that changes the disk, again and again while it is full.
// If it fails, for another reason than that a file is missing, the journal has
// failed. The error is errEnded from then on.
func (d *disk) do(what, name string, f func() error) error {
	for first := true; ; first = false {
		if d.ended.Load() {
			return errEnded
		}
		err := f()
		switch {
		case err == nil || errors.Is(err, os.ErrNotExist):
			return err
		case !full(err):
			d.fail(fmt.Errorf("%s %s: %w", what, name, err))
			return errEnded
		}
		if first {
			d.blocked.Add(1)
			defer d.blocked.Add(-1)
		}
		time.Sleep(retryEvery)
	}
}

// change is do for what needs no answer.
func (d *disk) change(what, name string, f func() error) error {
	if err := d.do(what, name, f); !errors.Is(err, errEnded) {
		return err
	}
	return nil
}

func (d *disk) open(what, name string, f func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := d.do(what, name, func() (err error) {
		file, err = f()
		return err
	})
	if errors.Is(err, errEnded) {
		if err := d.dream.MkdirAll(d.PathDir(name), 0o700); err != nil {
			return nil, err
		}
		return d.dream.Create(name, vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		return nil, err
	}
	return &diskFile{File: file, d: d, name: name}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open("create", name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.open("open", name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open("reuse", from, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d *disk) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if d.ended.Load() {
		if f, err := d.dream.Open(name); err == nil {
			return f, nil
		}
	}
	return d.FS.Open(name, opts...)
}

func (d *disk) Stat(name string) (vfs.FileInfo, error) {
	if d.ended.Load() {
		if info, err := d.dream.Stat(name); err == nil {
			return info, nil
		}
	}
	return d.FS.Stat(name)
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, d: d, name: name}, nil
}

func (d *disk) Rename(from, to string) error {
	err := d.do("rename", from, func() error { return d.FS.Rename(from, to) })
	if errors.Is(err, errEnded) {
		_ = d.dream.Rename(from, to) // it may be on the disk, and stays
		return nil
	}
	return err
}

func (d *disk) Link(from, to string) error {
	return d.change("link", to, func() error { return d.FS.Link(from, to) })
}

func (d *disk) Remove(name string) error {
	return d.change("remove", name, func() error { return d.FS.Remove(name) })
}

func (d *disk) RemoveAll(name string) error {
	return d.change("remove", name, func() error { return d.FS.RemoveAll(name) })
}

func (d *disk) MkdirAll(name string, perm os.FileMode) error {
	return d.change("make", name, func() error { return d.FS.MkdirAll(name, perm) })
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

// diskFile is a file or directory of Pebble's.
type diskFile struct {
	vfs.File
	d    *disk
	name string
}

func (f *diskFile) Write(p []byte) (int, error) {
	done := 0
	err := f.d.change("write", f.name, func() error {
		n, err := f.File.Write(p[done:])
		done += n
		return err
	})
	return len(p), err
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	err := f.d.change("write", f.name, func() error {
		n, err := f.File.WriteAt(p[done:], off+int64(done))
		done += n
		return err
	})
	return len(p), err
}

func (f *diskFile) Sync() error { return f.sync(f.File.Sync) }

func (f *diskFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *diskFile) SyncTo(n int64) (full bool, err error) {
	err = f.sync(func() error {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full, err
}

// sync does a sync. If it fails, for whatever reason, nobody knows what is on
// disk, and trying again would not tell.
func (f *diskFile) sync(sync func() error) error {
	if f.d.ended.Load() {
		return nil
	}
	if err := sync(); err != nil {
		f.d.fail(fmt.Errorf("sync %s: %w", f.name, err))
	}
	return nil
}
