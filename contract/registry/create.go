package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dhowhq/dhow/store"
)

// CreateRegistry makes a registry, of which scope, name, description and tags
// are given. Errors: ErrRegistryExists, ErrDeleting.
func (e *Engine) CreateRegistry(ctx context.Context, r Registry) (Registry, error) {
	err := e.db.Update(ctx, func(tx *store.Tx) error {
		if old, err := findRegistry(tx, r.Scope, r.Name); err == nil {
			return existing(old.Status, ErrRegistryExists)
		}
		return putRegistry(tx, &r, e.now().UTC())
	})
	return r, err
}

func putRegistry(tx *store.Tx, r *Registry, now time.Time) error {
	r.Status, r.Created, r.Updated = Available, now, now
	return Registries.Put(tx, *r)
}

// existing is why something cannot be made again.
func existing(s Status, exists error) error {
	if s == Deleting {
		return ErrDeleting
	}
	return exists
}

// ChangeRegistry changes description or tags. Errors: ErrNoRegistry,
// ErrDeleting, change's.
func (e *Engine) ChangeRegistry(ctx context.Context, r Registry, change func(*Registry) error) (found Registry, err error) {
	err = e.db.Update(ctx, func(tx *store.Tx) (err error) {
		if found, err = findRegistry(tx, r.Scope, r.Name); err != nil {
			return err
		}
		if found.Status == Deleting {
			return ErrDeleting
		}
		if err := change(&found); err != nil {
			return err
		}
		found.Updated = e.now().UTC()
		return Registries.Put(tx, found)
	})
	return found, err
}

// CreateSchema makes a schema, of which all but what follows from versions is
// given, with its first version if d is not nil. The default registry is made if
// it is missing. Errors: ErrNoRegistry, ErrSchemaExists, ErrDeleting and those
// of Register.
func (e *Engine) CreateSchema(ctx context.Context, s Schema, d *Definition) (made Schema, v Version, err error) {
	if s.Registry == "" {
		s.Registry = Default
	}
	s.Status, s.Next, s.Revision, s.Latest, s.Checkpoint, s.Semver = Pending, 1, 1, 0, 0, ""
	p := &plan{schema: s}
	if d != nil {
		gen := e.cache.gen.Load()
		if err := e.db.View(func(r store.Reader) (err error) {
			if err := vacant(r, s); err != nil {
				return err
			}
			p, err = e.decide(r, s, *d, gen)
			return err
		}); err != nil {
			return s, v, err
		}
	}
	err = e.db.Update(ctx, func(tx *store.Tx) error {
		now := e.now().UTC()
		if err := vacant(tx, s); err != nil {
			return err
		}
		if _, err := findRegistry(tx, s.Scope, s.Registry); err != nil {
			r := Registry{Scope: s.Scope, Name: s.Registry, Description: "Default"}
			if err := putRegistry(tx, &r, now); err != nil {
				return err
			}
		}
		made = s
		made.Created, made.Updated = now, now
		if d == nil {
			return Schemas.Put(tx, made)
		}
		p := *p
		p.schema = made
		made, v, err = p.put(tx, now)
		return err
	})
	return made, v, err
}

// vacant reports whether s can be made.
func vacant(r store.Reader, s Schema) error {
	reg, err := findRegistry(r, s.Scope, s.Registry)
	switch {
	case err != nil && s.Registry != Default:
		return err
	case reg.Status == Deleting:
		return fmt.Errorf("registry %s: %w", reg.Name, ErrDeleting)
	}
	if old, err := findSchema(r, s.FullName()); err == nil {
		return existing(old.Status, ErrSchemaExists)
	}
	return nil
}

