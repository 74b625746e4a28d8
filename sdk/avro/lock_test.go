package avro

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dhowhq/dhow/contract/wire"
)

const (
	address = `{"type":"record","name":"Address","namespace":"shop","fields":[{"name":"street","type":"string"}]}`
	parcel  = `{"type":"record","name":"Parcel","namespace":"shop","fields":[{"name":"to","type":"Address"},{"name":"from","type":["null","shop.Address"],"default":null}]}`
)

// folder is a folder of schemas with its lock file.
func folder(t testing.TB) (fstest.MapFS, LockFile) {
	t.Helper()
	f := LockFile{}
	fsys := fstest.MapFS{}
	add := func(name, version, file, text string, before ...string) *LockEntry {
		e, err := NewLockEntry(name, version, file, []byte(text), before...)
		if err != nil {
			t.Fatal(err)
		}
		fsys["schemas/"+file] = &fstest.MapFile{Data: []byte(text)}
		f.Schemas = append(f.Schemas, e)
		return &f.Schemas[len(f.Schemas)-1]
	}
	add("shop/order", "1.10.0", "order.avsc", order11).SchemaVersionID = wire.UUID{1, 1}
	add("shop/order", "1.9.0", "old/order-1.9.0.avsc", order10).ID = 9
	add("shop/address", "1.0.0", "address.avsc", address)
	add("shop/parcel", "1.0.0", "parcel.avsc", parcel, address).References = []string{"shop/address@1.0.0"}
	f.Schemas = append(f.Schemas, LockEntry{Name: "shop/cart", Version: "1.0.0", Format: "JSON", File: "cart.json", SHA256: Sum([]byte("{}"))})
	fsys["schemas/cart.json"] = &fstest.MapFile{Data: []byte("{}")}
	put(t, fsys, f)
	return fsys, f
}

func put(t testing.TB, fsys fstest.MapFS, f LockFile) {
	t.Helper()
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	fsys["schemas/dhow.lock"] = &fstest.MapFile{Data: text}
}

func TestLockFile(t *testing.T) {
	fsys, f := folder(t)
	text := fsys["schemas/dhow.lock"].Data
	back, err := ParseLockFile(text)
	if err != nil || len(back.Schemas) != len(f.Schemas) {
		t.Fatal(back, err)
	}
	if again := must(back.Marshal()); !bytes.Equal(text, again) {
		t.Errorf("%s\nand once more\n%s", text, again)
	}
	if a, b := bytes.Index(text, []byte("1.9.0")), bytes.Index(text, []byte("1.10.0")); a > b || a < 0 {
		t.Errorf("versions are not in their order:\n%s", text)
	}
	l, err := Open(fsys, "schemas")
	if err != nil {
		t.Fatal(err)
	}
	if got := l.String(); got != "shop/address@1.0.0, shop/order@1.9.0, shop/order@1.10.0, shop/parcel@1.0.0" {
		t.Error(got)
	}
	v := must(l.Select(t.Context(), must(ParseWanted("shop/order@^1"))))
	if v.Version != "1.10.0" || v.UUID != (wire.UUID{1, 1}) {
		t.Error(v)
	}
	if v := must(l.Find(t.Context(), "shop/order", wire.Reference{Form: wire.Confluent, ID: 9})); v.Version != "1.9.0" {
		t.Error(v)
	}
}

func TestLockReferences(t *testing.T) {
	fsys, _ := folder(t)
	l := must(Open(fsys, "schemas"))
	type to struct {
		Street string `avro:"street"`
	}
	type parcel struct {
		To   to  `avro:"to"`
		From *to `avro:"from"`
	}
	p := must(NewProducer[parcel](t.Context(), l, "shop/parcel"))
	c := must(NewConsumer[parcel](t.Context(), l, "shop/parcel"))
	got, err := c.Decode(t.Context(), must(p.Encode(&parcel{To: to{"Elm"}, From: &to{"Oak"}})))
	if err != nil || got.To.Street != "Elm" || got.From.Street != "Oak" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := NewVersion("a/b", "1.0.0", p.Version().Definition); err != nil {
		t.Errorf("the definition does not stand alone: %v", err)
	}
}

