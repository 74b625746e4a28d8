// Package folder is schemas as files in a service's repository: reading them,
// comparing them with a registry, bringing them there and back.
//
// A file DIR/REGISTRY/NAME.avsc is the schema NAME of REGISTRY as the service
// has it now; DIR/NAME.avsc is in the registry that the caller names.
// DIR/REGISTRY/NAME@1.2.0.avsc is a version that was released, which the service
// still reads. Files of Avro may use types that other files of the folder
// define.
//
// A file of Avro IDL, .avdl, or a protocol, .avpr, declares several: see
// [Read].
package folder

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/avro"
)

// File is a schema in a folder.
type File struct {
	Path    string // within the folder, with slashes
	Line    int    // where the file declares it, from 1
	Name    string // REGISTRY/NAME
	Release string // the version that it is, "" for the one that is worked at
	Schema  contract.Schema
	Text    string   // that of the file; of Avro with the types of other files in it, of IDL as JSON
	Imports []string // the files that Text is made of beside Path, if it is made of IDL

	sources [][]byte // the texts of Path and Imports, if Text is made of IDL
}

// At is the file, and the line where it declares more than one schema.
func (f File) At() string {
	if IsIDL(f.Path) {
		return f.Place().String()
	}
	return f.Path
}

// Key is NAME, or NAME@RELEASE.
func (f File) Key() string {
	if f.Release == "" {
		return f.Name
	}
	return f.Name + "@" + f.Release
}

// formats are the languages by the ends of files' names.
var formats = map[string]contract.Format{".avsc": contract.Avro, ".json": contract.JSON, ".proto": contract.Protobuf}

// IsSchema reports whether a file is one of schemas, by its name.
func IsSchema(at string) bool { return formats[path.Ext(at)] != "" || IsIDL(at) }

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// ErrEmpty is a folder without schemas.
var ErrEmpty = errors.New("no schema is in it: files are called NAME.avsc, NAME.json or NAME.proto, or .avdl or .avpr and declare records, in folders called as their registries")

// Read reads a folder, sorted by Key; registry is that of files at its top. It
// tells all that is wrong, joined: *verdict.Malformed where it is in a schema.
//
// DIR/REGISTRY/NAME.avdl with `schema …;` is the schema NAME. Without it, and of
// .avpr, each record and error that the file declares is a schema by its own
// name. Imports are files of the folder; what they declare is not declared again.
func Read(dir fs.FS, registry string) ([]File, error) {
	r := reader{dir: dir, registry: registry, defines: map[string]*draft{}}
	if err := fs.WalkDir(dir, ".", r.visit); err != nil {
		return nil, err
	}
	if len(r.drafts) == 0 && len(r.errs) == 0 {
		return nil, ErrEmpty
	}
	var files []File
	for _, d := range r.drafts {
		if f, err := r.parse(d); err != nil {
			r.wrong(err)
		} else {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Release, b.Release))
	})
	for i := 1; i < len(files); i++ {
		if a, b := files[i-1], files[i]; a.Key() == b.Key() {
			r.wrong(fmt.Errorf("%s and %s are both %s: rename one", a.At(), b.At(), a.Key()))
		}
	}
	return files, errors.Join(r.errs...)
}

// draft is a file that was read, and not parsed.
type draft struct {
	File
	source contract.Source
	needed []string // full names
	idl    bool     // no schema, but a file of IDL for its types
}

type reader struct {
	dir      fs.FS
	registry string
	drafts   []*draft
	defines  map[string]*draft // by the full names of Avro's types; of files without a release
	errs     []error
}

// wrong notes an error once: what is wrong with a file is so for all that import it.
func (r *reader) wrong(err error) {
	same := func(e error) bool { return e.Error() == err.Error() }
	if !slices.ContainsFunc(r.errs, same) {
		r.errs = append(r.errs, err)
	}
}

