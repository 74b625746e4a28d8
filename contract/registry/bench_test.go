package registry

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// BenchmarkLookup is lookups that hit the cache, beside a bare map's.
func BenchmarkLookup(b *testing.B) {
	f := newFixture(b, contract.None)
	var v Version
	for i := range 100 {
		v = f.register(avro(fmt.Sprintf("id a%d?", i)))
		if _, err := f.ByNumber(f.name, v.Number); err != nil {
			b.Fatal(err)
		}
	}
	bare := map[string]*Loaded{}
	for i := range 100 {
		bare[fmt.Sprintf("%036d", i)] = &Loaded{}
	}
	bare[v.ID] = &Loaded{}
	for name, look := range map[string]func() (*Loaded, error){
		"floor":     func() (*Loaded, error) { return bare[v.ID], nil },
		"id":        func() (*Loaded, error) { return f.ByID(here, v.ID) },
		"schema id": func() (*Loaded, error) { return f.BySchemaID(here, v.SchemaID) },
		"number":    func() (*Loaded, error) { return f.ByNumber(f.name, v.Number) },
		"latest":    func() (*Loaded, error) { return f.ByNumber(f.name, 0) },
		"range":     func() (*Loaded, error) { return f.ByRange(f.name, "^1") },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if l, err := look(); err != nil || l == nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("id from 4 goroutines", func(b *testing.B) {
		var failed atomic.Bool
		b.SetParallelism(4 / runtime.GOMAXPROCS(0))
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := f.ByID(here, v.ID); err != nil {
					failed.Store(true)
				}
			}
		})
		if failed.Load() {
			b.Fatal("a lookup failed")
		}
	})
}

// BenchmarkStart opens a store with 100,000 versions, beside an empty one: what
// the versions add to the start.
func BenchmarkStart(b *testing.B) {
	const schemas, each = 1000, 100
	full, empty := b.TempDir(), b.TempDir()
	db := open(b, full)
	fill(b, db, schemas, each)
	db.Close()
	open(b, empty).Close()
	for b.Loop() {
		took := map[string]time.Duration{}
		for _, dir := range []string{empty, full} {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begun := time.Now()
			db := open(b, dir)
			took[dir] = time.Since(begun)
			runtime.GC()
			runtime.ReadMemStats(&after)
			if dir == full {
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/schemas/each, "heap-B/version")
				db.View(func(r store.Reader) error {
					if n := Versions.Len(r); n != schemas*each {
						b.Fatalf("%d versions", n)
					}
					return nil
				})
			}
			db.Close()
		}
		b.ReportMetric((took[full] - took[empty]).Seconds(), "s-added")
		b.ReportMetric(took[empty].Seconds(), "s-empty")
	}
}

func open(t testing.TB, dir string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Config{Dir: dir, UnsafeNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// fill writes versions as Register does, many to a transaction.
func fill(b *testing.B, db *store.DB, schemas, each int) {
	e := New(Config{DB: db})
	defer e.Close()
	text := avro("id customer? total? tax? currency? lines? address? city? country? note? placed? shipped?")
	for i := range schemas {
		s := Schema{Scope: here, Registry: "shop", Name: fmt.Sprintf("schema%04d", i), Format: contract.Avro, Level: contract.None, Next: 1, Status: Available}
		err := db.Update(context.Background(), func(tx *store.Tx) error {
			s := s
			for n := range each - 2 {
				var err error
				if s, err = put(tx, s, text, i, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = db.Update(context.Background(), func(tx *store.Tx) (err error) {
				s, _ := Schemas.Get(tx, s.Key())
				for n := range 2 {
					if s, err = put(tx, s, text, i, each-2+n); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func put(tx *store.Tx, s Schema, text string, i, n int) (Schema, error) {
	text += fmt.Sprint(" ", i, " ", n)
	p := plan{schema: s, version: Version{Scope: s.Scope, Registry: s.Registry, Name: s.Name, Format: s.Format, Status: Available,
		Packed: pack(text), Digest: digest(s, Definition{Text: text}), Semver: fmt.Sprintf("1.%d.0", n)}}
	s, _, err := p.put(tx, time.Now())
	return s, err
}
