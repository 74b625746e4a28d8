package folder

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract"
)

// TestEmptyRegistry compares a folder with a registry that has nothing of it:
// released versions come first, in order, and have to become what they are.
func TestEmptyRegistry(t *testing.T) {
	one, two, ten := record(fieldID, ""), record(fieldID+","+fieldNote, ""), record(fieldID+`,{"name":"x","type":"int","default":0}`, "")
	for _, tt := range []struct {
		name  string
		files []string
		want  string
	}{
		{"one that is worked at", []string{"order.avsc", one}, "order.avsc=1.0.0"},
		{"a release", []string{"order@1.0.0.avsc", one}, "order@1.0.0.avsc=1.0.0"},
		{"all", []string{"order.avsc", record(fieldNote, ""), "order@1.0.0.avsc", one, "order@1.1.0.avsc", two}, "order@1.0.0.avsc=1.0.0 order@1.1.0.avsc=1.1.0 order.avsc=2.0.0"},
		{"the last release is worked at", []string{"order.avsc", two, "order@1.0.0.avsc", one, "order@1.1.0.avsc", two}, "order@1.0.0.avsc=1.0.0 order@1.1.0.avsc=1.1.0 order.avsc=1.1.0"},
		{"declared", []string{"order@1.2.0.avsc", record(fieldID, `,"semver":"1.2.0"`), "order@1.10.0.avsc", record(fieldID+","+fieldNote, `,"semver":"1.10.0"`)}, "order@1.2.0.avsc=1.2.0 order@1.10.0.avsc=1.10.0"},
		{"a gap", []string{"order.avsc", ten, "order@1.1.0.avsc", two}, "order@1.1.0.avsc=1.0.0! order.avsc=1.1.0"},
	} {
		files, err := Read(files(tt.files...), "d")
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*Known{nil, {Name: "d/order", Format: contract.Avro, Level: contract.Full}} {
			var got []string
			for _, f := range compareAll(k, files) {
				mark := ""
				if f.Bad() {
					mark = "!"
					if !strings.Contains(f.Problem, "this registry has no version of it yet, and would make it 1.0.0") {
						t.Errorf("%s: %s", tt.name, f.Problem)
					}
				}
				if f.As != nil {
					t.Errorf("%s: %s is registered", tt.name, f.Path)
				}
				got = append(got, fmt.Sprintf("%s=%s%s", f.Path, f.Next, mark))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
			}
		}
	}
}

// TestDisabledRegistry takes nothing, though it has no version.
func TestDisabledRegistry(t *testing.T) {
	files, err := Read(files("order.avsc", `"int"`, "order@1.0.0.avsc", `"int"`), "d")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range compareAll(&Known{Name: "d/order", Format: contract.Avro, Level: contract.Disabled}, files) {
		if !f.Bad() {
			t.Errorf("%s is taken", f.Path)
		}
	}
}
