package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/Masterminds/semver/v3"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store/storetest"
)

// TestModel registers, deletes, hides and raises at random. After each step the
// schema's row and all lookups, cached, agree with the versions that there are;
// what a version is does not change; no semantic version is given twice, and
// within a major all get on with each other where levels were kept.
func TestModel(t *testing.T) {
	db := storetest.Open(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		e := New(Config{DB: db, CacheBytes: rapid.SampledFrom([]int{1, 700, 1 << 20}).Draw(rt, "cache")})
		defer e.Close()
		ctx := context.Background()
		n := Name{here, Default, fmt.Sprint("order", round)}
		must := func(err error, allowed ...error) {
			rt.Helper()
			if err != nil && !slices.ContainsFunc(allowed, func(a error) bool { return errors.Is(err, a) }) {
				rt.Fatal(err)
			}
		}
		level := rapid.SampledFrom([]contract.Level{contract.None, contract.Backward, contract.Forward, contract.Full, contract.BackwardAll, contract.FullAll})
		_, _, err := e.CreateSchema(ctx, Schema{Scope: here, Name: n.Schema, Format: contract.Avro, Level: level.Draw(rt, "level")}, nil)
		must(err)
		given, texts := map[string]string{}, map[string]string{} // ids by semver, texts by id
		number := func() int64 { return rapid.Int64Range(1, 9).Draw(rt, "number") }
		rt.Repeat(map[string]func(*rapid.T){
			"register": func(rt *rapid.T) {
				fields := rapid.SampledFrom([]string{"id", "id a?", "id a", "id b?", "a? b?", "id a? b?", "b"}).Draw(rt, "fields")
				d := Definition{Text: avro(fields), KeepFailure: rapid.Bool().Draw(rt, "keep")}
				v, fresh, err := e.Register(ctx, n, d)
				var inc *Incompatible
				if errors.As(err, &inc) {
					return
				}
				must(err)
				if texts[v.ID] = v.Text(); fresh {
					if id, ok := given[v.Semver]; ok {
						rt.Fatalf("%s is %s and %s", v.Semver, id, v.ID)
					}
					given[v.Semver] = v.ID
				}
			},
			"delete": func(*rapid.T) {
				_, err := e.DeleteVersion(ctx, n, number(), rapid.Bool().Draw(rt, "any"))
				must(err, ErrNoVersion, ErrFirst, ErrCheckpoint, ErrNecessary)
			},
			"hide": func(*rapid.T) {
				_, err := e.SetDeleted(ctx, n, number(), rapid.Bool().Draw(rt, "deleted"))
				must(err, ErrNoVersion)
			},
			"checkpoint": func(*rapid.T) {
				_, err := e.SetCheckpoint(ctx, n, rapid.Int64Range(0, 9).Draw(rt, "checkpoint"), func(s *Schema) error { s.Level = level.Draw(rt, "level"); return nil })
				must(err, ErrNoVersion)
			},
			"raise": func(*rapid.T) {
				v, err := e.Version(n, 0)
				if err != nil {
					return
				}
				value := fmt.Sprintf("%d.%d.0", rapid.IntRange(1, 5).Draw(rt, "major"), rapid.IntRange(0, 5).Draw(rt, "minor"))
				var bad *SemverError
				if v, err = e.PutMetadata(ctx, v, SemverKey, value); err == nil {
					if id := given[value]; id != "" {
						rt.Fatalf("%s is %s and %s", value, id, v.ID)
					}
					given[value] = v.ID
				} else if !errors.As(err, &bad) {
					must(err, ErrMetadataExists)
				}
			},
			"sweep": func(*rapid.T) { must(e.Sweep(ctx)) },
			"":      func(rt *rapid.T) { agree(rt, e, n, texts) },
		})
	})
}

// agree checks the schema and its lookups against its versions.
func agree(t *rapid.T, e *Engine, n Name, texts map[string]string) {
	var all []Version
	e.Versions(n, func(list iter.Seq[Version]) { all = slices.Collect(list) })
	s, err := e.Schema(n)
	if err != nil {
		t.Fatal(err)
	}
	var latest, highest Version
	for _, v := range all {
		if v.Number >= s.Next {
			t.Fatalf("version %d of a schema that goes on with %d", v.Number, s.Next)
		}
		if text, ok := texts[v.ID]; ok && text != v.Text() {
			t.Fatalf("version %d was %s, is %s", v.Number, text, v.Text())
		}
		byID, err := e.ByID(here, v.ID)
		byNumber, err2 := e.ByNumber(n, v.Number)
		if v.Status != Available {
			if !errors.Is(err, ErrNoVersion) || !errors.Is(err2, ErrNoVersion) {
				t.Fatalf("version %d, %s, is found: %v, %v", v.Number, v.Status, err, err2)
			}
			continue
		}
		if err != nil || err2 != nil || byID.Number != v.Number || byID.Semver != v.Semver || byID.Deleted != v.Deleted || byNumber.ID != v.ID || byNumber.Semver != v.Semver {
			t.Fatalf("version %d is %+v and %+v (%v, %v), want %+v", v.Number, byID, byNumber, err, err2, v)
		}
		if !v.Live() {
			continue
		}
		latest = v
		if highest.Semver == "" || semver.MustParse(v.Semver).GreaterThan(semver.MustParse(highest.Semver)) {
			highest = v
		}
	}
	got, err := e.ByNumber(n, 0)
	ranged, err2 := e.ByRange(n, "*")
	if latest.Number == 0 {
		if s.Latest != 0 || !errors.Is(err, ErrNoVersion) || !errors.Is(err2, ErrNoVersion) {
			t.Fatalf("there is none, but %+v, %+v, %+v", s, got, ranged)
		}
		return
	}
	if s.Latest != latest.Number || err != nil || got.ID != latest.ID || err2 != nil || ranged.ID != highest.ID {
		t.Fatalf("the latest is %d: %d, %+v; the highest %s: %+v", latest.Number, s.Latest, got, highest.Semver, ranged)
	}
}

// Who reads after a change sees it, however many read meanwhile.
func TestCacheIsCurrent(t *testing.T) {
	f := newFixture(t, contract.None)
	f.register(avro("id"))
	ctx, cancel := context.WithCancel(f.ctx)
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() {
			for ctx.Err() == nil {
				if l, err := f.ByNumber(f.name, 0); err != nil || l.Deleted {
					t.Error(l, err)
				}
				if _, err := f.ByRange(f.name, "^1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 300 {
		v := f.register(avro(fmt.Sprintf("id a%d?", i)))
		l, err := f.ByNumber(f.name, 0)
		f.must(err)
		r, err := f.ByRange(f.name, "^1")
		f.must(err)
		if l.ID != v.ID || r.ID != v.ID {
			t.Fatalf("after version %d the latest is %d, the highest %d", v.Number, l.Number, r.Number)
		}
		_, err = f.SetDeleted(f.ctx, f.name, v.Number, true)
		f.must(err)
		if l, err = f.ByNumber(f.name, 0); err != nil || l.Number != 1 {
			t.Fatalf("version %d is hidden, the latest is %+v, %v", v.Number, l, err)
		}
	}
	cancel()
	work.Wait()
}
