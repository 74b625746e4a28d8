// Package folder is schemas as files in a service's repository: reading them,
// comparing them with a registry, bringing them there and back.
//
// A file DIR/REGISTRY/NAME.avsc is the schema NAME of REGISTRY as the service
// has it now; DIR/NAME.avsc is in the registry that the caller names.
// DIR/REGISTRY/NAME@1.2.0.avsc is a version that was released, which the service
// still reads. Files of Avro may use types that other files of the folder
// define.
package folder

import (
	"cmp"
	"errors"
	"fmt"
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
	Name    string // REGISTRY/NAME
	Release string // the version that it is, "" for the one that is worked at
	Schema  contract.Schema
	Text    string // that of the file; of Avro with the types of other files in it
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

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// ErrEmpty is a folder without schemas.
var ErrEmpty = errors.New("no schema is in it: files are called NAME.avsc, NAME.json or NAME.proto, in folders called as their registries")

// Read reads a folder, sorted by Key; registry is that of files at its top. It
// tells all that is wrong, joined: *verdict.Malformed where it is in a schema.
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
			r.errs = append(r.errs, err)
		} else {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Release, b.Release))
	})
	for i := 1; i < len(files); i++ {
		if a, b := files[i-1], files[i]; a.Key() == b.Key() {
			r.errs = append(r.errs, fmt.Errorf("%s and %s are both %s: rename one", a.Path, b.Path, a.Key()))
		}
	}
	return files, errors.Join(r.errs...)
}

// draft is a file that was read, and not parsed.
type draft struct {
	File
	source contract.Source
	needed []string // full names
}

type reader struct {
	dir      fs.FS
	registry string
	drafts   []*draft
	defines  map[string]*draft // by the full names of Avro's types; of files without a release
	errs     []error
}

func (r *reader) visit(at string, e fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case e.IsDir() && at != "." && strings.HasPrefix(e.Name(), "."), e.IsDir() && e.Name() == "node_modules":
		return fs.SkipDir
	case e.IsDir():
		return nil
	}
	format, ok := formats[path.Ext(at)]
	if ext := path.Ext(at); ext == ".avdl" || ext == ".avpr" {
		r.errs = append(r.errs, fmt.Errorf("%s is not read yet: write its schemas as NAME.avsc", at))
	}
	if !ok {
		return nil
	}
	d, err := r.read(at, format)
	if err != nil {
		r.errs = append(r.errs, err)
		return nil
	}
	r.drafts = append(r.drafts, d)
	return nil
}

func (r *reader) read(at string, format contract.Format) (*draft, error) {
	text, err := fs.ReadFile(r.dir, at)
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is longer than 1 MiB", at)
	}
	d := &draft{File: File{Path: at, Text: string(text)}}
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
		if other := r.defines[n]; other != nil {
			return nil, fmt.Errorf("%s defines %s, and %s does too: let one of them use the other's", at, n, other.Path)
		}
		r.defines[n] = d
	}
	return d, nil
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
	f = d.File
	var refs []avro.Source
	if err := r.refs(d, d, map[*draft]bool{d: true}, func(n *draft) {
		d.source.Refs = append(d.source.Refs, n.source)
		refs = append(refs, avro.Source{File: n.Path, Text: n.source.Text})
	}); err != nil {
		return f, err
	}
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
