package faultfs

import (
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func fault(op, name string, errno syscall.Errno) error {
	return &os.PathError{Op: op, Path: name, Err: errno}
}

// find returns the node of a path, nil if there is none.
func (d *disk) find(name string) *node {
	n := d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/") {
		if part == "" || part == "." {
			continue
		}
		if n == nil || !n.dir {
			return nil
		}
		n = n.names[part]
	}
	return n
}

// parent returns the directory of a path and the last part of it.
func (d *disk) parent(name string) (*node, string, error) {
	dir, base := path.Split(path.Clean(name))
	n := d.find(dir)
	if n == nil || !n.dir {
		return nil, "", fault("open", name, syscall.ENOENT)
	}
	return n, base, nil
}

// Create implements vfs.FS.
func (fs *FS) Create(name string, _ vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = fs.do(Op{Kind: Create, Path: name}, func() error {
		f, err = fs.create(name)
		return err
	})
	return f, err
}

func (fs *FS) create(name string) (vfs.File, error) {
	dir, base, err := fs.d.parent(name)
	if err != nil {
		return nil, err
	}
	if fs.d.limit > 0 && fs.d.used >= fs.d.limit {
		return nil, fault("create", name, syscall.ENOSPC)
	}
	n := newFile()
	fs.d.change(dir, entry{base: n})
	return &file{fs: fs, n: n, name: name}, nil
}

// Link implements vfs.FS.
func (fs *FS) Link(oldname, newname string) error {
	return fs.do(Op{Kind: Link, Path: newname}, func() error {
		n := fs.d.find(oldname)
		dir, base, err := fs.d.parent(newname)
		switch {
		case err != nil:
			return err
		case n == nil:
			return fault("link", oldname, syscall.ENOENT)
		case dir.names[base] != nil:
			return fault("link", newname, syscall.EEXIST)
		}
		fs.d.change(dir, entry{base: n})
		return nil
	})
}

// Open implements vfs.FS.
func (fs *FS) Open(name string, opts ...vfs.OpenOption) (f vfs.File, err error) {
	err = fs.do(Op{Kind: Open, Path: name}, func() error {
		n := fs.d.find(name)
		if n == nil {
			return fault("open", name, syscall.ENOENT)
		}
		f = &file{fs: fs, n: n, name: name, readOnly: true}
		return nil
	})
	if err == nil {
		for _, o := range opts {
			o.Apply(f)
		}
	}
	return f, err
}

// OpenReadWrite implements vfs.FS.
func (fs *FS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	err = fs.do(Op{Kind: Create, Path: name}, func() error {
		if n := fs.d.find(name); n != nil {
			f = &file{fs: fs, n: n, name: name}
			return nil
		}
		f, err = fs.create(name)
		return err
	})
	if err == nil {
		for _, o := range opts {
			o.Apply(f)
		}
	}
	return f, err
}

// OpenDir implements vfs.FS.
func (fs *FS) OpenDir(name string) (vfs.File, error) { return fs.Open(name) }

// Remove implements vfs.FS.
func (fs *FS) Remove(name string) error {
	return fs.do(Op{Kind: Remove, Path: name}, func() error {
		dir, base, err := fs.d.parent(name)
		if err != nil {
			return err
		}
		n := dir.names[base]
		switch {
		case n == nil:
			return fault("remove", name, syscall.ENOENT)
		case n.dir && len(n.names) > 0:
			return fault("remove", name, syscall.ENOTEMPTY)
		}
		fs.d.change(dir, entry{base: nil})
		return nil
	})
}

// RemoveAll implements vfs.FS.
func (fs *FS) RemoveAll(name string) error {
	names, err := fs.List(name)
	if err == nil {
		for _, n := range names {
			if err := fs.RemoveAll(path.Join(name, n)); err != nil {
				return err
			}
		}
	}
	if err := fs.Remove(name); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// Rename implements vfs.FS. Within a directory it is atomic.
func (fs *FS) Rename(oldname, newname string) error {
	return fs.do(Op{Kind: Rename, Path: newname}, func() error { return fs.rename(oldname, newname) })
}

func (fs *FS) rename(oldname, newname string) error {
	from, old, err := fs.d.parent(oldname)
	if err != nil {
		return err
	}
	to, base, err := fs.d.parent(newname)
	if err != nil {
		return err
	}
	n := from.names[old]
	switch {
	case n == nil:
		return fault("rename", oldname, syscall.ENOENT)
	case from == to && old == base:
		return nil
	case from == to:
		fs.d.change(from, entry{old: nil, base: n})
	default:
		fs.d.change(to, entry{base: n})
		fs.d.change(from, entry{old: nil})
	}
	return nil
}

// ReuseForWrite implements vfs.FS.
func (fs *FS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return fs.OpenReadWrite(newname, c)
}

// MkdirAll implements vfs.FS.
func (fs *FS) MkdirAll(name string, _ os.FileMode) error {
	return fs.do(Op{Kind: Mkdir, Path: name}, func() error {
		n := fs.d.root
		for part := range strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/") {
			if part == "" || part == "." {
				continue
			}
			if n.names[part] == nil {
				fs.d.change(n, entry{part: newDir()})
			}
			if n = n.names[part]; !n.dir {
				return fault("mkdir", name, syscall.ENOTDIR)
			}
		}
		return nil
	})
}

// Lock implements vfs.FS. A lock ends with its process.
func (fs *FS) Lock(name string) (io.Closer, error) {
	f, err := fs.OpenReadWrite(name, "")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	if fs.locks[name] {
		return nil, fault("lock", name, syscall.EAGAIN)
	}
	fs.locks[name] = true
	return &lock{fs, name}, nil
}

type lock struct {
	fs   *FS
	name string
}

func (l *lock) Close() error {
	l.fs.d.mu.Lock()
	defer l.fs.d.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

// List implements vfs.FS.
func (fs *FS) List(name string) (names []string, err error) {
	err = fs.do(Op{Kind: List, Path: name}, func() error {
		n := fs.d.find(name)
		if n == nil || !n.dir {
			return fault("open", name, syscall.ENOENT)
		}
		for name := range n.names {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// Stat implements vfs.FS.
func (fs *FS) Stat(name string) (vfs.FileInfo, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// PathBase implements vfs.FS.
func (*FS) PathBase(p string) string { return path.Base(p) }

// PathJoin implements vfs.FS.
func (*FS) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir implements vfs.FS.
func (*FS) PathDir(p string) string { return path.Dir(p) }

// Unwrap implements vfs.FS.
func (*FS) Unwrap() vfs.FS { return nil }

// GetDiskUsage implements vfs.FS.
func (fs *FS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	fs.d.mu.Lock()
	defer fs.d.mu.Unlock()
	if fs.d.limit == 0 {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	return vfs.DiskUsage{
		AvailBytes: uint64(max(0, fs.d.limit-fs.d.used)),
		TotalBytes: uint64(fs.d.limit),
		UsedBytes:  uint64(fs.d.used),
	}, nil
}
