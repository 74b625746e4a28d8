package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/folder"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/sdk/avro"
)

type schemaPullCmd struct {
	Names []string `arg:"" help:"REGISTRY/NAME, with @RANGE for other than the latest version: shop/order@^1."`
	To    string   `default:"schemas" help:"Folder to write into."`
	Pin   bool     `help:"Write NAME@VERSION, a released version that stays, and not NAME, the one that is worked at."`
}

// Run writes a file for each version. A file that is there and says something
// else is kept.
func (c schemaPullCmd) Run(ctx context.Context) error {
	r := newClient().schemas()
	for _, said := range c.Names {
		name, text, _ := strings.Cut(said, "@")
		rng, err := contract.ParseRange(text)
		if err != nil {
			return err
		}
		k, err := r.Need(ctx, name)
		if err != nil {
			return err
		}
		v := k.Find(rng)
		if v == nil {
			return fmt.Errorf("%s has no version in %s", k.Name, rng)
		}
		file := folder.PathOf(k.Name, "", k.Format)
		if c.Pin {
			file = folder.PathOf(k.Name, v.Semver, k.Format)
		} else if err := c.declared(k.Name, file); err != nil {
			return err
		}
		if err := writeNew(filepath.Join(c.To, filepath.FromSlash(file)), v.Text); err != nil {
			return err
		}
		fmt.Println(filepath.Join(c.To, file), "is", k.Name, v.Label())
	}
	return nil
}

// declared is an error if another file of the folder has the schema already, as
// one of IDL may. What else is wrong with the folder is no matter here.
func (c schemaPullCmd) declared(name, file string) error {
	files, _ := schemaFolder{Dir: c.To, Registry: registry.Default}.read()
	for _, f := range files {
		if f.Name == name && f.Release == "" && f.Path != file {
			return fmt.Errorf("%s is %s: change it there, or pull with --pin", filepath.Join(c.To, f.At()), name)
		}
	}
	return nil
}

// errOther is a file that is not overwritten.
var errOther = errors.New("it is there with another text: remove it, or pull with --pin")

// writeNew writes a file, unless it is there with another text.
func writeNew(path, text string) error {
	old, err := os.ReadFile(path)
	switch {
	case err == nil && string(old) == text:
		return nil
	case err == nil:
		return fmt.Errorf("%s: %w", path, errOther)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

type schemaLockCmd struct {
	schemaFolder `embed:""`
}

// Run writes the lock file. Every file must be a registered version.
func (c schemaLockCmd) Run(ctx context.Context) error {
	list, err := c.compare(ctx)
	if err != nil {
		return err
	}
	lock, err := folder.Lock(list)
	if err != nil {
		return err
	}
	text, err := lock.Marshal()
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, avro.LockName)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", relative(path), count(len(lock.Schemas), "version"))
	return nil
}

type schemaDiffCmd struct {
	From string `arg:"" help:"The old one: a file, or REGISTRY/NAME@VERSION; of a file that declares several FILE#NAME."`
	To   string `arg:"" help:"The new one."`
}

// Run prints what the change is for semantic versions, and all that breaks in
// either direction.
func (c schemaDiffCmd) Run(ctx context.Context) error {
	from, err := loadSchema(ctx, c.From)
	if err != nil {
		return err
	}
	to, err := loadSchema(ctx, c.To)
	if err != nil {
		return err
	}
	before := []contract.Version{{Label: from.label, Schema: from.Schema}}
	bump := contract.BumpOf(to.Schema, before)
	what := map[contract.Bump]string{
		contract.Same:  "none: it is the same text",
		contract.Patch: "patch: documentation or form alone",
		contract.Minor: "minor: each reads what the other wrote",
		contract.Major: "major: it breaks",
	}
	fmt.Println("change:", what[bump])
	for _, side := range []struct {
		level contract.Level
		says  string
	}{{contract.Backward, "the new version reads the old messages"}, {contract.Forward, "the old version reads the new messages"}} {
		breaks := contract.Check(side.level, to.Schema, before)
		yes := "yes"
		if len(breaks) > 0 {
			yes = "no"
		}
		fmt.Printf("%s: %s (%s)\n", side.says, yes, side.level)
		for _, b := range breaks {
			fmt.Println("  -", b.Explain(""))
		}
	}
	return nil
}
