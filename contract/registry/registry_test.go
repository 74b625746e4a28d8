package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/verdict"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "123456789012", Region: "eu-west-1"}

// fixture is an engine with a schema "order" in the registry "shop".
type fixture struct {
	testing.TB
	*Engine
	ctx  context.Context
	name Name
}

func newFixture(t testing.TB, level contract.Level) *fixture {
	f := &fixture{t, New(Config{DB: storetest.Open(t)}), context.Background(), Name{here, "shop", "order"}}
	t.Cleanup(f.Close)
	_, err := f.CreateRegistry(f.ctx, Registry{Scope: here, Name: "shop"})
	f.must(err)
	_, _, err = f.CreateSchema(f.ctx, Schema{Scope: here, Registry: "shop", Name: "order", Format: contract.Avro, Level: level}, nil)
	f.must(err)
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) is(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("the error is %v, want %v", err, want)
	}
}

// register registers a record and returns its version.
func (f *fixture) register(text string) Version {
	f.Helper()
	v, _, err := f.Register(f.ctx, f.name, Definition{Text: text})
	f.must(err)
	return v
}

// avro is a record of the fields: "id" is an int without default, "note?" has
// one; what follows a space are further properties of the record.
func avro(fields string, more ...string) string {
	var list []string
	for _, n := range strings.Fields(fields) {
		name, optional := strings.CutSuffix(n, "?")
		field := fmt.Sprintf(`{"name": %q, "type": "int"`, name)
		if optional {
			field += `, "default": 0`
		}
		list = append(list, field+"}")
	}
	return fmt.Sprintf(`{"type": "record", "name": "Order", %s "fields": [%s]}`, strings.Join(more, ""), strings.Join(list, ", "))
}

func TestSemanticVersions(t *testing.T) {
	f := newFixture(t, contract.None)
	for i, c := range []struct{ text, want string }{
		{avro("id"), "1.0.0"},
		{avro("id note?"), "1.1.0"},
		{avro("id note?", `"doc": "An order.",`), "1.1.1"},
		{avro("id note? total"), "2.0.0"},
		{avro("id note? total", `"semver": "2.3.0",`), "2.3.0"},
		{avro("id note? total more?"), "2.4.0"},
	} {
		v := f.register(c.text)
		if v.Semver != c.want || v.Number != int64(i+1) || v.Status != Available || v.SchemaID != i+1 || v.Text() != c.text {
			t.Errorf("version %d is %+v, want %s", i+1, v, c.want)
		}
	}
	s, err := f.Schema(f.name)
	f.must(err)
	if s.Latest != 6 || s.Next != 7 || s.Checkpoint != 1 || s.Semver != "2.4.0" || s.Status != Available {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct{ declared, text, smallest, says string }{
		{"2.4.0", avro("id note? total more? even?"), "2.5.0", "must be 2.5.0 at least"},
		{"2.4.1", avro("id note? total more? even?"), "2.5.0", "is minor"},
		{"2.9.0", avro("ident"), "3.0.0", "is major"},
		{"3", avro("ident"), "", "not a semantic version"},
		{"v3.0.0", avro("ident"), "", "not a semantic version"},
		{"3.0.0-rc1", avro("ident"), "", "not a semantic version"},
		{"2026-11-27", avro("ident"), "", "not a semantic version"},
		{"2026.11.27", avro("ident"), "", "is a date"},
	} {
		for _, d := range []Definition{
			{Text: c.text, Semver: c.declared},
			{Text: strings.Replace(c.text, `"fields"`, fmt.Sprintf(`"semver": %q, "fields"`, c.declared), 1)},
		} {
			_, _, err := f.Register(f.ctx, f.name, d)
			var bad *SemverError
			if !errors.As(err, &bad) || bad.Smallest != c.smallest || !strings.Contains(bad.Detail, c.says) {
				t.Errorf("declared %s: %v", c.declared, err)
			}
		}
	}
	if _, _, err := f.Register(f.ctx, f.name, Definition{Text: avro("id"), Semver: "3.0.0"}); err == nil || !strings.Contains(err.Error(), "is version 1.0.0 already") {
		t.Error(err)
	}
	// A deleted version's number is not given again.
	_, err = f.DeleteVersion(f.ctx, f.name, 6, false)
	f.must(err)
	if v := f.register(avro("id note? total other?")); v.Semver != "2.5.0" || v.Number != 7 {
		t.Errorf("%+v", v)
	}
}

// Metadata may raise the semantic version of the latest version, once.
func TestSemverAsMetadata(t *testing.T) {
	f := newFixture(t, contract.None)
	f.register(avro("id"))
	old := f.register(avro("id a?"))
	latest := f.register(avro("id a? b?"))
	bad := func(v Version, value, says string) {
		t.Helper()
		_, err := f.PutMetadata(f.ctx, v, SemverKey, value)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("semver %s on version %d: %v", value, v.Number, err)
		}
	}
	bad(old, "1.1.5", "the versions after it were numbered by it")
	bad(latest, "1.1.9", "1.2.0 at least")
	bad(latest, "1.x", "not a semantic version")
	bad(latest, "1.2.0", ErrMetadataExists.Error())
	v, err := f.PutMetadata(f.ctx, latest, SemverKey, "3.0.0")
	f.must(err)
	if v.Semver != "3.0.0" || !v.Declared {
		t.Errorf("%+v", v)
	}
	bad(latest, "4.0.0", "stays so")
	if _, err := f.RemoveMetadata(f.ctx, latest, SemverKey, "3.0.0"); err == nil {
		t.Error("the semantic version is gone")
	}
	next := f.register(avro("id a? b? c?"))
	if next.Semver != "3.1.0" {
		t.Errorf("%+v", next)
	}
	// Of a deleted version it is not given again.
	again := f.register(avro("id a? b? c? d?"))
	_, err = f.DeleteVersion(f.ctx, f.name, again.Number, false)
	f.must(err)
	bad(next, "3.2.0", "versions up to 3.2.0, though they are deleted")
	bad(next, "3.1.5", "versions up to 3.2.0, though they are deleted")
	_, err = f.PutMetadata(f.ctx, next, SemverKey, "3.3.0")
	f.must(err)
}

