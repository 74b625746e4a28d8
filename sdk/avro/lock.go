package avro

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/wire"
)

// LockName is the name of the lock file in a folder of schemas.
const LockName = "dhow.lock"

// LockFormat is the version of the lock file's form.
const LockFormat = 1

// LockFile is what `dhow schema lock` writes into a folder of schemas: which
// versions the files in it are. A schema may be there in several versions: the
// one that a service writes, and those that it still has to read.
//
//	{
//	  "lockfileVersion": 1,
//	  "schemas": [
//	    {
//	      "name": "shop/order",
//	      "version": "1.1.0",
//	      "schemaVersionId": "b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63",
//	      "sha256": "a3c4…",
//	      "crc64": "0f12ab…",
//	      "file": "order.avsc"
//	    }
//	  ]
//	}
type LockFile struct {
	LockfileVersion int         `json:"lockfileVersion"` // LockFormat
	Schemas         []LockEntry `json:"schemas"`
}

// LockEntry is one version of a schema.
type LockEntry struct {
	Name            string    `json:"name"`    // REGISTRY/NAME
	Version         string    `json:"version"` // its semantic version
	Format          string    `json:"format,omitempty"`
	SchemaVersionID wire.UUID `json:"schemaVersionId,omitzero"` // in the registry of Glue
	ID              uint32    `json:"id,omitempty"`             // in a registry of Confluent's kind
	SHA256          string    `json:"sha256"`                   // of the file, in hex, its ends of lines as LF; of File and then Imports where Definition is made of them
	CRC64           string    `json:"crc64,omitempty"`          // CRC-64-AVRO of the Parsing Canonical Form, the number in hex
	File            string    `json:"file"`                     // beside the lock file, with slashes
	References      []string  `json:"references,omitempty"`     // NAME@VERSION of entries whose types it uses
	Imports         []string  `json:"imports,omitempty"`        // files beside the lock file that Definition is made of too
	Definition      string    `json:"definition,omitempty"`     // the schema, where the file is no schema in JSON, as of Avro IDL
}

// NewLockEntry is the entry of a file of Avro with what is in it; before are the
// definitions of its references, each after those that it needs itself.
func NewLockEntry(name, version, file string, definition []byte, before ...string) (LockEntry, error) {
	e := LockEntry{Name: name, Version: version, File: file, SHA256: Sum(definition)}
	text, err := whole(string(definition), before)
	if err != nil {
		return e, fmt.Errorf("%s: %w", file, err)
	}
	v, err := NewVersion(name, version, text)
	if err != nil {
		return e, fmt.Errorf("%s: %w", file, err)
	}
	e.CRC64 = fmt.Sprintf("%016x", v.fingerprint)
	return e, nil
}

// Marshal is the file's text: sorted, and the same for the same entries.
func (f LockFile) Marshal() ([]byte, error) {
	f.LockfileVersion = LockFormat
	f.Schemas = slices.Clone(f.Schemas)
	slices.SortFunc(f.Schemas, func(a, b LockEntry) int {
		x, _, _ := parseNumbers(a.Version)
		y, _, _ := parseNumbers(b.Version)
		return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(x[:], y[:]), cmp.Compare(a.File, b.File))
	})
	text, err := json.MarshalIndent(f, "", "  ")
	return append(text, '\n'), err
}

// ParseLockFile reads a lock file. Members that it does not know are refused: a
// newer dhow wrote them for a reason.
func ParseLockFile(data []byte) (LockFile, error) {
	var f LockFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("%s: %w", LockName, err)
	}
	if f.LockfileVersion != LockFormat {
		return f, fmt.Errorf("%s: lockfileVersion %d is not known here, %d is: write it anew with dhow schema lock", LockName, f.LockfileVersion, LockFormat)
	}
	return f, nil
}

// Lock is schemas that are part of the program. It is a [Source] that needs no
// network.
type Lock struct {
	versions []*Version
}

// Open reads the lock file of a folder and the files that it names, usually out
// of an embed.FS. A file that is not what was locked is an error: it says which.
func Open(fsys fs.FS, dir string) (*Lock, error) {
	data, err := fs.ReadFile(fsys, path.Join(dir, LockName))
	if err != nil {
		return nil, fmt.Errorf("no lock file beside the schemas, write it with dhow schema lock: %w", err)
	}
	file, err := ParseLockFile(data)
	if err != nil {
		return nil, err
	}
	o := opener{fsys: fsys, dir: dir, entries: map[string]LockEntry{}, texts: map[string]string{}}
	for _, e := range file.Schemas {
		if err := o.add(e); err != nil {
			return nil, err
		}
	}
	l := &Lock{}
	for _, e := range file.Schemas {
		if e.Format != "" && e.Format != "AVRO" {
			continue
		}
		v, err := o.version(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.File, err)
		}
		l.versions = append(l.versions, v)
	}
	return l, nil
}