// ChangeSchema changes what is set of a schema: level, mode, description, tags.
// Errors: ErrNoSchema, ErrDeleting, change's.
func (e *Engine) ChangeSchema(ctx context.Context, n Name, change func(*Schema) error) (s Schema, err error) {
	err = e.db.Update(ctx, func(tx *store.Tx) (err error) {
		if s, err = findSchema(tx, n); err != nil {
			return err
		}
		if s.Status == Deleting {
			return fmt.Errorf("schema %s: %w", s.Name, ErrDeleting)
		}
		if err := change(&s); err != nil {
			return err
		}
		return putSchema(tx, &s, e.now().UTC())
	})
	return s, err
}

func putSchema(tx *store.Tx, s *Schema, now time.Time) error {
	s.Revision, s.Updated = s.Revision+1, now
	return Schemas.Put(tx, *s)
}

// SetCheckpoint makes a version, 0 for the latest, the one from which on the
// _ALL levels compare, and changes the schema besides. Errors: ErrNoVersion, for
// versions too that are not available, and those of ChangeSchema.
func (e *Engine) SetCheckpoint(ctx context.Context, n Name, number int64, change func(*Schema) error) (s Schema, err error) {
	var v Version
	for {
		if v, err = e.Version(n, number); err != nil {
			return s, err
		}
		if !v.Live() {
			return s, ErrNoVersion
		}
		s, err = e.ChangeSchema(ctx, n, func(s *Schema) error {
			if number == 0 && s.Latest != v.Number {
				return errStale
			}
			s.Checkpoint = v.Number
			return change(s)
		})
		if !errors.Is(err, errStale) {
			return s, err
		}
	}
}

// maxMetadata is how many pairs a version may have ("Quotas", Glue Schema
// Registry); its semantic version does not count.
const maxMetadata = 10

// PutMetadata adds a pair to a version. Under SemverKey it gives the latest
// version, whose semantic version was derived, another one. Errors: ErrNoSchema,
// ErrNoVersion, ErrMetadataExists, ErrMetadataLimit, *SemverError.
func (e *Engine) PutMetadata(ctx context.Context, v Version, key, value string) (Version, error) {
	return e.changeVersion(ctx, v, func(s *Schema, v *Version) error {
		if key == SemverKey && v.Status == Available {
			return setSemver(s, v, value)
		}
		for _, p := range v.Metadata {
			if p.Key == key && p.Value == value {
				return ErrMetadataExists
			}
		}
		if len(v.Metadata) >= maxMetadata {
			return ErrMetadataLimit
		}
		v.Metadata = append(slices.Clone(v.Metadata), Pair{key, value, e.now().UTC()})
		return nil
	})
}

// RemoveMetadata takes a pair off a version. Errors: ErrNoSchema, ErrNoVersion,
// ErrMetadata, *SemverError for SemverKey.
func (e *Engine) RemoveMetadata(ctx context.Context, v Version, key, value string) (Version, error) {
	return e.changeVersion(ctx, v, func(_ *Schema, v *Version) error {
		if key == SemverKey && v.Semver == value {
			return &SemverError{Declared: value, Detail: "every version has a semantic version: put another one in place of " + value}
		}
		left := slices.DeleteFunc(slices.Clone(v.Metadata), func(p Pair) bool { return p.Key == key && p.Value == value })
		if len(left) == len(v.Metadata) {
			return ErrMetadata
		}
		v.Metadata = left
		return nil
	})
}

// changeVersion changes a version that was found before, and its schema.
func (e *Engine) changeVersion(ctx context.Context, v Version, change func(*Schema, *Version) error) (Version, error) {
	key := v.Key()
	err := e.db.Update(ctx, func(tx *store.Tx) error {
		now, ok := Versions.Get(tx, key)
		if !ok || now.ID != v.ID {
			return ErrNoVersion
		}
		s, err := findSchema(tx, now.Schema())
		if err != nil {
			return err
		}
		was := s.Semver
		if err := change(&s, &now); err != nil {
			return err
		}
		if v = now; s.Semver != was {
			if err := putSchema(tx, &s, e.now().UTC()); err != nil {
				return err
			}
		}
		return Versions.Put(tx, now)
	})
	return v, err
}
