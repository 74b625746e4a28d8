// Package idl reads Avro's interface description language, .avdl, and
// protocols, .avpr, into schemas.
//
// Source: https://avro.apache.org/docs/1.12.0/idl-language/
package idl

import (
	"fmt"
	"path"

	"github.com/dhowhq/dhow/contract/avro"
	"github.com/dhowhq/dhow/contract/verdict"
)

// Bounds on what is read.
const (
	maxNesting = 300
	maxText    = 4 << 20 // bytes of a file
	maxFiles   = 200
	maxMade    = 16 << 20 // bytes of all schemas that are made of a file
)

// Open reads a file that is imported, by its path: that of the file which
// imports it, joined with what the import says, with slashes.
type Open func(path string) ([]byte, error)

// File is what an .avdl file declares.
type File struct {
	Protocol string // its name, "" of files that are no protocol
	Main     *Type  // what `schema …;` declares; nil where there is none
	Types    []Type // the named types of the file itself, in its order, not those it imports
}

// Type is a schema, whole: what it refers to is within it.
type Type struct {
	Name   string // full; "" of a Main without a name
	Kind   string // record, error, enum or fixed; "" of a Main
	Place  verdict.Place
	Source avro.Source // its Lines lead back to the .avdl file
	Schema *avro.Schema
}

// Read reads an .avdl file. Messages of protocols are read over. A name may be
// used before it is declared. Errors are *verdict.Malformed with file and line.
func Read(file, text string, open Open) (*File, error) {
	r := &reader{shared: &shared{open: open, types: map[string]*node{}, read: map[string]bool{path.Clean(file): true}}, out: &File{}}
	if err := r.start(file, text); err != nil {
		return nil, err
	}
	if err := r.file(); err != nil {
		return nil, err
	}
	return r.finish()
}

// ReadProtocol reads an .avpr file as [Read] does.
func ReadProtocol(file, text string) (*File, error) {
	r := &reader{shared: &shared{types: map[string]*node{}}, out: &File{}}
	if err := r.start(file, text); err != nil {
		return nil, err
	}
	if err := r.protocolJSON(); err != nil {
		return nil, err
	}
	return r.finish()
}

// ReadSchema reads a schema in JSON that uses types of the imports, which are
// files called .avdl, .avpr and .avsc, as open knows them. Errors are as those of
// [Read].
func ReadSchema(file, text string, open Open, imports ...string) (Type, error) {
	r := &reader{shared: &shared{open: open, types: map[string]*node{}, read: map[string]bool{path.Clean(file): true}}, out: &File{}}
	if err := r.start(file, text); err != nil {
		return Type{}, err
	}
	for _, i := range imports {
		if err := r.include(imported[path.Ext(i)], path.Clean(i), token{text: i, line: 1}); err != nil {
			return Type{}, err
		}
	}
	main, err := r.schemaJSON()
	if err != nil {
		return Type{}, err
	}
	return r.schema(main)
}

// imported is the words of IDL for files, by the ends of their names.
var imported = map[string]string{".avdl": "idl", ".avpr": "protocol", ".avsc": "schema"}

// shared is what a file and its imports have in common.
type shared struct {
	open  Open
	types map[string]*node // by full name
	read  map[string]bool
}

// reader reads one file.
type reader struct {
	lexer
	*shared
	space string
	own   []string // full names, in order
	main  *node
	made  int // bytes
	out   *File
}

func (r *reader) start(file, text string) error {
	r.lexer = lexer{source: file, text: text, line: 1}
	if len(text) > maxText {
		return r.fail(1, "the file has %d bytes, at most %d are read", len(text), maxText)
	}
	return r.advance()
}

func (r *reader) place(line int) verdict.Place { return verdict.Place{File: r.source, Line: line} }

func (r *reader) define(full string, def *node) error {
	if old := r.types[full]; old != nil {
		return r.fail(def.place.Line, "%s is declared twice: first at %s", full, old.place)
	}
	r.types[full] = def
	r.own = append(r.own, full)
	return nil
}