// Versions are all versions in the lock, in its order.
func (l *Lock) Versions() []*Version { return slices.Clone(l.versions) }

// Select is that of [Source].
func (l *Lock) Select(_ context.Context, want Wanted) (*Version, error) {
	if v := want.newest(l.versions); v != nil {
		return v, nil
	}
	return nil, unknown("%s is not among the embedded schemas (%s)", want, l)
}

// Find is that of [Source].
func (l *Lock) Find(_ context.Context, name string, ref wire.Reference) (*Version, error) {
	for _, v := range l.versions {
		if v.is(ref) && sameName(v.Name, name) {
			return v, nil
		}
	}
	return nil, unknown("%s is not among the embedded versions of %s (%s)", ref, name, l)
}

func (l *Lock) String() string {
	names := make([]string, len(l.versions))
	for i, v := range l.versions {
		names[i] = v.String()
	}
	return strings.Join(names, ", ")
}

// opener reads the files of a lock.
type opener struct {
	fsys    fs.FS
	dir     string
	entries map[string]LockEntry // by NAME@VERSION
	texts   map[string]string    // by NAME@VERSION
}

func (o opener) add(e LockEntry) error {
	key := e.Name + "@" + e.Version
	if _, twice := o.entries[key]; twice {
		return fmt.Errorf("%s: %s is there twice", LockName, key)
	}
	_, numbers, ok := parseNumbers(e.Version)
	if _, err := ParseWanted(key); err != nil || !ok || numbers < 3 {
		return fmt.Errorf("%s: %q is not REGISTRY/NAME@VERSION", LockName, key)
	}
	var texts [][]byte
	for _, f := range append([]string{e.File}, e.Imports...) {
		text, err := fs.ReadFile(o.fsys, path.Join(o.dir, f))
		if err != nil {
			return fmt.Errorf("%s: %w", LockName, err)
		}
		texts = append(texts, text)
	}
	if got := Sum(texts...); got != e.SHA256 {
		return fmt.Errorf("%s is not what was locked as %s: its sha256 is %s and was %s: run dhow schema check, then dhow schema lock", strings.Join(append([]string{e.File}, e.Imports...), " with "), key, got, e.SHA256)
	}
	o.entries[key], o.texts[key] = e, cmp.Or(e.Definition, string(texts[0]))
	return nil
}

func (o opener) version(e LockEntry) (*Version, error) {
	var before []string
	if err := o.before(e, &before, map[string]bool{}); err != nil {
		return nil, err
	}
	text, err := whole(o.texts[e.Name+"@"+e.Version], before)
	if err != nil {
		return nil, err
	}
	v, err := parse(&Version{Name: e.Name, Version: e.Version, UUID: e.SchemaVersionID, ID: e.ID, Definition: text})
	if err != nil {
		return nil, err
	}
	if got := fmt.Sprintf("%016x", v.fingerprint); got != e.CRC64 {
		return nil, fmt.Errorf("its crc64 is %s, and %s says %q", got, LockName, e.CRC64)
	}
	return v, nil
}

// before lists the definitions that an entry needs, each after those that it
// needs itself.
func (o opener) before(e LockEntry, list *[]string, seen map[string]bool) error {
	for _, key := range e.References {
		if seen[key] {
			continue
		}
		seen[key] = true
		ref, ok := o.entries[key]
		if !ok {
			return fmt.Errorf("refers to %s, which is not in %s", key, LockName)
		}
		if err := o.before(ref, list, seen); err != nil {
			return err
		}
		*list = append(*list, o.texts[key])
	}
	return nil
}

// whole is a definition with the types that it refers to within it.
func whole(definition string, before []string) (string, error) {
	if len(definition) > MaxDefinition {
		return "", errors.New("the schema is too long")
	}
	if len(before) == 0 {
		return definition, nil
	}
	var cache twmb.SchemaCache
	read := func(text string) (*twmb.Schema, error) { return cache.Parse(text) }
	for _, b := range before {
		if _, err := lenient(b, read); err != nil {
			return "", err
		}
	}
	s, err := lenient(definition, read)
	if err != nil {
		return "", err
	}
	s, err = s.Root().Schema()
	if err != nil {
		return "", err
	}
	return s.String(), nil
}