func TestIdentity(t *testing.T) {
	f := newFixture(t, contract.Backward)
	one := f.register(avro("id"))
	same, fresh, err := f.Register(f.ctx, f.name, Definition{Text: `{"name":"Order","fields":[{"type":"int","name":"id"}],"type":"record"}`})
	f.must(err)
	if fresh || same.ID != one.ID {
		t.Errorf("another order of members is %+v", same)
	}
	// Other schemas share the number of the definition, in the same scope.
	_, other, err := f.CreateSchema(f.ctx, Schema{Scope: here, Name: "o2", Format: contract.Avro, Level: contract.None}, &Definition{Text: avro("id")})
	f.must(err)
	if other.SchemaID != one.SchemaID || other.ID == one.ID || other.Registry != Default {
		t.Errorf("%+v", other)
	}
	if _, _, err := f.CreateSchema(f.ctx, Schema{Scope: here, Name: "o2", Format: contract.Avro}, nil); !errors.Is(err, ErrSchemaExists) {
		t.Error(err)
	}
	if _, _, err := f.CreateSchema(f.ctx, Schema{Scope: here, Registry: "none", Name: "o2", Format: contract.Avro}, nil); !errors.Is(err, ErrNoRegistry) {
		t.Error(err)
	}
	var bad *verdict.Malformed
	if _, _, err := f.Register(f.ctx, f.name, Definition{Text: `{"type": "record"}`}); !errors.As(err, &bad) {
		t.Error(err)
	}
	if _, _, err := f.Register(f.ctx, f.name, Definition{Text: `{"type": "int", "doc": "` + strings.Repeat("x", maxText) + `"}`}); !errors.As(err, &bad) {
		t.Error(err)
	}
	long := Definition{Text: `{"type": "int", "doc": "` + strings.Repeat("x", maxText-26) + `"}`}
	if _, v, err := f.CreateSchema(f.ctx, Schema{Scope: here, Name: "long/one", Format: contract.Avro}, &long); err != nil || len(long.Text) != maxText || v.Text() != long.Text {
		t.Error(len(long.Text), err)
	}
	found, err := f.VersionByDefinition(f.name, Definition{Text: avro("id")}, false)
	f.must(err)
	if found.ID != one.ID {
		t.Errorf("%+v", found)
	}
	_, err = f.VersionByDefinition(f.name, Definition{Text: avro("id") + "}"}, false)
	f.is(err, ErrNoVersion)
	_, err = f.VersionByDefinition(f.name, Definition{Text: "nonsense"}, false)
	f.is(err, ErrNoVersion)
}

