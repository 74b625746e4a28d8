package protobuf

import (
	"slices"
	"testing"
)

// The example in the documentation of Glue's MessageIndexFinder, and a map.
func TestGlueIndexes(t *testing.T) {
	s, err := Parse(Source{File: "b.proto", Text: `syntax = "proto3";
message B { message C { map<string, string> m = 1; } message A { message D {} } }`})
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range [][]int{{0}, {0, 1}, {0, 1, 0}, {0, 0}, {0, 0, 0}} {
		if got, ok := s.GlueIndexes(uint64(number)); !ok || !slices.Equal(got, want) {
			t.Errorf("message %d is %v, %v, want %v", number, got, ok, want)
		}
	}
	if _, ok := s.GlueIndexes(5); ok {
		t.Error("there is no sixth message")
	}
}
