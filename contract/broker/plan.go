package broker

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
)

// plan is a resource's tags compiled, and what is known of the versions that
// messages have named since. It is good while neither the tags nor the schema
// change.
type plan struct {
	Rule
	e         *Engine
	target    Resource
	err       *Refusal // why no message can be taken
	resources []string // the schema's names for policies, nil where the tags name none

	tags [3]string // that it was made from
	own  string    // and the resource's own dead-letter queue
	at   int64     // and the schema's changes until then
	gen  *atomic.Int64
	used atomic.Bool // since the last sweep

	printed sync.Once
	prints  map[uint64]int64 // fingerprints, with the numbers of the versions that they mean

	mu    sync.Mutex
	known atomic.Pointer[map[wire.Reference]*version] // never changed, replaced
	none  *version                                    // of messages that name none, and are of none
}

// What bounds the references that a plan knows: of versions that are there, and
// from when on no others are remembered.
const (
	maxKnown = 4096
	maxBad   = 64
)

// plan returns the target's, compiled anew if need be.
func (e *Engine) plan(t *Target) *plan {
	tags := [3]string{t.Tags[SchemaTag], t.Tags[ModeTag], t.Tags[DeadLetterTag]}
	if have, ok := e.plans.Load(t.Resource); ok {
		p := have.(*plan)
		if p.tags == tags && p.own == t.DeadLetter && (p.gen == nil || p.gen.Load() == p.at) {
			if !p.used.Load() {
				p.used.Store(true)
			}
			return p
		}
	}
	p := e.compile(t)
	p.tags = tags
	e.plans.Store(t.Resource, p)
	return p
}

func (e *Engine) compile(t *Target) *plan {
	p := &plan{e: e, target: t.Resource, own: t.DeadLetter}
	p.used.Store(true)
	p.known.Store(&map[wire.Reference]*version{})
	var err error
	if p.Rule, err = read(t); err != nil {
		p.err = &Refusal{Reason: t.kind() + " takes no messages: " + err.Error()}
		return p
	}
	p.none, p.resources = p.version(registry.Version{}), p.Schema.ARNs()
	p.gen = e.gen(p.Schema)
	p.at = p.gen.Load()
	if s, err := e.cfg.Registry.Schema(p.Schema); err != nil || s.Status == registry.Deleting {
		p.err = p.refuse("", "the tag %s of %s names schema %s, which was deleted: create it again, or change the tag", SchemaTag, t.kind(), p.name())
	}
	return p
}

// refused is the verdict on a message that is not taken.
func (p *plan) refused(err error) Verdict { return Verdict{Err: err, DeadLetter: p.DeadLetter} }

func (p *plan) refuse(version, format string, args ...any) *Refusal {
	return &Refusal{Schema: p.name(), Version: version, Reason: fmt.Sprintf(format, args...)}
}

// version is one that messages named, or all that named none.
type version struct {
	registry.Version
	resource Resource
	schema   registry.Name
	parsed   contract.Schema
	bad      *Refusal // why messages of it are not taken
	unknown  bool     // and that is because nobody knows it

	last  atomic.Pointer[use] // of the sender who sent last
	mu    sync.Mutex
	users map[string]*use
}

func (p *plan) version(v registry.Version) *version {
	return &version{Version: v, resource: p.target, schema: p.Schema}
}

// find returns what a message named.
func (p *plan) find(ref wire.Reference) *version {
	if v := (*p.known.Load())[ref]; v != nil {
		return v
	}
	v := p.resolve(ref)
	p.mu.Lock()
	defer p.mu.Unlock()
	old := *p.known.Load()
	if known := old[ref]; known != nil {
		return known
	}
	if len(old) >= maxKnown || len(old) >= maxBad && v.ID == "" {
		return v
	}
	all := make(map[wire.Reference]*version, len(old)+1)
	for r, known := range old {
		all[r] = known
		if v.bad == nil && known.bad == nil && known.ID == v.ID {
			v = known // by another name
		}
	}
	all[ref] = v
	p.known.Store(&all)
	return v
}

// resolve asks the registry.
func (p *plan) resolve(ref wire.Reference) *version {
	if ref.Form == wire.Named {
		if bad := p.misnamed(ref); bad != nil {
			return p.badly(bad)
		}
	}
	l, err := p.load(ref)
	var bad *Refusal
	switch {
	case errors.As(err, &bad):
		return p.badly(bad)
	case errors.Is(err, registry.ErrNoVersion) && (ref.Form == wire.None || ref.Form == wire.Named && ref.Version == ""):
		return p.badly(p.refuse("", "%s takes %s, of which there is no version any more: register one, or change the tag %s", p.target.kind(), p.taken(), SchemaTag))
	case errors.Is(err, registry.ErrNoVersion):
		v := p.badly(p.refuse("", "the message names %s, which the registry does not have: register the schema it was written with, or name a version of %s", ref, p.taken()))
		v.unknown = true
		return v
	case err != nil:
		return p.badly(p.refuse("", "the message names %s, which cannot be read: %v", ref, err))
	}
	v := p.version(l.Version)
	v.parsed = l.Contract
	if l.Version.Schema() != p.Schema {
		return p.badly(p.refuse("", "the message is of schema %s/%s, and %s takes %s only: send it elsewhere, or name a version of %s", l.Registry, l.Name, p.target.kind(), p.taken(), p.name()))
	}
	if !p.takes(v.Version) {
		v.bad = p.refuse(v.Semver, "the message is of %s@%s, and %s takes %s only: send it in a version of that range, or change the tag %s", p.name(), v.Semver, p.target.kind(), p.taken(), SchemaTag)
	}
	return v
}