func TestIncompatible(t *testing.T) {
	f := newFixture(t, contract.Backward)
	one := f.register(avro("id"))
	breaking := Definition{Text: avro("id total")}
	_, _, err := f.Register(f.ctx, f.name, breaking)
	var inc *Incompatible
	if !errors.As(err, &inc) || inc.Level != contract.Backward || inc.Breaks[0].With != "1.0.0" || !inc.Breaks[0].NewReads {
		t.Fatal(err)
	}
	if want := "BACKWARD does not allow this change of order: field `total` (order.avsc:1) is new and has no default: the new version cannot read what 1.0.0 wrote; give it a default"; err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if s, _ := f.Schema(f.name); s.Next != 2 {
		t.Errorf("the refused version is kept: %+v", s)
	}
	breaking.KeepFailure = true
	failed, fresh, err := f.Register(f.ctx, f.name, breaking)
	if !errors.As(err, &inc) || !fresh || failed.Status != Failure || failed.Number != 2 || failed.Failure == "" || failed.Semver != "" {
		t.Fatalf("%+v, %v", failed, err)
	}
	again, fresh, err := f.Register(f.ctx, f.name, breaking)
	if !errors.As(err, &inc) || fresh || again.ID != failed.ID {
		t.Fatalf("%+v, %v", again, err)
	}
	_, err = f.ByID(here, failed.ID)
	f.is(err, ErrNoVersion)
	if s, _ := f.Schema(f.name); s.Latest != 1 || s.Next != 3 {
		t.Errorf("%+v", s)
	}
	// What readers cannot do without is told with the version that can come first.
	forward := newFixture(t, contract.Forward)
	forward.register(avro("id total"))
	_, _, err = forward.Register(f.ctx, f.name, Definition{Text: avro("id")})
	if err == nil || !strings.Contains(err.Error(), "field `total` (order.avsc:1) was removed and has no default: readers on 1.0.0 cannot read it; give it a default in 1.1.0 first") {
		t.Error(err)
	}
	// What failed once may pass under another level, as a version of its own.
	_, err = f.SetCheckpoint(f.ctx, f.name, 0, func(s *Schema) error { s.Level = contract.Forward; return nil })
	f.must(err)
	v, _, err := f.Register(f.ctx, f.name, breaking)
	f.must(err)
	if v.Number != 3 || v.Semver != "2.0.0" || v.ID == one.ID {
		t.Errorf("%+v", v)
	}
	_, err = f.ChangeSchema(f.ctx, f.name, func(s *Schema) error { s.Level = contract.Disabled; return nil })
	f.must(err)
	_, _, err = f.Register(f.ctx, f.name, Definition{Text: avro("x")})
	f.is(err, ErrDisabled)
}

// The _ALL levels compare from the checkpoint on, the others with the last.
func TestLevels(t *testing.T) {
	for _, c := range []struct {
		level      contract.Level
		checkpoint int64
		passes     bool
	}{
		{contract.Backward, 1, true}, {contract.BackwardAll, 1, false}, {contract.BackwardAll, 3, true},
		{contract.None, 1, true}, {contract.Full, 1, true}, {contract.FullAll, 2, false},
	} {
		f := newFixture(t, contract.None)
		f.register(avro("id"))
		f.register(avro("id a"))
		f.register(avro("id a b?"))
		_, err := f.SetCheckpoint(f.ctx, f.name, c.checkpoint, func(s *Schema) error { s.Level = c.level; return nil })
		f.must(err)
		next := avro("id a b? c?")
		if c.level == contract.FullAll {
			next = avro("id b? c?") // cannot be read by version 2
		}
		trial, err := f.Try(f.name, Definition{Text: next})
		f.must(err)
		if (len(trial.Breaks) == 0) != c.passes {
			t.Errorf("%s from %d: %+v", c.level, c.checkpoint, trial)
		}
	}
}

