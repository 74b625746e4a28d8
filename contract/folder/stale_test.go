package folder

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dhowhq/dhow/sdk/avro"
)

// registered reads a folder all of whose files are version 1.0.0, or the release
// that they are.
func registered(t *testing.T, dir fs.FS) (list []Finding) {
	t.Helper()
	read, err := Read(dir, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range read {
		v := &Version{ID: "0191f6f2-7c4e-7b7a-9d51-0c2f4b6d8e10", Semver: "1.0.0"}
		if f.Release != "" {
			v.Semver = f.Release
		}
		list = append(list, Finding{File: f, As: v})
	}
	return list
}

func TestStale(t *testing.T) {
	const doc = `@namespace("shop") protocol P { import idl "part.avdl"; record Doc { Part p; } }`
	const part = `@namespace("shop") protocol Q { record Part { int n; } }`
	locked := files("customer.avsc", customer, "customer@1.0.0.avsc", customer, "order.avsc", order, "order@0.9.0.avsc", `"int"`, "doc.avdl", doc, "part.avdl", part)
	if got := Stale(locked, registered(t, locked)); got != nil {
		t.Errorf("there is no lock: %q", got)
	}
	lock, err := Lock(registered(t, locked))
	if err != nil {
		t.Fatal(err)
	}
	text, err := lock.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(dir fstest.MapFS, list []Finding) []Finding
		want   string
	}{
		"nothing":        {func(fstest.MapFS, []Finding) []Finding { return nil }, ""},
		"a text":         {func(d fstest.MapFS, _ []Finding) []Finding { d["order.avsc"].Data = []byte(order + " "); return nil }, "order.avsc is there as shop/order@1.0.0, with another text"},
		"what is import": {func(d fstest.MapFS, _ []Finding) []Finding { d["part.avdl"].Data = []byte(part + " "); return nil }, "doc.avdl:1 is there as shop/Doc@1.0.0, with another text; part.avdl:1 is there as shop/Part@1.0.0, with another text"},
		"a new one": {func(d fstest.MapFS, _ []Finding) []Finding {
			d["new.avsc"] = &fstest.MapFile{Data: []byte(`"int"`)}
			return nil
		}, "new.avsc (shop/new) is not there"},
		"a new release": {func(d fstest.MapFS, _ []Finding) []Finding {
			d["order@0.8.0.avsc"] = &fstest.MapFile{Data: []byte(`"int"`)}
			return nil
		}, "order@0.8.0.avsc (shop/order@0.8.0) is not there"},
		"one that left": {func(d fstest.MapFS, _ []Finding) []Finding { delete(d, "order@0.9.0.avsc"); return nil }, "order@0.9.0.avsc is there as shop/order@0.9.0, and not in the folder"},
		"a version":     {func(_ fstest.MapFS, l []Finding) []Finding { l[len(l)-2].As.Semver = "1.0.1"; return l }, "order.avsc is there as shop/order@1.0.0, and is 1.0.1 in the registry"},
		"the lock":      {func(d fstest.MapFS, _ []Finding) []Finding { d["dhow.lock"].Data = []byte("{}"); return nil }, "dhow.lock: lockfileVersion 0 is not known here, 1 is: write it anew with dhow schema lock"},
	} {
		dir := fstest.MapFS{avro.LockName: {Data: text}}
		for n, f := range locked {
			copied := *f
			dir[n] = &copied
		}
		list := tt.change(dir, registered(t, dir))
		if list == nil {
			list = registered(t, dir)
		}
		if got := strings.Join(Stale(dir, list), "; "); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestPassed(t *testing.T) {
	got, err := Passed(files("shop/order.avcs", "", "shop/a.avsc", "", "b.proto", "", "dhow.lock", "", "schemas.go", "", "README.md", "", ".git/x", "", "node_modules/y", "", ".DS_Store", "", "order.yaml", ""))
	if want := []string{"order.yaml", "shop/order.avcs"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}
