package faultfs

import (
	"errors"
	"io"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is a node that a process has open.
type file struct {
	fs       *FS
	n        *node
	name     string
	pos      int64
	readOnly bool
}

func (f *file) Close() error { return nil }

func (f *file) Read(p []byte) (n int, err error) {
	n, err = f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do(Op{Kind: Read, Path: f.name, Size: len(p)}, func() error {
		if f.n.dir {
			return fault("read", f.name, syscall.EISDIR)
		}
		n = copy(p, f.n.data[min(off, int64(len(f.n.data))):])
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *file) Write(p []byte) (n int, err error) {
	n, err = f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.begin(Op{Kind: Write, Path: f.name, Size: len(p)})
	defer f.fs.d.mu.Unlock()
	if f.readOnly {
		return 0, fault("write", f.name, syscall.EBADF)
	}
	var short *Short
	switch {
	case errors.As(err, &short):
		n, _ = f.fs.d.write(f.n, p[:min(short.N, len(p))], off)
		return n, short.Err
	case err != nil:
		return 0, err
	}
	n, err = f.fs.d.write(f.n, p, off)
	if err != nil {
		err = &os.PathError{Op: "write", Path: f.name, Err: err}
	}
	return n, err
}

func (f *file) Sync() error {
	kind := Sync
	if f.n.dir {
		kind = SyncDir
	}
	err := f.fs.begin(Op{Kind: kind, Path: f.name})
	defer f.fs.d.mu.Unlock()
	switch {
	case err == nil:
		f.n.sync()
	case !errors.Is(err, ErrGone):
		f.n.fail()
	}
	return err
}

func (f *file) SyncData() error { return f.Sync() }

// SyncTo starts writing back, which promises nothing.
func (f *file) SyncTo(int64) (bool, error) { return false, nil }

func (f *file) Preallocate(_, length int64) error {
	return f.fs.do(Op{Kind: Allocate, Path: f.name, Size: int(length)}, func() error { return nil })
}

func (f *file) Prefetch(int64, int64) error { return nil }

func (f *file) Fd() uintptr { return vfs.InvalidFd }

func (f *file) Stat() (vfs.FileInfo, error) {
	f.fs.d.mu.Lock()
	defer f.fs.d.mu.Unlock()
	return info{name: path.Base(f.name), size: int64(len(f.n.data)), dir: f.n.dir}, nil
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) IsDir() bool            { return i.dir }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func (i info) Mode() os.FileMode {
	if i.dir {
		return os.ModeDir | 0o700
	}
	return 0o600
}