// TestLockOfIDL: the definition is in the lock, and holds while the files that it
// was made of are the same.
func TestLockOfIDL(t *testing.T) {
	const idl, common = "import idl \"common.avdl\"; record Address { string street; }", "namespace shop;\r\n"
	e := must(NewLockEntry("shop/address", "1.0.0", "address.avdl", []byte(address)))
	e.Definition, e.Imports, e.SHA256 = address, []string{"common.avdl"}, Sum([]byte(idl), []byte("namespace shop;\n"))
	fsys := fstest.MapFS{"schemas/address.avdl": {Data: []byte(idl)}, "schemas/common.avdl": {Data: []byte(common)}}
	put(t, fsys, LockFile{Schemas: []LockEntry{e}})
	l := must(Open(fsys, "schemas"))
	if v := l.Versions(); len(v) != 1 || v[0].Definition != address {
		t.Errorf("the lock has %v", v)
	}
	fsys["schemas/common.avdl"].Data = []byte("namespace store;\n")
	if _, err := Open(fsys, "schemas"); err == nil || !strings.Contains(err.Error(), "address.avdl with common.avdl is not what was locked as shop/address@1.0.0") {
		t.Errorf("what is imported has changed: %v", err)
	}
}

func TestLockRefuses(t *testing.T) {
	for says, spoil := range map[string]func(fstest.MapFS, *LockFile){
		"order.avsc is not what was locked as shop/order@1.10.0": func(fsys fstest.MapFS, _ *LockFile) {
			fsys["schemas/order.avsc"] = &fstest.MapFile{Data: []byte(strings.Replace(order11, "null", "long", 1))}
		},
		"cart.json is not what was locked":          func(fsys fstest.MapFS, _ *LockFile) { fsys["schemas/cart.json"].Data = []byte("[]") },
		"no lock file beside the schemas":           func(fsys fstest.MapFS, _ *LockFile) { delete(fsys, "schemas/dhow.lock") },
		"file does not exist":                       func(fsys fstest.MapFS, _ *LockFile) { delete(fsys, "schemas/address.avsc") },
		"shop/address@1.0.0 is there twice":         func(_ fstest.MapFS, f *LockFile) { f.Schemas = append(f.Schemas, f.Schemas[2]) },
		`"shop/order@latest" is not REGISTRY/NAME`:  func(_ fstest.MapFS, f *LockFile) { f.Schemas[0].Version = "latest" },
		`"shop/order@^1" is not REGISTRY/NAME`:      func(_ fstest.MapFS, f *LockFile) { f.Schemas[0].Version = "^1" },
		"refers to shop/street@1.0.0, which is not": func(_ fstest.MapFS, f *LockFile) { f.Schemas[3].References = []string{"shop/street@1.0.0"} },
		"its crc64 is":                              func(_ fstest.MapFS, f *LockFile) { f.Schemas[0].CRC64 = "0" },
		"parcel.avsc":                               func(_ fstest.MapFS, f *LockFile) { f.Schemas[3].References = nil },
	} {
		fsys, f := folder(t)
		lost := fsys["schemas/dhow.lock"]
		spoil(fsys, &f)
		if fsys["schemas/dhow.lock"] == lost {
			put(t, fsys, f)
		}
		if _, err := Open(fsys, "schemas"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	for says, text := range map[string]string{
		"lockfileVersion 2": `{"lockfileVersion":2}`,
		"unknown field":     `{"lockfileVersion":1,"more":1}`,
		"unexpected EOF":    `{`,
		"is not a UUID":     `{"lockfileVersion":1,"schemas":[{"schemaVersionId":"1"}]}`,
	} {
		if _, err := ParseLockFile([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestLockOfWindows has the same files with other ends of lines.
func TestLockOfWindows(t *testing.T) {
	fsys, _ := folder(t)
	for _, f := range fsys {
		f.Data = bytes.ReplaceAll(f.Data, []byte("\n"), []byte("\r\n"))
	}
	if _, err := Open(fsys, "schemas"); err != nil {
		t.Error(err)
	}
}

// A range names no version.
func TestLockOfARange(t *testing.T) {
	for _, version := range []string{"1", "1.0", "^1.0.0", "*", ""} {
		fsys, f := folder(t)
		f.Schemas[0].Version = version
		put(t, fsys, f)
		if _, err := Open(fsys, "schemas"); err == nil || !strings.Contains(err.Error(), "is not REGISTRY/NAME@VERSION") {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestLockReferencesInARing(t *testing.T) {
	fsys, f := folder(t)
	f.Schemas[2].References = []string{"shop/parcel@1.0.0"}
	put(t, fsys, f)
	if _, err := Open(fsys, "schemas"); err == nil {
		t.Error("entries that need each other were read")
	}
}

func FuzzParseLockFile(f *testing.F) {
	fsys, _ := folder(f)
	f.Add(fsys["schemas/dhow.lock"].Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys, _ := folder(t)
		fsys["schemas/dhow.lock"] = &fstest.MapFile{Data: data}
		l, err := Open(fsys, "schemas")
		if err == nil {
			l.Select(t.Context(), Wanted{Name: "shop/order"})
		}
	})
}

func TestChain(t *testing.T) {
	ctx := t.Context()
	down := errors.New("down")
	want := must(ParseWanted("shop/order@1.0.0"))
	for _, tt := range []struct {
		name    string
		c       Source
		unknown bool
		says    string
	}{
		{"the second has it", Chain(&Lock{}, orders(t)), false, ""},
		{"the first is down", Chain(broken{down}, orders(t)), false, ""},
		{"none has it", Chain(&Lock{}, &Lock{}), true, "not among"},
		{"one may have it", Chain(&Lock{}, broken{down}), false, "down"},
		{"there are none", Chain(), true, "no sources"},
	} {
		_, err := tt.c.Select(ctx, want)
		_, err2 := tt.c.Find(ctx, "shop/order", wire.Reference{Form: wire.Confluent, ID: 10})
		for _, err := range []error{err, err2} {
			if (err != nil) != (tt.says != "") || errors.Is(err, ErrUnknown) != tt.unknown || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if tt.says == "down" && !errors.Is(err, down) {
			t.Errorf("%s: the cause is lost: %v", tt.name, err)
		}
	}
}

// broken is a source that cannot be reached.
type broken struct{ err error }

func (b broken) Select(context.Context, Wanted) (*Version, error) { return nil, b.err }

func (b broken) Find(context.Context, string, wire.Reference) (*Version, error) { return nil, b.err }

// TestExampleLock holds that the lock file of the examples is of their schemas.
// go test -run TestExampleLock -write writes it anew.
func TestExampleLock(t *testing.T) {
	f := LockFile{}
	for _, e := range []struct{ version, file, id string }{
		{"1.0.0", "order-1.0.0.avsc", "5b1f0e0c-2f1c-4f5e-9a55-6f6d3a8c1e10"},
		{"1.1.0", "order.avsc", "b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63"},
	} {
		text := must(os.ReadFile("testdata/schemas/" + e.file))
		entry := must(NewLockEntry("shop/order", e.version, e.file, text))
		entry.SchemaVersionID = must(wire.ParseUUID(e.id))
		f.Schemas = append(f.Schemas, entry)
	}
	want := must(f.Marshal())
	if *write {
		if err := os.WriteFile("testdata/schemas/dhow.lock", want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("testdata/schemas/dhow.lock"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

var write = flag.Bool("write", false, "write the lock file of the examples anew")
