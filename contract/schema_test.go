package contract

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

func schema(t testing.TB, text string) Schema {
	t.Helper()
	s, err := Parse(Source{Format: Avro, File: "order.avsc", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// orderWith is a record Order with a field id and others, a line each from 3.
func orderWith(fields ...string) string {
	return `{"type": "record", "name": "shop.Order", "fields": [` + "\n" +
		strings.Join(append([]string{`{"name": "id", "type": "string"}`}, fields...), ",\n") + "]}"
}

const (
	bare      = `{"name": "total", "type": "long"}`
	defaulted = `{"name": "total", "type": "long", "default": 0}`
	color     = `{"name": "color", "type": {"type": "enum", "name": "Color", "symbols": [%s]%s}}`
)

func TestBumpOf(t *testing.T) {
	base := orderWith(defaulted)
	for _, c := range []struct {
		name, next string
		want       Bump
	}{
		{"same", base, Same},
		{"form", strings.ReplaceAll(base, "\n", "\n\n"), Patch},
		{"doc", orderWith(`{"name": "total", "type": "long", "default": 0, "doc": "in cents", "order": "ignore", "x": 1}`), Patch},
		{"default's form", orderWith(`{"name": "total", "type": {"type": "long"}, "default": 0}`), Patch},
		{"other default", orderWith(`{"name": "total", "type": "long", "default": 1}`), Minor},
		{"no default", orderWith(bare), Minor},
		{"alias", orderWith(`{"name": "total", "type": "long", "default": 0, "aliases": ["sum"]}`), Minor},
		{"logical type", orderWith(`{"name": "total", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0}`), Minor},
		{"new field with default", orderWith(defaulted, `{"name": "note", "type": ["null", "string"], "default": null}`), Minor},
		{"removed with default", orderWith(), Minor},
		{"new field", orderWith(defaulted, `{"name": "note", "type": "string"}`), Major},
		{"wider type", orderWith(`{"name": "total", "type": "double", "default": 0}`), Major},
	} {
		if got := BumpOf(schema(t, c.next), []Version{{"1.0.0", schema(t, base)}}); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	// Each step is minor, and the first version cannot read the third.
	steps := []Version{{"1.0.0", schema(t, orderWith(bare))}, {"1.1.0", schema(t, orderWith(defaulted))}}
	if got := BumpOf(schema(t, orderWith()), steps); got != Major {
		t.Errorf("what 1.0.0 cannot read is %v", got)
	}
	if got := BumpOf(schema(t, orderWith()), steps[1:]); got != Minor {
		t.Errorf("what 1.1.0 can read is %v", got)
	}
}

// TestBumpSeesReferences has schemas of one text, which refer to others.
func TestBumpSeesReferences(t *testing.T) {
	parse := func(f Format, text string, refs ...Source) Schema {
		t.Helper()
		s, err := Parse(Source{Format: f, Text: text, Refs: refs})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	list, fixed := `{"type":"array","items":"M"}`, `{"type":"fixed","name":"M","size":%d%s}`
	size := func(n int, rest string) Source { return Source{Text: fmt.Sprintf(fixed, n, rest)} }
	both, text, number := `{"properties":{"a":{"$ref":"a.json"},"b":{"$ref":"b.json"}}}`, `{"type":"string"}`, `{"type":"integer"}`
	file := func(name, text string) Source { return Source{File: name, Text: text} }
	for _, c := range []struct {
		name      string
		old, next Schema
		want      Bump
	}{
		{"the same", parse(Avro, list, size(1, "")), parse(Avro, list, size(1, "")), Same},
		{"another type of the same name", parse(Avro, list, size(1, "")), parse(Avro, list, size(2, "")), Major},
		{"documentation", parse(Avro, list, size(1, "")), parse(Avro, list, size(1, `,"doc":"x"`)), Patch},
		{"one more", parse(Avro, list, size(1, "")), parse(Avro, list, size(1, ""), Source{Text: `{"type":"fixed","name":"N","size":1}`}), Patch},
		{"the same texts of other names", parse(JSON, both, file("a.json", text), file("b.json", number)), parse(JSON, both, file("b.json", text), file("a.json", number)), Major},
	} {
		if got := BumpOf(c.next, []Version{{"1.0.0", c.old}}); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	v := func(label string, fields ...string) Version { return Version{label, schema(t, orderWith(fields...))} }
	earlier := []Version{v("1.0.0", bare), v("1.1.0", defaulted)}
	for _, c := range []struct {
		level Level
		next  Version
		want  string
	}{
		{None, v("", `{"name": "total", "type": "string"}`), ""},
		{Disabled, v(""), ""},
		{Backward, v("", bare, `{"name": "x", "type": "int"}`), "1.1.0 new"},
		{BackwardAll, v("", bare, `{"name": "x", "type": "int"}`), "1.0.0 new, 1.1.0 new"},
		{Forward, v(""), ""},
		{ForwardAll, v(""), "1.0.0 old"},
		{Full, v(""), ""},
		{FullAll, v(""), "1.0.0 old"},
	} {
		var got []string
		for _, b := range Check(c.level, c.next.Schema, earlier) {
			got = append(got, b.With+" "+map[bool]string{true: "new", false: "old"}[b.NewReads])
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s, want %s", c.level, s, c.want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for _, s := range []string{"", "1", "1.2", "v1.2.3", "1.2.3-rc1", "1.2.3+build", "2024-01-31", "01.2.3", "1.2.3.4", " 1.2.3", "1.-2.3", "latest"} {
		if v, err := ParseVersion(s); !errors.Is(err, ErrVersion) {
			t.Errorf("%q is %v, %v", s, v, err)
		}
	}
	v, err := ParseVersion("1.4.0")
	if err != nil {
		t.Fatal(err)
	}
	for b, want := range map[Bump]string{Same: "1.4.0", Patch: "1.4.1", Minor: "1.5.0", Major: "2.0.0"} {
		if got := b.After(v); got.String() != want {
			t.Errorf("%v leads to %s, want %s", b, &got, want)
		}
	}
}

func TestRange(t *testing.T) {
	all := []string{"1.2.0", "0.9.0", "1.2.3", "1.10.0", "2.0.0", "2.1.0", "3.0.0", "nonsense", "4.0.0-rc1"}
	for text, want := range map[string]string{
		"^1": "1.10.0", "^1.2": "1.10.0", "~1.2": "1.2.3", "1.2.0": "1.2.0", "=1.2.0": "1.2.0", "1.2": "1.2.3", "1": "1.10.0", "1.x": "1.10.0",
		">=1.2 <3": "2.1.0", ">=1.2, <3": "2.1.0", ">= 1.2 < 2": "1.10.0", "1.2 - 2.0": "2.0.0", "^1 || ^3": "3.0.0", "": "3.0.0", "*": "3.0.0",
		"^5": "", "<0.1": "", "!=3.0.0": "2.1.0", "^0.9": "0.9.0",
	} {
		r, err := ParseRange(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, ok := Latest(r, all); got != want || ok != (want != "") {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"latest", "v1", "^v1", "1.2.0-rc1", ">=1.2.0-0", "^^1", "1..2", "^1 &", ">", "||", " ", "2024-01-31", strings.Repeat("1 ", 150)} {
		if r, err := ParseRange(text); !errors.Is(err, ErrRange) {
			t.Errorf("%q is %v, %v", text, r, err)
		}
	}
	if _, err := ParseRange("^v1"); err == nil || err.Error() != `"^v1" is not a range of versions: write it as ^1, ~1.2, 1.2.0 or >=1.2 <3` {
		t.Error(err)
	}
	if !(Range{}).Has(semver.MustParse("7.0.0")) || (Range{}).String() != "*" {
		t.Error("the zero Range has not all versions")
	}
}
