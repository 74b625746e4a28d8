package folder

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/verdict"
)

const (
	customer = `{"type":"record","name":"Customer","namespace":"shop","fields":[{"name":"id","type":"string"}]}`
	order    = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"by","type":"Customer"}]}`
	receipt  = `{"type":"record","name":"Receipt","namespace":"shop","fields":[{"name":"of","type":["null","shop.Order"]},{"name":"to","type":{"type":"array","items":"Customer"}}]}`
)

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func TestRead(t *testing.T) {
	list, err := Read(files("shop/receipt.avsc", receipt, "shop/order.avsc", order, "customer.avsc", customer, "shop/order@1.0.0.avsc", `"int"`, "README.md", "x", ".git/a.avsc", "{"), "common")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, f := range list {
		keys = append(keys, f.Key())
		if whole, err := contract.Parse(contract.Source{Format: contract.Avro, Text: f.Text}); err != nil || whole.Canonical() != f.Schema.Canonical() {
			t.Errorf("the text of %s does not stand alone: %v\n%s", f.Path, err, f.Text)
		}
	}
	if got, want := strings.Join(keys, " "), "common/customer shop/order shop/order@1.0.0 shop/receipt"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	if refs := list[3].Schema.Source().Refs; len(refs) != 2 || refs[0].File != "customer.avsc" || refs[1].File != "shop/order.avsc" {
		t.Errorf("the receipt needs %+v", refs)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"nothing", files("a.txt", ""), "no schema is in it"},
		{"no JSON", files("a.avsc", "\n{"), "a.avsc:2: a member's name in quotes should be here, not the end of the text"},
		{"a member twice", files("a.avsc", "{\n\"type\": \"int\",\n\"type\": \"int\"}"), `a.avsc:3: "type" is twice in one object`},
		{"unknown type", files("a.avsc", "{\"type\":\"record\",\"name\":\"A\",\n\"fields\":[{\"name\":\"x\",\"type\":\"B\"}]}"), "a.avsc:2"},
		{"a type twice", files("a.avsc", customer, "b.avsc", customer), "a.avsc does too"},
		{"one name", files("a.avsc", `"int"`, "a.json", `{}`), "are both default/a"},
		{"two deep", files("a/b/c.avsc", `"int"`), "two folders deep"},
		{"a date", files("a@2026-11-27.avsc", `"int"`), "not a semantic version"},
		{"in a circle", files("a.avsc", `{"type":"record","name":"A","fields":[{"name":"b","type":["null","B"]}]}`, "b.avsc", `{"type":"record","name":"B","fields":[{"name":"a","type":["null","A"]}]}`), "use each other's types"},
		{"long", files("a.avsc", strings.Repeat(" ", 2<<20)), "longer than 1 MiB"},
	} {
		if _, err := Read(tt.files, "default"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	_, err := Read(files("a.avsc", `{"type":"rekord"}`), "d")
	var m *verdict.Malformed
	if !errors.As(err, &m) || m.Place.File != "a.avsc" {
		t.Errorf("a schema that is none: %#v", err)
	}
}

// version is one in the registry.
func version(t *testing.T, number int64, label, text string) Version {
	s, err := contract.Parse(contract.Source{Format: contract.Avro, File: "order@" + label, Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return Version{Number: number, ID: label, Semver: label, Text: text, Schema: s}
}

func record(fields string, more string) string {
	return `{"type":"record","name":"Order","fields":[` + fields + `]` + more + `}`
}

const (
	fieldID    = `{"name":"id","type":"int"}`
	fieldNote  = `{"name":"note","type":"string","default":""}`
	fieldTotal = `{"name":"total","type":"int"}`
)

func TestCompare(t *testing.T) {
	first := version(t, 1, "1.0.0", record(fieldID, ""))
	second := version(t, 2, "1.1.0", record(fieldID+","+fieldNote, ""))
	known := func(l contract.Level, v ...Version) *Known {
		return &Known{Name: "d/order", Format: contract.Avro, Level: l, Versions: v, From: 1}
	}
	for _, tt := range []struct {
		name   string
		known  *Known
		text   string
		next   string
		bump   contract.Bump
		breaks int
		words  string
	}{
		{"unknown", nil, record(fieldID, ""), "1.0.0", contract.Same, 0, ""},
		{"unknown, declared", nil, record(fieldID, `,"semver":"0.3.0"`), "0.3.0", contract.Same, 0, ""},
		{"the same", known(contract.Backward, first), "\n" + first.Text, "1.0.0", contract.Same, 0, ""},
		{"documented", known(contract.Backward, first), record(fieldID, `,"doc":"x"`), "1.0.1", contract.Patch, 0, ""},
		{"with a default", known(contract.Backward, first), second.Text, "1.1.0", contract.Minor, 0, ""},
		{"breaking forward", known(contract.Backward, first, second), record(fieldNote, ""), "2.0.0", contract.Major, 0, ""},
		{"breaking", known(contract.Backward, first, second), record(fieldID+","+fieldTotal, ""), "", contract.Major, 1, ""},
		{"breaking, none minds", known(contract.None, first, second), record(fieldID+","+fieldTotal, ""), "2.0.0", contract.Major, 0, ""},
		{"understated", known(contract.Backward, first), record(fieldID+","+fieldNote, `,"semver":"1.0.1"`), "", contract.Minor, 0, "it must be 1.1.0 at least"},
		{"overstated", known(contract.Backward, first), record(fieldID+","+fieldNote, `,"semver":"3.0.0"`), "3.0.0", contract.Minor, 0, ""},
		{"no number", known(contract.Backward, first), record(fieldID+","+fieldNote, `,"semver":"next"`), "", contract.Minor, 0, "not a semantic version"},
		{"a date", known(contract.Backward, first), record(fieldID+","+fieldNote, `,"semver":"2026.11.27"`), "", contract.Minor, 0, "is a date"},
		{"first, no number", nil, record(fieldID, `,"semver":"next"`), "", contract.Same, 0, "not a semantic version"},
		{"a registry that numbers none", known(contract.Backward, version(t, 1, "", first.Text)), second.Text, "", contract.Minor, 0, ""},
		{"disabled", known(contract.Disabled, first), second.Text, "", contract.Same, 0, "takes no new versions"},
	} {
		list, err := Read(files("order.avsc", tt.text), "d")
		if err != nil {
			t.Fatal(err)
		}
		f := compare(tt.known, list[0])
		if f.Next != tt.next || f.Bump != tt.bump || len(f.Breaks) != tt.breaks || !strings.Contains(f.Problem, tt.words) || f.Bad() != (tt.breaks > 0 || tt.words != "") {
			t.Errorf("%s: next %q, %s, %d breaks, %q", tt.name, f.Next, f.Bump, len(f.Breaks), f.Problem)
		}
	}
}

// TestRelease compares files of released versions: they do not change.
func TestRelease(t *testing.T) {
	first := version(t, 1, "1.0.0", record(fieldID, ""))
	k := &Known{Name: "d/order", Format: contract.Avro, Level: contract.Backward, Versions: []Version{first}, From: 1}
	for text, bad := range map[string]bool{first.Text: false, record(fieldID, `,"doc":"x"`): true} {
		list, err := Read(files("order@1.0.0.avsc", text), "d")
		if err != nil {
			t.Fatal(err)
		}
		if f := compare(k, list[0]); f.Bad() != bad || (f.As != nil) == bad {
			t.Errorf("%s: %+v", text, f)
		}
	}
}

// TestPlaceOfFormats: in every language a break is shown in the folder's file.
func TestPlaceOfFormats(t *testing.T) {
	for _, tt := range []struct {
		file    string
		format  contract.Format
		was, is string
		want    int
	}{
		{"shop/order.avsc", contract.Avro, record(fieldID, ""), record("\n"+fieldID+",\n"+fieldTotal, ""), 3},
		{"shop/order.json", contract.JSON, `{"type": "object"}`, "{\"type\": \"object\",\n\"required\": [\"id\"]}", 1},
		{"shop/order.proto", contract.Protobuf, "syntax = \"proto3\";\nmessage Order { string id = 1; }", "syntax = \"proto3\";\nmessage Order {\n  int64 id = 1; }", 3},
	} {
		was, err := contract.Parse(contract.Source{Format: tt.format, File: "shop/order@1.0.0", Text: tt.was})
		if err != nil {
			t.Fatal(err)
		}
		list, err := Read(files(tt.file, tt.is), "d")
		if err != nil {
			t.Fatal(err)
		}
		f := compare(&Known{Name: "shop/order", Format: tt.format, Level: contract.Backward, Versions: []Version{{Number: 1, Semver: "1.0.0", Text: tt.was, Schema: was}}}, list[0])
		if len(f.Breaks) == 0 {
			t.Errorf("%s: nothing breaks", tt.file)
			continue
		}
		if at := f.PlaceOf(f.Breaks[0]); at.File != tt.file || at.Line != tt.want {
			t.Errorf("%s: the break is at %s, want line %d", tt.file, at, tt.want)
		}
	}
}