func (p *plan) badly(bad *Refusal) *version {
	v := p.version(registry.Version{})
	v.bad = bad
	return v
}

// misnamed refuses names of other schemas, and versions that are none.
func (p *plan) misnamed(ref wire.Reference) *Refusal {
	reg, schema, ok := wire.SplitName(ref.Name)
	arn := registry.Schema{Scope: p.Schema.Scope, Registry: p.Schema.Registry, Name: p.Schema.Schema}.ARN()
	if !ok || reg != p.Schema.Registry || schema != p.Schema.Schema || strings.HasPrefix(ref.Name, "arn:") && ref.Name != arn {
		return p.refuse("", "the message names schema %.300q in dataschema, and %s takes %s only: send it elsewhere, or name that", ref.Name, p.target.kind(), p.taken())
	}
	if ref.Version != "" {
		if _, err := contract.ParseVersion(ref.Version); err != nil {
			return p.refuse("", "the message's dataschemaversion %v", err)
		}
	}
	return nil
}

// load finds a version that a message named.
func (p *plan) load(ref wire.Reference) (*registry.Loaded, error) {
	r := p.e.cfg.Registry
	switch ref.Form {
	case wire.Glue:
		return r.ByID(p.Schema.Scope, ref.UUID.String())
	case wire.Confluent:
		return p.byNumber(ref.ID)
	case wire.SingleObject:
		return p.byPrint(ref.Fingerprint)
	case wire.Named:
		if ref.Version != "" {
			return r.ByRange(p.Schema, "="+ref.Version)
		}
	}
	return r.ByRange(p.Schema, p.Range.String())
}

// byNumber finds a version by Confluent's number of its definition, which other
// schemas may have too.
func (p *plan) byNumber(id uint32) (*registry.Loaded, error) {
	r := p.e.cfg.Registry
	list, err := r.VersionsBySchemaID(p.Schema.Scope, int(id))
	if err != nil {
		return nil, err
	}
	var best int64
	for _, v := range list {
		if v.Schema() == p.Schema && v.Status == registry.Available && p.better(v, best) {
			best = v.Number
		}
	}
	if best == 0 {
		return r.BySchemaID(p.Schema.Scope, int(id)) // of another schema
	}
	return r.ByNumber(p.Schema, best)
}

// better prefers, of versions that a reference may mean, later ones in the range.
func (p *plan) better(v registry.Version, than int64) bool {
	return than == 0 || v.Number > than && p.takes(v)
}

// takes reports whether a version is in the range.
func (p *plan) takes(v registry.Version) bool {
	sv, err := contract.ParseVersion(v.Semver)
	return err == nil && p.Range.Has(sv)
}

// byPrint finds a version by its fingerprint. All are taken at once, for whoever
// makes fingerprints up must not have them gone through for each message.
func (p *plan) byPrint(print uint64) (*registry.Loaded, error) {
	p.printed.Do(func() {
		p.prints = map[uint64]int64{}
		for _, v := range p.e.versions(p.Schema) {
			if got, ok := p.e.print(v); ok && p.better(v, p.prints[got]) {
				p.prints[got] = v.Number
			}
		}
	})
	number, ok := p.prints[print]
	if !ok {
		return nil, registry.ErrNoVersion
	}
	return p.e.cfg.Registry.ByNumber(p.Schema, number)
}

// versions are the available versions of a schema.
func (e *Engine) versions(n registry.Name) (list []registry.Version) {
	e.cfg.Registry.Versions(n, func(all iter.Seq[registry.Version]) {
		for v := range all {
			if v.Status == registry.Available {
				list = append(list, v)
			}
		}
	})
	return list
}

// print is a version's fingerprint, false where its format has none.
func (e *Engine) print(v registry.Version) (uint64, bool) {
	if v.Format != contract.Avro {
		return 0, false
	}
	e.mu.Lock()
	got, ok := e.prints[v.ID]
	e.mu.Unlock()
	if ok {
		return got, true
	}
	l, err := e.cfg.Registry.ByNumber(v.Schema(), v.Number)
	if err != nil {
		return 0, false
	}
	s, ok := l.Contract.(interface{ CRC64() uint64 })
	if !ok {
		return 0, false
	}
	got = s.CRC64()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.prints) >= maxPrints {
		clear(e.prints)
	}
	e.prints[v.ID] = got
	return got, true
}

// maxPrints bounds the fingerprints that are kept: those of a schema of as many
// versions as there may be.
const maxPrints = 100_000
