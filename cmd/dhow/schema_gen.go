package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/gen"
	"github.com/dhowhq/dhow/sdk/avro"
)

type schemaGenCmd struct {
	Go schemaGenGoCmd `cmd:"" help:"Write Go types, and the means to carry the locked schemas in the program."`
}

type schemaGenGoCmd struct {
	schemaFolder `embed:""`
	Package      string `help:"Name of the package; by default the folder's."`
	Out          string `default:"schemas.go" help:"Name of the file, in the folder."`
}

// Run writes the file. Only the schemas that are worked at get types: what was
// released before is read into these.
func (c schemaGenGoCmd) Run() error {
	files, err := c.read()
	if err != nil {
		return err
	}
	o := gen.Options{Package: c.Package}
	if o.Package == "" {
		abs, err := filepath.Abs(c.Dir)
		if err != nil {
			return err
		}
		o.Package = filepath.Base(abs)
	}
	var schemas []gen.Schema
	for _, f := range files {
		if f.Schema.Source().Format != contract.Avro || f.Release != "" {
			continue
		}
		schemas = append(schemas, gen.Schema{Name: f.Name, Text: f.Text})
	}
	if len(schemas) == 0 {
		return fmt.Errorf("%s: there is no schema of Avro to write types for", c.Dir)
	}
	if o.Embed, err = c.locked(); err != nil {
		return err
	}
	text, err := gen.Go(o, schemas...)
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, c.Out)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: types of %s\n", relative(path), count(len(schemas), "schema"))
	return nil
}

// locked lists the lock file and the files in it, none if there is no lock.
func (c schemaGenGoCmd) locked() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(c.Dir, avro.LockName))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lock, err := avro.ParseLockFile(text)
	if err != nil {
		return nil, err
	}
	list := []string{avro.LockName}
	for _, e := range lock.Schemas {
		for _, f := range append([]string{e.File}, e.Imports...) {
			if !slices.Contains(list, f) {
				list = append(list, f)
			}
		}
	}
	return list, nil
}