func (r *reader) visit(at string, e fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case skipped(at, e):
		return fs.SkipDir
	case e.IsDir():
		return nil
	}
	if IsIDL(at) {
		if err := r.idl(at); err != nil {
			r.wrong(err)
		}
		return nil
	}
	format, ok := formats[path.Ext(at)]
	if !ok {
		return nil
	}
	d, err := r.read(at, format)
	if err != nil {
		r.wrong(err)
		return nil
	}
	r.drafts = append(r.drafts, d)
	return nil
}

// load reads a file whole, if it is one, and bounded.
func load(dir fs.FS, at string) ([]byte, error) {
	info, err := fs.Stat(dir, at)
	var where *fs.PathError // its path is told already
	switch {
	case errors.As(err, &where):
		return nil, where.Err
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	}
	f, err := dir.Open(at)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("it is longer than 1 MiB")
	}
	return text, err
}

func (r *reader) read(at string, format contract.Format) (*draft, error) {
	text, err := load(r.dir, at)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", at, err)
	}
	d := &draft{File: File{Path: at, Line: 1, Text: string(text)}}
	if d.Name, d.Release, err = r.named(at); err != nil {
		return nil, err
	}
	d.source = contract.Source{Format: format, File: at, Text: d.Text}
	if format != contract.Avro {
		return d, nil
	}
	defined, needed, err := avro.Names(avro.Source{File: at, Text: d.Text})
	if err != nil {
		return nil, err
	}
	d.needed = needed
	if d.Release != "" {
		return d, nil // it is as it was registered, whole
	}
	for _, n := range defined {
		if err := r.claim(n, d, at); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// claim notes where a type is defined.
func (r *reader) claim(full string, d *draft, at string) error {
	if other := r.defines[full]; other != nil {
		return fmt.Errorf("%s defines %s, and %s does too: let one of them use the other's", at, full, other.Path)
	}
	r.defines[full] = d
	return nil
}

// named is what a file's place says.
func (r *reader) named(at string) (name, release string, err error) {
	folder, base := path.Split(strings.TrimSuffix(at, path.Ext(at)))
	folder = strings.TrimSuffix(folder, "/")
	base, release, _ = strings.Cut(base, "@")
	switch {
	case folder == "":
		folder = r.registry
	case strings.Contains(folder, "/"):
		return "", "", fmt.Errorf("%s is two folders deep: a file's folder is its registry, REGISTRY/NAME.avsc", at)
	}
	if release != "" {
		if _, err := contract.ParseVersion(release); err != nil {
			return "", "", fmt.Errorf("%s: %w", at, err)
		}
	}
	return folder + "/" + base, release, nil
}

func (r *reader) parse(d *draft) (f File, err error) {
	var needs []*draft
	if err := r.refs(d, d, map[*draft]bool{d: true}, func(n *draft) { needs = append(needs, n) }); err != nil {
		return f, err
	}
	var refs []avro.Source
	if slices.ContainsFunc(needs, func(n *draft) bool { return n.idl }) {
		if err := r.whole(d, needs); err != nil {
			return f, err
		}
	} else {
		for _, n := range needs {
			d.source.Refs = append(d.source.Refs, n.source)
			refs = append(refs, avro.Source{File: n.Path, Text: n.source.Text})
		}
	}
	f = d.File
	if f.Schema, err = contract.Parse(d.source); err != nil {
		return f, err
	}
	if len(refs) > 0 {
		f.Text, err = avro.Inline(avro.Source{File: d.Path, Text: d.source.Text}, refs...)
	}
	return f, err
}

// refs calls add with all that d needs, each after what it needs itself.
func (r *reader) refs(root, d *draft, seen map[*draft]bool, add func(*draft)) error {
	for _, n := range d.needed {
		other := r.defines[n]
		switch {
		case other == root:
			return fmt.Errorf("%s and %s use each other's types: put these into one file", root.Path, d.Path)
		case other == nil || seen[other]:
			continue // that nobody defines it is Parse's to say, with its place
		}
		seen[other] = true
		if err := r.refs(root, other, seen, add); err != nil {
			return err
		}
		add(other)
	}
	return nil
}