func TestDeletes(t *testing.T) {
	f := newFixture(t, contract.None)
	for i := range 4 {
		f.register(avro(fmt.Sprintf("id a%d?", i)))
	}
	_, err := f.DeleteVersion(f.ctx, f.name, 1, false)
	f.is(err, ErrCheckpoint)
	_, err = f.SetCheckpoint(f.ctx, f.name, 2, func(*Schema) error { return nil })
	f.must(err)
	_, err = f.DeleteVersion(f.ctx, f.name, 1, false)
	f.is(err, ErrFirst)
	_, err = f.DeleteVersion(f.ctx, f.name, 9, false)
	f.is(err, ErrNoVersion)
	l, err := f.ByNumber(f.name, 0)
	f.must(err)
	if l.Number != 4 {
		t.Errorf("%+v", l.Version)
	}
	v, err := f.DeleteVersion(f.ctx, f.name, 4, false)
	f.must(err)
	if v.Status != Deleting {
		t.Errorf("%+v", v)
	}
	_, err = f.ByID(here, v.ID)
	f.is(err, ErrNoVersion)
	f.must(f.Sweep(f.ctx))
	_, err = f.VersionByID(here, v.ID)
	f.is(err, ErrNoVersion)
	if l, err = f.ByNumber(f.name, 0); err != nil || l.Number != 3 {
		t.Errorf("%+v, %v", l, err)
	}
	_, err = f.DeleteRegistry(f.ctx, here, "shop")
	f.must(err)
	_, _, err = f.CreateSchema(f.ctx, Schema{Scope: here, Registry: "shop", Name: "x", Format: contract.Avro}, nil)
	f.is(err, ErrDeleting)
	f.must(f.Sweep(f.ctx))
	_, err = f.Registry(here, "shop")
	f.is(err, ErrNoRegistry)
	_, err = f.Schema(f.name)
	f.is(err, ErrNoSchema)
	_, err = f.ByNumber(f.name, 3)
	f.is(err, ErrNoSchema)
}

func TestReferences(t *testing.T) {
	f := newFixture(t, contract.Backward)
	item := Name{here, "shop", "item"}
	_, _, err := f.CreateSchema(f.ctx, Schema{Scope: here, Registry: "shop", Name: "item", Format: contract.Avro, Level: contract.Backward},
		&Definition{Text: `{"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "string"}]}`})
	f.must(err)
	d := Definition{Text: `{"type": "record", "name": "Order", "fields": [{"name": "item", "type": "Item"}]}`, References: []Reference{{"Item", "item", 1}}}
	v, _, err := f.Register(f.ctx, f.name, d)
	f.must(err)
	l, err := f.ByID(here, v.ID)
	f.must(err)
	f.must(l.Contract.Validate([]byte("\x04ab")))
	if list := f.Referrers(Version{Scope: here, Registry: "shop", Name: "item", Number: 1}); len(list) != 1 || list[0].ID != v.ID {
		t.Errorf("%+v", list)
	}
	_, err = f.DeleteSchema(f.ctx, item)
	f.is(err, ErrReferenced)
	_, err = f.SetDeleted(f.ctx, item, 1, true)
	f.is(err, ErrReferenced)
	d.References[0].Version = 2
	_, _, err = f.Register(f.ctx, f.name, d)
	f.is(err, ErrReference)
}

