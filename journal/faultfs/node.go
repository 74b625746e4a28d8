package faultfs

import (
	"maps"
	"syscall"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

// node is a file or a directory.
type node struct {
	// A directory's names, as processes see them, as they are on disk, and what
	// leads from these to those, in order.
	dir     bool
	names   map[string]*node
	durable map[string]*node
	pending []entry

	// A file's data, and what the disk holds where that differs: of pages that
	// are to be written back, and of those whose writing back has failed.
	data  []byte
	size  int64 // on disk
	dirty map[int64][]byte
	lost  map[int64][]byte
	links int
}

// entry is a change of a directory: all of its names at once. A nil node is a
// name taken away.
type entry map[string]*node

func newDir() *node {
	return &node{dir: true, names: map[string]*node{}, durable: map[string]*node{}, links: 1}
}

func newFile() *node { return &node{dirty: map[int64][]byte{}, lost: map[int64][]byte{}} }

// change makes a change of the directory.
func (d *disk) change(dir *node, e entry) {
	for name, n := range e {
		if n != nil {
			n.links++
		}
		if old := dir.names[name]; old != nil {
			d.unlink(old)
		}
	}
	dir.pending = append(dir.pending, e)
	apply(dir.names, e)
}

func apply(names map[string]*node, e entry) {
	for name, n := range e {
		if n == nil {
			delete(names, name)
		} else {
			names[name] = n
		}
	}
}

func (d *disk) unlink(n *node) {
	if n.links--; n.links == 0 {
		d.used -= int64(len(n.data))
	}
}

// write puts p at off, as much of it as the disk has room for.
func (d *disk) write(n *node, p []byte, off int64) (int, error) {
	var err error
	if end := off + int64(len(p)); end > int64(len(n.data)) {
		grow := end - int64(len(n.data))
		if room := d.limit - d.used; d.limit > 0 && grow > room {
			grow, err = max(room, 0), syscall.ENOSPC
			p = p[:max(0, int64(len(n.data))+grow-off)]
		}
		n.data = append(n.data, make([]byte, grow)...)
		if n.links > 0 {
			d.used += grow
		}
	}
	for at := off &^ (pageSize - 1); at < off+int64(len(p)); at += pageSize {
		n.touch(at)
	}
	return copy(n.data[min(off, int64(len(n.data))):], p), err
}

// touch notes what the disk holds of a page that is about to change.
func (n *node) touch(at int64) {
	if _, ok := n.dirty[at]; ok {
		return
	}
	if old, ok := n.lost[at]; ok {
		n.dirty[at] = old
		delete(n.lost, at)
		return
	}
	var old []byte
	if at < n.size {
		old = append(old, n.data[at:min(at+pageSize, n.size)]...)
	}
	n.dirty[at] = old
}

// sync writes everything back.
func (n *node) sync() {
	if n.dir {
		n.durable, n.pending = maps.Clone(n.names), nil
		return
	}
	clear(n.dirty)
	n.size = int64(len(n.data))
}

// fail is a sync that fails: the pages count as written back, and are not.
func (n *node) fail() {
	if n.dir {
		return
	}
	maps.Copy(n.lost, n.dirty)
	n.sync()
}

// settle makes of a subtree what a loss of power leaves of it; luck is how much
// of what was not synced had been written back all the same.
func (d *disk) settle(n *node, luck float64, seen map[*node]bool) {
	n.links++
	if seen[n] {
		return
	}
	seen[n], n.links = true, 1
	if !n.dir {
		d.settleFile(n, luck)
		return
	}
	for _, e := range n.pending[:d.some(len(n.pending), luck)] {
		apply(n.durable, e)
	}
	n.names, n.pending = maps.Clone(n.durable), nil
	for _, child := range n.names {
		d.settle(child, luck, seen)
	}
}

// some is a number from 0 to n.
func (d *disk) some(n int, luck float64) int {
	if luck > 0 && luck < 1 {
		return d.rng.IntN(n + 1)
	}
	return int(luck) * n
}

func (d *disk) settleFile(n *node, luck float64) {
	if grown := int64(len(n.data)) - n.size; grown > 0 {
		n.data = n.data[:n.size+int64(d.some(int(grown), luck))]
	}
	for at, old := range n.dirty {
		if d.rng.Float64() >= luck {
			n.restore(at, old, func() bool { return true })
		} else if luck < 1 && d.rng.IntN(4) == 0 {
			n.restore(at, old, func() bool { return d.rng.IntN(2) == 0 }) // torn
		}
	}
	for at, old := range n.lost {
		n.restore(at, old, func() bool { return true })
	}
	clear(n.dirty)
	clear(n.lost)
	n.size = int64(len(n.data))
	d.used += n.size
}

// restore puts old back into the page's sectors that pick says.
func (n *node) restore(at int64, old []byte, pick func() bool) {
	page := make([]byte, pageSize)
	copy(page, old)
	for s := int64(0); s < pageSize && at+s < int64(len(n.data)); s += sectorSize {
		if pick() {
			copy(n.data[at+s:min(at+s+sectorSize, int64(len(n.data)))], page[s:])
		}
	}
}
