package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/verdict"
	"github.com/dhowhq/dhow/store"
)

// maxNumber is the highest number of a version at Glue (VersionLongNumber).
const maxNumber = 100_000

// First is the semantic version of a first version that declares none; one may
// declare less, 0.1.0 say.
const First = "1.0.0"

// maxFailure is how much of why a version was refused is kept, in characters.
const maxFailure = 4096

// errStale is a plan whose schema has changed since it was made.
var errStale = errors.New("registry: the schema has changed meanwhile")

// Register makes a definition the next version of a schema. If a live version
// has it already, that is returned, and fresh is false. Errors:
// *verdict.Malformed, *Incompatible, *SemverError, ErrNoSchema, ErrDeleting,
// ErrDisabled, ErrReference, ErrTooMany.
func (e *Engine) Register(ctx context.Context, n Name, d Definition) (v Version, fresh bool, err error) {
	defer e.lock(n)()
	for {
		p, err := e.plan(n, d)
		if err != nil {
			return Version{}, false, err
		}
		if p.known || p.version.Status == Failure && !d.KeepFailure {
			return p.version, false, p.refused()
		}
		err = e.db.Update(ctx, func(tx *store.Tx) error {
			if s, err := findSchema(tx, n); err != nil || s.Revision != p.schema.Revision {
				return errors.Join(err, errStale)
			}
			_, v, err = p.put(tx, e.now().UTC())
			return err
		})
		switch {
		case err == nil:
			return v, true, p.refused()
		case !errors.Is(err, errStale) || errors.Is(err, ErrNoSchema):
			return Version{}, false, err
		}
	}
}

// Trial is what registering a definition would come to.
type Trial struct {
	Known  bool             // a live version has it: the rest is of that
	Breaks []contract.Break // what the level has against it
	Bump   contract.Bump
	Semver string // the version that it would be; "" if it breaks
}

// Try tells what registering a definition would come to. Errors as Register's,
// but no *Incompatible.
func (e *Engine) Try(n Name, d Definition) (Trial, error) {
	p, err := e.plan(n, d)
	if err != nil {
		return Trial{}, err
	}
	return Trial{p.known && p.incompatible == nil, p.breaks(), p.bump, p.version.Semver}, nil
}

// plan is a decision of what to register.
type plan struct {
	schema       Schema  // as it was when the decision was made
	version      Version // without number and ids, if it is not known
	known        bool    // the version is there already
	bump         contract.Bump
	incompatible *Incompatible
}

func (p *plan) refused() error {
	if p.incompatible == nil {
		return nil
	}
	return p.incompatible
}

func (p *plan) breaks() []contract.Break {
	if p.incompatible == nil {
		return nil
	}
	return p.incompatible.Breaks
}

// plan decides, without writing anything.
func (e *Engine) plan(n Name, d Definition) (p *plan, err error) {
	gen := e.cache.gen.Load()
	err = e.db.View(func(r store.Reader) error {
		s, err := findSchema(r, n)
		if err != nil {
			return err
		}
		if s.Status == Deleting {
			return fmt.Errorf("schema %s: %w", s.Name, ErrDeleting)
		}
		p, err = e.decide(r, s, d, gen)
		return err
	})
	return p, err
}

