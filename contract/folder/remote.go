package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/verdict"
	"github.com/dhowhq/dhow/contract/wire"
)

// Remote is a registry behind the Glue API: dhow's, or AWS's own.
type Remote struct{ API *glue.Client }

// Known is a schema as a registry has it.
type Known struct {
	Name     string // REGISTRY/NAME
	ARN      string
	Format   contract.Format
	Level    contract.Level
	Versions []Version // available ones, oldest first
	From     int64     // the checkpoint: the _ALL levels compare from here on
}

// Version is one version of a schema in a registry.
type Version struct {
	Number int64
	ID     string // UUID
	Semver string // "" where the registry knows none
	Text   string
	contract.Schema
}

// Label is what messages call the version.
func (v Version) Label() string {
	if v.Semver != "" {
		return v.Semver
	}
	return fmt.Sprintf("version %d", v.Number)
}

// split takes REGISTRY/NAME apart; NAME alone is in the default registry.
func split(name string) (reg, schema string) {
	if reg, schema, ok := wire.SplitName(name); ok {
		return reg, schema
	}
	return registry.Default, name
}

// Get returns a schema with all its available versions; nil without an error if
// the registry does not have it.
func (r Remote) Get(ctx context.Context, name string) (*Known, error) {
	reg, schema := split(name)
	id := &types.SchemaId{RegistryName: &reg, SchemaName: &schema}
	out, err := r.API.GetSchema(ctx, &glue.GetSchemaInput{SchemaId: id})
	var missing *types.EntityNotFoundException
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k := &Known{Name: reg + "/" + schema, ARN: deref(out.SchemaArn), Format: contract.Format(out.DataFormat),
		Level: contract.Level(out.Compatibility), From: deref(out.SchemaCheckpoint)}
	for pages := glue.NewListSchemaVersionsPaginator(r.API, &glue.ListSchemaVersionsInput{SchemaId: id}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range page.Schemas {
			if v.Status == types.SchemaVersionStatusAvailable {
				k.Versions = append(k.Versions, Version{Number: deref(v.VersionNumber), ID: deref(v.SchemaVersionId)})
			}
		}
	}
	slices.SortFunc(k.Versions, func(a, b Version) int { return cmp.Compare(a.Number, b.Number) })
	return k, r.fill(ctx, k)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// fill fetches what the versions say, several at a time.
func (r Remote) fill(ctx context.Context, k *Known) error {
	errs := make([]error, len(k.Versions))
	places := make(chan struct{}, 8)
	var all sync.WaitGroup
	for i := range k.Versions {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			errs[i] = r.fetch(ctx, k, &k.Versions[i])
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (r Remote) fetch(ctx context.Context, k *Known, v *Version) error {
	out, err := r.API.GetSchemaVersion(ctx, &glue.GetSchemaVersionInput{SchemaVersionId: &v.ID})
	if err != nil {
		return err
	}
	v.Text = deref(out.SchemaDefinition)
	meta, err := r.API.QuerySchemaVersionMetadata(ctx, &glue.QuerySchemaVersionMetadataInput{SchemaVersionId: &v.ID})
	if err != nil {
		return err
	}
	v.Semver = deref(meta.MetadataInfoMap[registry.SemverKey].MetadataValue)
	v.Schema, err = contract.Parse(contract.Source{Format: k.Format, File: fmt.Sprintf("%s@%s", k.Name, v.Label()), Text: v.Text})
	return err
}

// Find returns the version with the highest semantic version in a range, nil if
// none is.
func (k *Known) Find(r contract.Range) *Version {
	labels := make([]string, len(k.Versions))
	for i, v := range k.Versions {
		labels[i] = v.Semver
	}
	found, ok := contract.Latest(r, labels)
	if !ok {
		return nil
	}
	for i := range k.Versions {
		if k.Versions[i].Semver == found {
			return &k.Versions[i]
		}
	}
	return nil
}

// Finding is what a registry has to say of a file.
type Finding struct {
	File
	Known   *Known   // nil: the registry does not have the schema
	As      *Version // the version that the file is, nil if it is none
	Level   contract.Level
	Bump    contract.Bump
	Next    string // the version that it would become; "" where it cannot
	Breaks  []contract.Break
	Problem string // what else is wrong, in a sentence
}

// Bad reports whether the file cannot be registered.
func (f Finding) Bad() bool { return len(f.Breaks) > 0 || f.Problem != "" }

func compare(k *Known, f File) Finding {
	out := Finding{File: f, Known: k}
	declared := registry.Declared(f.Schema.Source().Format, f.Text)
	if k == nil {
		out.first(declared)
		return out
	}
	out.Level = k.Level
	if k.Format != f.Schema.Source().Format {
		out.Problem = fmt.Sprintf("%s is %s in the registry, and %s is %s", f.Name, k.Format, f.At(), f.Schema.Source().Format)
		return out
	}
	for i := range k.Versions {
		if registry.SameText(k.Format, k.Versions[i].Text, f.Text) && (f.Release == "" || f.Release == k.Versions[i].Semver) {
			out.As = &k.Versions[i] // the newest, where several are
		}
	}
	switch {
	case out.As != nil:
		out.Next = out.As.Semver
	case f.Release != "":
		out.Problem = f.noRelease(k)
	case k.Level == contract.Disabled:
		out.Problem = fmt.Sprintf("%s takes no new versions: its compatibility is DISABLED", f.Name)
	case len(k.Versions) == 0:
		out.first(declared)
	default:
		out.judge(declared)
	}
	return out
}

// noRelease is what is wrong with a file of a release that the registry has with
// another text, or not at all.
func (f File) noRelease(k *Known) string {
	for _, v := range k.Versions {
		if v.Semver == f.Release {
			return fmt.Sprintf("%s is not version %s of %s: the registry has another text. A released version does not change: remove the file and run dhow schema pull --pin %s@%s, or release the change as a new version", f.Path, f.Release, f.Name, f.Name, f.Release)
		}
	}
	return fmt.Sprintf("%s is not version %s of %s: the registry has no such version. Versions are numbered when they are registered: put the text into %s and push it, or remove the file", f.Path, f.Release, f.Name, PathOf(f.Name, "", f.Schema.Source().Format))
}

// first says which version a schema begins with.
func (f *Finding) first(declared string) {
	f.Next = registry.First
	f.choose(declared, "", new(semver.Version))
}

// choose lets the file declare its version.
func (f *Finding) choose(declared, highest string, smallest *semver.Version) {
	switch v, err := registry.Choose(f.Name, declared, f.Bump, highest, smallest); {
	case err != nil:
		f.Problem, f.Next = err.Error(), ""
	case v != nil:
		f.Next = v.String()
	}
}

// judge compares the file with the versions that are there.
func (f *Finding) judge(declared string) {
	var from, major []contract.Version
	last := f.Known.Versions[len(f.Known.Versions)-1]
	for _, v := range f.Known.Versions {
		labelled := contract.Version{Label: v.Label(), Schema: v.Schema}
		if v.Number >= f.Known.From {
			from = append(from, labelled)
		}
		if a, _, _ := strings.Cut(v.Semver, "."); a != "" && strings.HasPrefix(last.Semver, a+".") {
			major = append(major, labelled)
		}
	}
	f.Breaks = contract.Check(f.Known.Level, f.Schema, from)
	highest := f.highest()
	if highest == nil { // a registry that numbers none
		major = []contract.Version{{Label: last.Label(), Schema: last.Schema}}
	}
	f.Bump = contract.NextBump(f.Schema, major)
	if highest == nil || f.Bad() {
		return
	}
	next := f.Bump.After(highest)
	f.Next = next.String()
	f.choose(declared, highest.String(), &next)
}

// Before is the version that could still come before a breaking one: the
// smallest minor bump of the last.
func (f *Finding) Before() string {
	v := f.highest()
	if v == nil {
		return ""
	}
	next := contract.Minor.After(v)
	return next.String()
}

// PlaceOf is where in the folder a break is to be shown: where the schema is
// declared, if what broke is not there any more.
func (f Finding) PlaceOf(b contract.Break) verdict.Place {
	at := b.Problem.Writer
	if b.NewReads {
		at = b.Problem.Reader
	}
	if at.File == "" || at.Line == 0 {
		return f.Place()
	}
	return at
}

// Place is where the folder declares a schema.
func (f File) Place() verdict.Place { return verdict.Place{File: f.Path, Line: f.Line} }

// All calls f with every schema, by registry and name.
func (r Remote) All(ctx context.Context, f func(*Known)) error {
	names, err := r.names(ctx)
	if err != nil {
		return err
	}
	for _, n := range names {
		k, err := r.Get(ctx, n)
		if err != nil {
			return err
		}
		if k != nil {
			f(k)
		}
	}
	return nil
}

// PathOf is where a folder has a schema, of that release or the one that is
// worked at.
func PathOf(name, release string, format contract.Format) string {
	reg, schema := split(name)
	if release != "" {
		schema += "@" + release
	}
	for ext, f := range formats {
		if f == format {
			schema += ext
		}
	}
	return reg + "/" + schema
}
