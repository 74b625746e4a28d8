package registry

import (
	"fmt"
	"iter"

	"github.com/Masterminds/semver/v3"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// VersionByID finds a version by its UUID, whatever its status. Error:
// ErrNoVersion.
func (e *Engine) VersionByID(s cluster.Scope, id string) (v Version, err error) {
	err = e.db.View(func(r store.Reader) error { v, err = versionByID(r, s, id); return err })
	return v, err
}

func versionByID(r store.Reader, s cluster.Scope, id string) (Version, error) {
	for v := range Versions.By(r, "id", id) {
		if v.Scope == s {
			return v, nil
		}
	}
	return Version{}, ErrNoVersion
}

// VersionsBySchemaID lists the versions, of several schemas maybe, whose
// definition has that number. Error: ErrNoVersion for none.
func (e *Engine) VersionsBySchemaID(s cluster.Scope, id int) (list []Version, err error) {
	e.db.View(func(r store.Reader) error {
		for v := range Versions.By(r, "schema id", schemaIDKey(s, id)) {
			list = append(list, v)
		}
		return nil
	})
	if len(list) == 0 {
		return nil, ErrNoVersion
	}
	return list, nil
}

// Find returns the versions of a schema, oldest first, by a reader. Error:
// ErrNoSchema, also where it or its registry is being deleted.
func Find(r store.Reader, n Name) (iter.Seq[Version], error) {
	s, err := findSchema(r, n)
	if reg, gone := findRegistry(r, n.Scope, n.Registry); err != nil || s.Status == Deleting || gone == nil && reg.Status == Deleting {
		return nil, ErrNoSchema
	}
	return Versions.List(r, n.key()+"/"), nil
}

// Version finds a schema's version by number, whatever its status; 0 is the
// latest live one. Errors: ErrNoSchema, ErrNoVersion.
func (e *Engine) Version(n Name, number int64) (v Version, err error) {
	err = e.db.View(func(r store.Reader) error { v, err = findVersion(r, n, number); return err })
	return v, err
}

func findVersion(r store.Reader, n Name, number int64) (Version, error) {
	s, err := findSchema(r, n)
	if err != nil {
		return Version{}, err
	}
	if number == 0 {
		number = s.Latest
	}
	if v, ok := Versions.Get(r, versionKey(n, number)); ok {
		return v, nil
	}
	return Version{}, ErrNoVersion
}

// versionInRange finds the live version with the highest semantic version in a
// range.
func versionInRange(r store.Reader, n Name, rng string) (best Version, err error) {
	within, err := contract.ParseRange(rng)
	if err != nil {
		return best, err
	}
	if _, err := findSchema(r, n); err != nil {
		return best, err
	}
	var highest *semver.Version
	for v := range Versions.List(r, n.key()+"/") {
		if !v.Live() {
			continue
		}
		sv, err := contract.ParseVersion(v.Semver)
		if err == nil && within.Has(sv) && (highest == nil || sv.GreaterThan(highest)) {
			best, highest = v, sv
		}
	}
	if highest == nil {
		return best, ErrNoVersion
	}
	return best, nil
}

// VersionByDefinition finds the version of a schema that has a definition: the
// latest available one, soft-deleted ones included only where deleted says so;
// else a failure. Errors: ErrNoSchema, ErrNoVersion.
func (e *Engine) VersionByDefinition(n Name, d Definition, deleted bool) (v Version, err error) {
	err = e.db.View(func(r store.Reader) error {
		s, err := findSchema(r, n)
		if err != nil {
			return err
		}
		v, err = same(r, s, digest(s, d), deleted)
		return err
	})
	return v, err
}

// same is the version of s that has a digest.
func same(r store.Reader, s Schema, digest string, deleted bool) (best Version, err error) {
	for v := range Versions.By(r, "digest", digest) {
		switch {
		case v.Registry != s.Registry || v.Name != s.Name || v.Status == Deleting, v.Deleted && !deleted:
		case best.Number == 0, v.Status == Available && best.Status == Failure, v.Status == best.Status && v.Number > best.Number:
			best = v
		}
	}
	if best.Number == 0 {
		return best, ErrNoVersion
	}
	return best, nil
}

// Referrers lists the versions whose definitions need a version.
func (e *Engine) Referrers(v Version) (list []Version) {
	e.db.View(func(r store.Reader) error {
		for v := range referrers(r, v) {
			list = append(list, v)
		}
		return nil
	})
	return list
}

func referrers(r store.Reader, v Version) iter.Seq[Version] { return Versions.By(r, "refers", v.Key()) }

// source is the text of a version with those of all that it needs.
func source(r store.Reader, v Version) (contract.Source, error) {
	src := contract.Source{Format: v.Format, File: file(v.Format, v.Name), Text: v.Text()}
	var err error
	src.Refs, err = refs(r, v.Schema(), v.Format, v.References)
	return src, err
}

// maxRefs bounds how many texts one definition may need, and maxHeld to how many
// it may refer itself: one transaction holds these.
const (
	maxRefs = 500
	maxHeld = 90
)

// refs are the texts that references lead to, each after those that it needs
// itself. Error: ErrReference.
func refs(r store.Reader, n Name, f contract.Format, list []Reference) (out []contract.Source, err error) {
	if len(list) > maxHeld {
		return nil, fmt.Errorf("%w: the definition refers to %d others, and may to %d", ErrReference, len(list), maxHeld)
	}
	seen := map[string]bool{}
	var walk func(list []Reference) error
	walk = func(list []Reference) error {
		for _, ref := range list {
			key := versionKey(Name{n.Scope, n.Registry, ref.Subject}, ref.Version)
			if seen[key] {
				continue
			}
			seen[key] = true
			v, ok := Versions.Get(r, key)
			if !ok || v.Status != Available {
				return fmt.Errorf("%w: version %d of %s, for %q", ErrReference, ref.Version, ref.Subject, ref.Name)
			}
			if v.Format != f {
				return fmt.Errorf("%w: %s is %s", ErrFormat, ref.Subject, v.Format)
			}
			if len(seen) > maxRefs {
				return fmt.Errorf("%w: the definition needs more than %d others", ErrReference, maxRefs)
			}
			if err := walk(v.References); err != nil {
				return err
			}
			out = append(out, contract.Source{Format: f, File: ref.Name, Text: v.Text()})
		}
		return nil
	}
	return out, walk(list)
}
