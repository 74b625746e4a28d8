package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/avro"
	"github.com/dhowhq/dhow/contract/avro/idl"
)

// IsIDL reports whether a file is of Avro's interface description language, or a
// protocol, by its name.
func IsIDL(at string) bool { return path.Ext(at) == ".avdl" || path.Ext(at) == ".avpr" }

// ReadIDL reads one file of IDL, with what it imports, as [Read] does.
func ReadIDL(dir fs.FS, at string) (list []File, err error) {
	r := reader{dir: dir, defines: map[string]*draft{}}
	if err := r.idl(at); err != nil {
		return nil, err
	}
	for _, d := range r.drafts {
		f, err := r.parse(d)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// opener opens the files that one file imports, and keeps their texts.
type opener struct {
	dir   fs.FS
	paths []string
	texts [][]byte
}

func (o *opener) open(at string) ([]byte, error) {
	if !fs.ValidPath(at) {
		return nil, errors.New("it is outside of the folder: write it, or a copy, into the folder of schemas")
	}
	text, err := load(o.dir, at)
	if err == nil {
		o.paths, o.texts = append(o.paths, at), append(o.texts, text)
	}
	return text, err
}

// idl reads what a file of IDL declares into drafts.
func (r *reader) idl(at string) error {
	name, release, err := r.named(at)
	if err != nil {
		return err
	}
	if release != "" {
		return fmt.Errorf("%s: a version that was released is kept as the registry has it, in JSON: dhow schema pull --pin writes it", at)
	}
	text, err := load(r.dir, at)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", at, err)
	}
	o := opener{dir: r.dir}
	f, err := readIDL(at, string(text), o.open)
	if err != nil {
		return err
	}
	whole := &draft{File: File{Path: at}, idl: true}
	for _, t := range f.Types {
		if err := r.claim(t.Name, whole, t.Place.String()); err != nil {
			return err
		}
	}
	for _, t := range schemasOf(f, name) {
		d := &draft{File: File{Path: at, Line: t.Place.Line, Name: t.Name}}
		d.made(string(text), &o, t.Source)
		r.drafts = append(r.drafts, d)
	}
	return nil
}

func readIDL(at, text string, open idl.Open) (*idl.File, error) {
	if path.Ext(at) == ".avpr" {
		return idl.ReadProtocol(at, text)
	}
	return idl.Read(at, text, open)
}

// schemasOf are the types of a file that are schemas of the registry, under
// their names there; name is what the file's place says. What `schema …;` declares
// is the file's one schema, as that of NAME.avsc is. Else every record and error
// that the file itself declares is one, as for idl2schemata of Apache's tools:
// whether another record holds it makes no difference, so that none goes from
// the checks because of a change elsewhere. Enums and fixed are parts of
// messages only.
func schemasOf(f *idl.File, name string) (list []idl.Type) {
	if f.Main != nil {
		main := *f.Main
		main.Name = name
		return []idl.Type{main}
	}
	for _, t := range f.Types {
		if t.Kind == "record" || t.Kind == "error" {
			t.Name = path.Dir(name) + "/" + t.Name[strings.LastIndexByte(t.Name, '.')+1:]
			list = append(list, t)
		}
	}
	return list
}

// made says that the draft's text was made of its file and what that imports.
func (d *draft) made(text string, o *opener, src avro.Source) {
	d.Text, d.Imports = src.Text, o.paths
	d.sources = append([][]byte{[]byte(text)}, o.texts...)
	d.source = contract.Source{Format: contract.Avro, File: d.Path, Text: src.Text, Lines: src.Lines}
}

// whole makes of a schema in JSON that uses types of IDL one that stands alone.
func (r *reader) whole(d *draft, refs []*draft) error {
	var imports []string
	for _, n := range refs {
		if !slices.Contains(imports, n.Path) {
			imports = append(imports, n.Path)
		}
	}
	o := opener{dir: r.dir}
	t, err := idl.ReadSchema(d.Path, d.Text, o.open, imports...)
	if err != nil {
		return err
	}
	d.made(d.Text, &o, t.Source)
	return nil
}