// decide plans d as the next version of s, whose rows r has.
func (e *Engine) decide(r store.Reader, s Schema, d Definition, gen int64) (*plan, error) {
	p := &plan{schema: s}
	next, err := parse(r, s, d)
	if err != nil {
		return nil, err
	}
	sum := digest(s, d)
	found, err := same(r, s, sum, false)
	if err == nil && found.Status == Available {
		p.version, p.known = found, true
		return p, known(found, d)
	}
	level := s.level(r)
	if level == contract.Disabled && s.Latest > 0 {
		return nil, fmt.Errorf("schema %s: %w", s.Name, ErrDisabled)
	}
	if s.Next > maxNumber {
		return nil, ErrTooMany
	}
	p.version = Version{
		Scope: s.Scope, Registry: s.Registry, Name: s.Name, Format: s.Format, Status: Available,
		Packed: pack(d.Text), Digest: sum, References: d.References, Metadata: d.Metadata,
	}
	earlier, err := e.earlier(r, s, level, gen)
	if err != nil {
		return nil, err
	}
	if breaks := contract.Check(level, next, earlier); len(breaks) > 0 {
		p.incompatible = &Incompatible{s.FullName(), level, breaks, before(s)}
		p.fail(found)
		return p, nil
	}
	return p, e.number(p, r, next, d, gen)
}

// known refuses a definition that is there, but as another version than d says.
func known(v Version, d Definition) error {
	if d.Semver == "" || d.Semver == v.Semver {
		return nil
	}
	return &SemverError{Declared: d.Semver, Detail: fmt.Sprintf("%s is declared to be version %s, but the very definition is version %s already", v.Name, d.Semver, v.Semver)}
}

// before is the version that could still come before a breaking one.
func before(s Schema) string {
	highest, err := semver.StrictNewVersion(s.Semver)
	if err != nil {
		return ""
	}
	v := contract.Minor.After(highest)
	return v.String()
}

// fail makes the version a failure, the one that is there if it is.
func (p *plan) fail(found Version) {
	if found.Status == Failure {
		p.version, p.known = found, true
		return
	}
	why := []rune(p.incompatible.Error())
	p.version.Status, p.version.Failure = Failure, string(why[:min(len(why), maxFailure)])
}

// Parse reads a definition as one of a schema that there need not be. Errors:
// *verdict.Malformed, ErrReference, ErrFormat.
func (e *Engine) Parse(n Name, f contract.Format, d Definition) (s contract.Schema, err error) {
	err = e.db.View(func(r store.Reader) error {
		n := n.whole()
		s, err = parse(r, Schema{Scope: n.Scope, Registry: n.Registry, Name: n.Schema, Format: f}, d)
		return err
	})
	return s, err
}

// parse reads d as a definition of s.
func parse(r store.Reader, s Schema, d Definition) (contract.Schema, error) {
	src := contract.Source{Format: s.Format, File: file(s.Format, s.Name), Text: d.Text}
	if len(d.Text) > maxText {
		return nil, &verdict.Malformed{Place: verdict.Place{File: src.File}, Detail: fmt.Sprintf("the definition has %d bytes, and may have %d", len(d.Text), maxText)}
	}
	var err error
	if src.Refs, err = refs(r, s.FullName(), s.Format, d.References); err != nil {
		return nil, err
	}
	return contract.Parse(src)
}

// earlier are the versions that a level compares with, oldest first: the last
// live one, or all from the checkpoint on.
func (e *Engine) earlier(r store.Reader, s Schema, level contract.Level, gen int64) ([]contract.Version, error) {
	switch {
	case level == contract.None || level == contract.Disabled:
		return nil, nil
	case all(level):
		return e.versions(r, s, gen, func(v Version) bool { return v.Number >= s.Checkpoint })
	}
	last, ok := Versions.Get(r, versionKey(s.FullName(), s.Latest))
	if !ok || !last.Live() {
		return nil, nil
	}
	l, err := e.load(r, last, gen)
	if err != nil {
		return nil, err
	}
	return []contract.Version{{Label: last.label(), Schema: l.Contract}}, nil
}

// versions are the live versions of s that keep keeps, parsed, oldest first.
func (e *Engine) versions(r store.Reader, s Schema, gen int64, keep func(Version) bool) (list []contract.Version, err error) {
	for v := range Versions.List(r, s.Key()+"/") {
		if !v.Live() || !keep(v) {
			continue
		}
		l, err := e.load(r, v, gen)
		if err != nil {
			return nil, err
		}
		list = append(list, contract.Version{Label: v.label(), Schema: l.Contract})
	}
	return list, nil
}

