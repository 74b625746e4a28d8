package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/folder"
	"github.com/dhowhq/dhow/contract/registry"
)

// loaded is a schema that the command line names.
type loaded struct {
	contract.Schema
	label string // what messages call it
	text  string // whole: what a registry gets, or has
}

// loadSchema reads a schema from a file, or else from the registry; what ends
// like a file is one.
func loadSchema(ctx context.Context, said string) (l loaded, err error) {
	file, name, _ := strings.Cut(said, "#")
	if _, err := os.Stat(file); err == nil {
		f, err := loadFile(file, name)
		return loaded{f.Schema, filepath.Base(said), f.Text}, err
	} else if folder.IsSchema(file) {
		return l, err
	}
	name, text, _ := strings.Cut(said, "@")
	rng, err := contract.ParseRange(text)
	if err != nil {
		return l, err
	}
	k, err := newClient().schemas().Need(ctx, name)
	if err != nil {
		return l, fmt.Errorf("there is no file %s, and %w", said, err)
	}
	v := k.Find(rng)
	if v == nil {
		return l, fmt.Errorf("%s has no version in %s", k.Name, rng)
	}
	return loaded{v.Schema, v.Label(), v.Text}, nil
}

// loadFile reads a file, with what it uses of its neighbours; name says which
// schema of a file that declares several.
func loadFile(file, name string) (f folder.File, err error) {
	list, at, err := neighbours(file)
	var names []string
	for _, l := range list {
		if l.Path != at || name != "" && path.Base(l.Name) != name {
			continue
		}
		f, names = l, append(names, file+"#"+path.Base(l.Name))
	}
	switch {
	case len(names) == 1:
		return f, nil
	case len(names) > 1:
		return f, fmt.Errorf("%s declares several schemas: say %s", file, strings.Join(names, " or "))
	case err != nil:
		return f, err
	case name != "":
		return f, fmt.Errorf("%s declares no schema %s", file, name)
	}
	return f, fmt.Errorf("%s has no schema: its name ends with .avsc, .json or .proto, or with .avdl or .avpr and it declares records", file)
}

// neighbours reads the folder of a file, and of IDL the file alone: it says what
// it imports, from the folders beside its own too. at is the file's path there.
func neighbours(file string) (list []folder.File, at string, err error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, "", err
	}
	dir := filepath.Dir(abs)
	if !folder.IsIDL(abs) {
		list, err = schemaFolder{Dir: dir, Registry: registry.Default}.read()
		return list, filepath.Base(abs), err
	}
	above := filepath.Dir(dir)
	if at, err = filepath.Rel(above, abs); err != nil {
		return nil, "", err
	}
	root, err := os.OpenRoot(above)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	at = filepath.ToSlash(at)
	list, err = folder.ReadIDL(root.FS(), at)
	return list, at, err
}
