package store

import (
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"strings"
	"sync"
)

// maxKey is the longest key of a row in bytes.
const maxKey = 4096

// Index is a secondary index: the values under which a row is found by By.
// Values must be a pure function of the row; a value holds no NUL byte.
type Index[T any] struct {
	Name   string
	Values func(T) []string
}

// Table is a set of rows of one type, kept as JSON under a key of their own.
type Table[T any] struct {
	def *def
	key func(T) string
}

// Anything is a table of any type, for Watch.
type Anything interface{ Name() string }

// def is a table without its type.
type def struct {
	id      int
	name    string
	late    bool
	decode  func(data []byte) (val any, err error) // val is a *T
	key     func(val any) string
	indexes []indexDef
}

type indexDef struct {
	name   string
	values func(val any) []string
}

// row is one version of a row. Rows are immutable and known by their address,
// but for rev, which the committer sets before it publishes the row.
type row struct {
	key string
	rev int64
	val any // *T
}

var registry struct {
	sync.Mutex
	defs   []*def
	byName map[string]*def
}

var tableName = regexp.MustCompile(`^[a-z][a-z0-9.-]*$`)

// NewTable declares a table; declare each once, in a package variable: a store
// knows the tables that were declared when it was opened. Names are unique and
// stable: they are part of the keys on disk.
func NewTable[T any](name string, key func(T) string, indexes ...Index[T]) *Table[T] {
	d := &def{name: name}
	t := &Table[T]{def: d, key: key}
	d.decode = func(data []byte) (any, error) {
		v := new(T)
		return v, decodeRow(data, v)
	}
	d.key = func(val any) string { return key(*val.(*T)) }
	for _, ix := range indexes {
		d.indexes = append(d.indexes, indexDef{ix.Name, func(val any) []string { return ix.Values(*val.(*T)) }})
	}
	d.register()
	return t
}

// decodeRow reads a row. One that reads itself is handed the data at once: package
// json would go over all of it twice before, and does so for tables with many
// rows at every start.
func decodeRow(data []byte, row any) error {
	if u, ok := row.(json.Unmarshaler); ok {
		return u.UnmarshalJSON(data)
	}
	return json.Unmarshal(data, row)
}

// register gives the table its number.
func (d *def) register() {
	registry.Lock()
	defer registry.Unlock()
	if !tableName.MatchString(d.name) {
		panic(fmt.Sprintf("store: table name %q is not of small letters, digits, dots and dashes", d.name))
	}
	if registry.byName[d.name] != nil {
		panic(fmt.Sprintf("store: table %s is declared twice", d.name))
	}
	if registry.byName == nil {
		registry.byName = map[string]*def{}
	}
	d.id = len(registry.defs)
	registry.defs = append(registry.defs, d)
	registry.byName[d.name] = d
}

// declared returns the tables made so far.
func declared() []*def {
	registry.Lock()
	defer registry.Unlock()
	return append([]*def(nil), registry.defs...)
}

// Name is the table's name.
func (t *Table[T]) Name() string { return t.def.name }

// Get returns the row under key.
func (t *Table[T]) Get(r Reader, key string) (v T, ok bool) {
	row := r.get(t.def, key)
	if row == nil {
		return v, false
	}
	return *row.val.(*T), true
}

// Put writes v under its key. The error is of encoding, or of a bad key: empty,
// longer than 4096 bytes, with a NUL byte, or not kept by the JSON of v.
func (t *Table[T]) Put(tx *Tx, v T) error {
	key := t.key(v)
	if key == "" || len(key) > maxKey || strings.IndexByte(key, 0) >= 0 {
		return fmt.Errorf("store: table %s: bad key %.100q: it must have 1 to %d bytes and no NUL", t.def.name, key, maxKey)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: table %s: row %q: %w", t.def.name, key, err)
	}
	val, err := t.def.decode(data)
	if err != nil {
		return fmt.Errorf("store: table %s: row %q does not read back: %w", t.def.name, key, err)
	}
	if kept := t.def.key(val); kept != key {
		return fmt.Errorf("store: table %s: key %q becomes %q when read back from JSON", t.def.name, key, kept)
	}
	for _, ix := range t.def.indexes {
		for _, value := range ix.values(val) {
			if strings.IndexByte(value, 0) >= 0 {
				return fmt.Errorf("store: table %s: row %q: value %q of index %s has a NUL byte", t.def.name, key, value, ix.name)
			}
		}
	}
	tx.write(t.def, key, &row{key: key, val: val}, data)
	return nil
}

// Delete removes the row under key, if any.
func (t *Table[T]) Delete(tx *Tx, key string) { tx.write(t.def, key, nil, nil) }

// List yields the rows whose keys begin with prefix, in key order. Rows that
// the loop's body writes are not seen by the loop.
func (t *Table[T]) List(r Reader, prefix string) iter.Seq[T] {
	return func(yield func(T) bool) {
		r.table(t.def).rows.ascend(prefix, func(_ string, r *row) bool {
			return yield(*r.val.(*T))
		})
	}
}

// By yields the rows that the index files under value, in key order. Rows that
// the loop's body writes are not seen by the loop.
func (t *Table[T]) By(r Reader, index, value string) iter.Seq[T] {
	i := t.def.index(index)
	return func(yield func(T) bool) {
		s := r.table(t.def)
		s.indexes[i].ascend(value+"\x00", func(entry string, _ struct{}) bool {
			row, _ := s.rows.get(entry[len(value)+1:])
			return yield(*row.val.(*T))
		})
	}
}

// index is the number of the index called name, which exists.
func (d *def) index(name string) int {
	for i, ix := range d.indexes {
		if ix.name == name {
			return i
		}
	}
	panic(fmt.Sprintf("store: table %s has no index %q", d.name, name))
}

// Len is the number of rows.
func (t *Table[T]) Len(r Reader) int { return r.table(t.def).rows.n }