func TestSoftDelete(t *testing.T) {
	f := newFixture(t, contract.None)
	one, two := f.register(avro("id")), f.register(avro("id a?"))
	_, err := f.SetDeleted(f.ctx, f.name, 2, true)
	f.must(err)
	if l, err := f.ByNumber(f.name, 0); err != nil || l.ID != one.ID {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := f.BySchemaID(here, two.SchemaID); err != nil || l.ID != two.ID {
		t.Errorf("%+v, %v", l, err)
	}
	again := f.register(avro("id a?"))
	if again.Number != 3 || again.SchemaID != two.SchemaID || again.Semver == two.Semver {
		t.Errorf("%+v", again)
	}
}

func TestRanges(t *testing.T) {
	f := newFixture(t, contract.None)
	for _, text := range []string{avro("id"), avro("id a?"), avro("id a? b"), avro("id a? b c?")} {
		f.register(text)
	}
	for _, c := range []struct{ rng, want string }{
		{"^1", "1.1.0"}, {"~1.0", "1.0.0"}, {">=1.0.0 <2", "1.1.0"}, {"1.0.0", "1.0.0"}, {"^2", "2.1.0"}, {"*", "2.1.0"},
	} {
		for range 2 {
			l, err := f.ByRange(f.name, c.rng)
			f.must(err)
			if l.Semver != c.want {
				t.Errorf("%s is %s, want %s", c.rng, l.Semver, c.want)
			}
		}
	}
	_, err := f.ByRange(f.name, "^3")
	f.is(err, ErrNoVersion)
	_, err = f.ByRange(f.name, "new")
	f.is(err, contract.ErrRange)
	f.register(avro("id a? b c? d?"))
	if l, err := f.ByRange(f.name, "^2"); err != nil || l.Semver != "2.2.0" {
		t.Errorf("%+v, %v", l, err)
	}
}

// However many register at once, each definition is one version, and numbers
// and semantic versions are in one order.
func TestConcurrentRegister(t *testing.T) {
	f := newFixture(t, contract.BackwardAll)
	f.register(avro("id"))
	var work sync.WaitGroup
	for i := range 24 {
		work.Go(func() {
			if _, _, err := f.Register(f.ctx, f.name, Definition{Text: avro(fmt.Sprintf("id a%d?", i%8))}); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	n := 0
	f.Versions(f.name, func(list iter.Seq[Version]) {
		for v := range list {
			if n++; v.Number != int64(n) || v.SchemaID != n || v.Semver != fmt.Sprintf("1.%d.0", n-1) {
				t.Errorf("version %d: %+v", n, v)
			}
		}
	})
	if n != 9 {
		t.Errorf("%d versions", n)
	}
}

// Small caches forget, and answer all the same.
func TestCacheBound(t *testing.T) {
	f := newFixture(t, contract.None)
	small := New(Config{DB: f.db, CacheBytes: 1000})
	defer small.Close()
	var all []Version
	for i := range 30 {
		all = append(all, f.register(avro(fmt.Sprintf("id a%d?", i))))
	}
	for range 3 {
		for _, v := range all {
			a, err := small.ByID(here, v.ID)
			f.must(err)
			b, err := small.ByNumber(f.name, v.Number)
			f.must(err)
			c, err := small.BySchemaID(here, v.SchemaID)
			f.must(err)
			if a.ID != v.ID || b.ID != v.ID || c.ID != v.ID {
				t.Fatalf("%s, %s and %s are one", a.ID, b.ID, c.ID)
			}
		}
	}
	size := 0
	for _, l := range small.cache.ring {
		size += l.cost
	}
	if size > 1000 || len(small.cache.ring) == 0 || small.cache.left != 1000-size {
		t.Errorf("%d bytes in %d, %d left", size, len(small.cache.ring), small.cache.left)
	}
	if _, err := small.ByID(cluster.Scope{Account: "999999999999", Region: here.Region}, all[29].ID); !errors.Is(err, ErrNoVersion) {
		t.Error("another account's schema was shown", err)
	}
}

func TestReset(t *testing.T) {
	f := newFixture(t, contract.None)
	f.register(avro("id"))
	f.must(f.Reset(f.ctx, here.Account))
	f.db.View(func(r store.Reader) error {
		if n := Versions.Len(r) + Schemas.Len(r) + Registries.Len(r) + counters.Len(r); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		return nil
	})
}

// TestManyRegistriesDeleted: a transaction of the store's is bounded, however many
// registries wait for their end.
func TestManyRegistriesDeleted(t *testing.T) {
	f := newFixture(t, contract.None)
	for i := range 2*batch + 1 {
		r := Registry{Scope: here, Name: fmt.Sprint("r", i)}
		_, err := f.CreateRegistry(f.ctx, r)
		f.must(err)
		_, err = f.DeleteRegistry(f.ctx, here, r.Name)
		f.must(err)
	}
	f.must(f.Sweep(f.ctx))
	f.Registries(here, func(left iter.Seq[Registry]) {
		for r := range left {
			if r.Name != "shop" {
				t.Errorf("registry %s is %s", r.Name, r.Status)
			}
		}
	})
}
