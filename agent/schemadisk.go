package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// schemaDisk keeps what a node was given of schemas over the agent's end: a file
// for each, whose first line is the SHA-256 of the rest and whose time is when the
// control plane last said it. A file that does not hold what it should is as good
// as none, so none is synced.
type schemaDisk struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	sums map[schemaKey][sha256.Size]byte // of the files that are there
}

// schemaFile is what a file has after its first line.
type schemaFile struct {
	Account, Region, Role, Path string
	Schema                      Schema
}

const schemaFileEnd = ".schema"

// name is the file's of key: of paths and roles that may be long and have any
// characters.
func (d *schemaDisk) name(key schemaKey) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{key.account, key.region, key.role, key.path}, "\x00")))
	return filepath.Join(d.dir, hex.EncodeToString(sum[:16])+schemaFileEnd)
}

// load returns what is on disk within the bounds, the least recent first, and
// removes the rest.
func (d *schemaDisk) load() (list []*schemaEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	files, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("the schemas of an earlier agent cannot be read", "dir", d.dir, "err", err)
		return nil
	}
	size := 0
	for _, f := range byTime(files) {
		path := filepath.Join(d.dir, f.Name())
		e, sum, err := readSchemaFile(path, f)
		if err == nil && d.name(e.key) != path {
			err = errors.New("it is not what its name says")
		}
		switch {
		case err != nil:
			d.log.Warn("a schema of an earlier agent cannot be read and is left out", "file", path, "err", err)
		case size+e.cost > schemaBytes || len(list) == schemaEntries:
		default:
			size += e.cost
			list = append(list, e)
			d.sums[e.key] = sum
			continue
		}
		if err := os.Remove(path); err != nil {
			d.log.Warn("a schema of an earlier agent cannot be removed", "err", err)
		}
	}
	slices.Reverse(list)
	return list
}

// byTime sorts files, the latest first.
func byTime(files []os.DirEntry) (list []fs.FileInfo) {
	for _, f := range files {
		if info, err := f.Info(); err == nil && !f.IsDir() {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	return list
}

func readSchemaFile(path string, info fs.FileInfo) (e *schemaEntry, sum [sha256.Size]byte, err error) {
	if !strings.HasSuffix(path, schemaFileEnd) || info.Size() > schemaBytes {
		return nil, sum, errors.New("it is none of a schema, or longer than any")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, sum, err
	}
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	if sum = sha256.Sum256(rest); hex.EncodeToString(sum[:]) != string(first) {
		return nil, sum, errors.New("it is damaged")
	}
	var f schemaFile
	if err := json.Unmarshal(rest, &f); err != nil {
		return nil, sum, err
	}
	key := schemaKey{f.Account, f.Region, f.Role, f.Path}
	return &schemaEntry{key: key, schema: f.Schema, cost: len(rest) + schemaAround, at: info.ModTime()}, sum, nil
}

// put makes disk what is in memory of key: e, or nothing where that is nil.
func (d *schemaDisk) put(key schemaKey, e *schemaEntry) {
	var err error
	if e == nil {
		err = d.remove(key)
	} else {
		err = d.write(key, e.schema, e.at)
	}
	if err != nil {
		d.log.Warn("what the node has of a schema is not on disk as it should", "path", key.path, "err", err)
	}
}

func (d *schemaDisk) remove(key schemaKey) error {
	delete(d.sums, key)
	if err := os.Remove(d.name(key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *schemaDisk) write(key schemaKey, s Schema, at time.Time) error {
	rest, err := json.Marshal(schemaFile{key.account, key.region, key.role, key.path, s})
	if err != nil {
		return err
	}
	path, sum := d.name(key), sha256.Sum256(rest)
	if d.sums[key] == sum && os.Chtimes(path, at, at) == nil {
		return nil
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	if err := replace(path, fmt.Appendf(nil, "%x\n%s", sum, rest)); err != nil {
		return err
	}
	d.sums[key] = sum
	return os.Chtimes(path, at, at)
}
