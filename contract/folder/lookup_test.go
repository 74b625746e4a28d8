package folder

import (
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract/verdict"
)

func TestMissing(t *testing.T) {
	all := []string{"default-registry/pay", "shop/a", "shop/b", "shop/c", "shop/d", "shop/e", "shop/order"}
	for name, want := range map[string]string{
		"order":     "the registry has no schema default-registry/order; it has shop/order",
		"shop":      "the registry has no schema default-registry/shop; in shop there are shop/a, shop/b, shop/c, shop/d, shop/e and 1 more",
		"shop/oder": "the registry has no schema shop/oder; in shop there are shop/a, shop/b, shop/c, shop/d, shop/e and 1 more",
		"shop/pay":  "the registry has no schema shop/pay; it has default-registry/pay",
		"none/x":    "the registry has no schema none/x",
		"x":         "the registry has no schema default-registry/x",
	} {
		if err := missing(name, all); err.Error() != want {
			t.Errorf("%s: %q, want %q", name, err, want)
		}
	}
}

// TestNeedNames refuses what is no name before the registry is asked.
func TestNeedNames(t *testing.T) {
	for name, want := range map[string]string{
		"shop/order@1": "the name alone is wanted here, shop/order, without a version",
		"shop/":        `"shop/" is no name of a schema`,
		"/order":       `"/order" is no name of a schema`,
		"":             `"" is no name of a schema`,
		"a/b/c":        `"a/b/c" is no name of a schema`,
	} {
		if _, err := (Remote{}).Need(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

// TestNoRelease says what is wrong with a pinned file, and what to do.
func TestNoRelease(t *testing.T) {
	fs, err := Read(files("shop/order@1.0.0.avsc", `"int"`), "default")
	if err != nil {
		t.Fatal(err)
	}
	f := fs[0]
	for _, tt := range []struct {
		k    *Known
		want string
	}{
		{&Known{Name: "shop/order", Format: "AVRO", Versions: []Version{version(t, 1, "1.0.0", `"long"`)}}, "the registry has another text. A released version does not change: remove the file and run dhow schema pull --pin shop/order@1.0.0"},
		{&Known{Name: "shop/order", Format: "AVRO", Versions: []Version{version(t, 1, "1.1.0", `"long"`)}}, "the registry has no such version. Versions are numbered when they are registered: put the text into shop/order.avsc and push it"},
	} {
		if got := compare(tt.k, f); !strings.Contains(got.Problem, tt.want) {
			t.Errorf("%q, want %q", got.Problem, tt.want)
		}
	}
}

// TestMalformedLine tells the line where a text ceases to be JSON.
func TestMalformedLine(t *testing.T) {
	_, err := Read(files("a.avsc", "{\n  \"type\": \"int\",\n}"), "default")
	if err == nil || err.Error() != `a.avsc:3: a member's name in quotes should be here, not "}"` {
		t.Errorf("%v", err)
	}
	for _, bad := range Malformed(err) {
		if bad.Place != (verdict.Place{File: "a.avsc", Line: 3}) {
			t.Errorf("at %v", bad.Place)
		}
	}
	if n := len(Malformed(err)); n != 1 {
		t.Errorf("%d are malformed", n)
	}
}