// finish writes and checks the schemas of what was declared.
func (r *reader) finish() (*File, error) {
	for _, full := range r.own {
		t, err := r.schema(&node{place: r.types[full].place, what: reference, text: full})
		if err != nil {
			return nil, err
		}
		t.Kind = r.types[full].textOf("type")
		r.out.Types = append(r.out.Types, t)
	}
	if r.main != nil {
		t, err := r.schema(r.main)
		if err != nil {
			return nil, err
		}
		r.out.Main = &t
	}
	return r.out, nil
}

func (r *reader) schema(n *node) (Type, error) {
	w := writer{types: r.types, seen: map[string]bool{}}
	if err := w.write(n, "", 0); err != nil {
		return Type{}, err
	}
	if r.made += w.buf.Len(); r.made > maxMade {
		return Type{}, r.fail(n.place.Line, "the schemas of the file, each whole, have more than %d bytes", maxMade)
	}
	src := avro.Source{File: r.source, Text: w.buf.String(), Lines: w.lines}
	s, err := avro.Parse(src)
	if err != nil {
		return Type{}, err
	}
	return Type{Name: s.Name(), Place: n.place, Source: src, Schema: s}, nil
}

// Imports.

func (r *reader) importFile() error {
	kind, err := r.take()
	if err != nil {
		return err
	}
	name, err := r.take()
	if err != nil {
		return err
	}
	if name.form != text || kind.text != "idl" && kind.text != "protocol" && kind.text != "schema" {
		return r.fail(kind.line, `an import is import idl "FILE", import protocol "FILE" or import schema "FILE"`)
	}
	if err := r.want(";"); err != nil {
		return err
	}
	return r.include(kind.text, path.Join(path.Dir(r.source), name.text), name)
}

// include reads another file, once; name is what imports it.
func (r *reader) include(kind, full string, name token) error {
	if r.read[full] {
		return nil
	}
	r.read[full] = true
	if len(r.read) > maxFiles {
		return r.fail(name.line, "more than %d files are imported", maxFiles)
	}
	return r.importText(kind, full, name)
}

func (r *reader) importText(kind, full string, name token) error {
	if r.open == nil {
		return r.fail(name.line, "%s cannot be imported: there are no files here", name.text)
	}
	data, err := r.open(full)
	if err != nil {
		return r.fail(name.line, "%s cannot be imported: %v", name.text, err)
	}
	in := &reader{shared: r.shared, out: &File{}}
	if err := in.start(full, string(data)); err != nil {
		return err
	}
	switch kind {
	case "idl":
		return in.file()
	case "protocol":
		return in.protocolJSON()
	}
	_, err = in.schemaJSON()
	return err
}

// schemaJSON reads an .avsc file: its types, and the schema as a whole.
func (r *reader) schemaJSON() (*node, error) {
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if err := r.wantEnd(); err != nil {
		return nil, err
	}
	return r.adopt(v, "", 0)
}

// protocolJSON reads an .avpr file: its types.
func (r *reader) protocolJSON() error {
	v, err := r.value(0)
	if err != nil {
		return err
	}
	if err := r.wantEnd(); err != nil {
		return err
	}
	r.out.Protocol = v.textOf("protocol")
	if r.out.Protocol == "" {
		return r.fail(v.place.Line, "a protocol needs the attribute \"protocol\", its name")
	}
	if types := v.member("types"); types != nil {
		return r.adoptAll(types.items, v.textOf("namespace"), 0)
	}
	return nil
}

// Tokens.

func (r *reader) is(marks string) bool { return r.next.form == mark && r.next.text == marks }

func (r *reader) isWord(w string) bool { return r.next.form == word && r.next.text == w }

func (r *reader) want(m string) error {
	t, err := r.take()
	if err == nil && (t.form != mark || t.text != m) {
		return r.fail(t.line, "%s should be here, not %s", fmt.Sprintf("`%s`", m), t)
	}
	return err
}

func (r *reader) wantEnd() error {
	if r.next.form == mark && r.next.text == "\x1a" { // which old tools leave behind
		if err := r.advance(); err != nil {
			return err
		}
	}
	if r.next.form != end {
		return r.fail(r.next.line, "the file should end here, and goes on with %s", r.next)
	}
	return nil
}

// name is an identifier, whatever word it is.
func (r *reader) name(of string) (token, error) {
	t, err := r.take()
	if err == nil && t.form != word && t.form != quoted {
		return t, r.fail(t.line, "the name of %s should be here, not %s", of, t)
	}
	return t, err
}