// number gives the version its semantic one: the smallest that is right, or the
// declared one.
func (e *Engine) number(p *plan, r store.Reader, next contract.Schema, d Definition, gen int64) error {
	smallest, err := e.smallest(p, r, next, gen)
	if err != nil {
		return err
	}
	p.version.Semver = smallest.String()
	if p.schema.Semver == "" {
		p.version.Smallest, p.version.Semver = smallest.String(), First
	}
	declared, err := Choose(p.schema.Name, d.declared(p.schema.Format), p.bump, p.schema.Semver, smallest)
	if declared == nil || err != nil {
		return err
	}
	p.version.Semver, p.version.Smallest, p.version.Declared = declared.String(), "", true
	return nil
}

// smallest is the smallest right semantic version of next.
func (e *Engine) smallest(p *plan, r store.Reader, next contract.Schema, gen int64) (*semver.Version, error) {
	s := p.schema
	if s.Semver == "" {
		return new(semver.Version), nil
	}
	highest, err := semver.StrictNewVersion(s.Semver)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", s.Name, err)
	}
	major := fmt.Sprint(highest.Major()) + "."
	if last, err := findVersion(r, s.FullName(), 0); err == nil {
		if v, err := semver.StrictNewVersion(last.Semver); err == nil {
			major = fmt.Sprint(v.Major()) + "."
		}
	}
	of, err := e.versions(r, s, gen, func(v Version) bool { return len(v.Semver) > len(major) && v.Semver[:len(major)] == major })
	if err != nil {
		return nil, err
	}
	p.bump = contract.NextBump(next, of)
	v := p.bump.After(highest)
	return &v, nil
}

// put writes the version and what follows from it; the plan's schema is as it is
// in tx.
func (p *plan) put(tx *store.Tx, now time.Time) (Schema, Version, error) {
	s, v := p.schema, p.version
	v.Number, v.ID, v.Created = s.Next, cluster.NewUUID(), now
	for i := range v.Metadata {
		v.Metadata[i].Created = now
	}
	s.Next, s.Updated = s.Next+1, now
	s.Revision++
	if v.Status == Available {
		s.Status, s.Latest, s.Semver = Available, v.Number, v.Semver
		if s.Checkpoint == 0 {
			s.Checkpoint = v.Number
		}
		var err error
		if v.SchemaID, err = numberOf(tx, v); err != nil {
			return s, v, err
		}
	}
	if err := hold(tx, v); err != nil {
		return s, v, err
	}
	return s, v, errors.Join(Versions.Put(tx, v), Schemas.Put(tx, s))
}

// numberOf is the number of the version's definition in its account and region:
// that of other schemas' versions that have it, or a new one.
func numberOf(tx *store.Tx, v Version) (int, error) {
	c, ok := counters.Get(tx, v.Scope.Key("")) // all who look for a number contend for it
	for other := range Versions.By(tx, "digest", v.Digest) {
		if other.SchemaID != 0 {
			return other.SchemaID, nil
		}
	}
	if !ok {
		c.Scope = v.Scope
	}
	c.Last++
	return c.Last, counters.Put(tx, c)
}

// hold checks that what the version refers to is there still, and keeps it from
// being deleted at the same moment.
func hold(tx *store.Tx, v Version) error {
	for _, r := range v.References {
		n := Name{v.Scope, v.Registry, r.Subject}
		s, err := findSchema(tx, n)
		other, ok := Versions.Get(tx, versionKey(n, r.Version))
		if err != nil || s.Status == Deleting || !ok || other.Status != Available {
			return fmt.Errorf("%w: version %d of %s, for %q", ErrReference, r.Version, r.Subject, r.Name)
		}
		s.Revision++
		if err := Schemas.Put(tx, s); err != nil {
			return err
		}
	}
	return nil
}
