package avro

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dhowhq/dhow/contract/verdict"
)

// problem writes a problem on one line.
func problem(p verdict.Problem) string {
	return fmt.Sprintf("%s %s [%s < %s] %s", p.Kind, p.Path, p.Reader, p.Writer, p.Detail)
}

func TestCanRead(t *testing.T) {
	wrap := func(typ string) string { return record(`{"name":"x","type":` + typ + `}`) }
	decimal := func(p, s int) string {
		return fmt.Sprintf(`{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, p, s)
	}
	for _, c := range []struct {
		name, reader, writer string
		want                 []string
	}{
		{"same", wrap(`"int"`), wrap(`"int"`), nil},
		{"promotion", wrap(`["null","double"]`), wrap(`"int"`), nil},
		{"no promotion", wrap(`"int"`), wrap(`"long"`), []string{"TYPE R.x [r:2 < w:2] long cannot be read as int"}},
		{"bytes and strings", wrap(`"bytes"`), wrap(`"string"`), nil},
		{"strings of bytes", wrap(`"string"`), wrap(`"bytes"`), nil},
		{"field by alias", record(`{"name":"y","aliases":["x"],"type":"long"}`), wrap(`"int"`), nil},
		{"alias of the writer", wrap(`"int"`), record(`{"name":"y","aliases":["x"],"type":"int"}`),
			[]string{"NO_DEFAULT R.x [r:2 < ] the writer's record R has no field x, and the reader has no default for it"}},
		{"default", record(`{"name":"y","type":"int","default":1}`), wrap(`"int"`), nil},
		{"two for one", record(`{"name":"x","aliases":["y"],"type":"int"}`), record("{\"name\":\"x\",\"type\":\"int\"},\n{\"name\":\"y\",\"type\":\"int\"}"),
			[]string{"NAME R.x [r:2 < w:3] the writer's fields x and y are both read as field x, one of them by an alias"}},
		{"all of them", record("{\"name\":\"x\",\"type\":\"int\"},\n{\"name\":\"y\",\"type\":\"int\"},\n{\"name\":\"z\",\"type\":\"int\"}"), record("{\"name\":\"y\",\"type\":\"null\"},\n{\"name\":\"x\",\"type\":\"string\"}"), []string{
			"TYPE R.x [r:2 < w:3] string cannot be read as int",
			"TYPE R.y [r:3 < w:2] null cannot be read as int",
			"NO_DEFAULT R.z [r:4 < ] the writer's record R has no field z, and the reader has no default for it"}},
		{"names without namespaces", `{"type":"fixed","name":"a.F","size":1}`, `{"type":"fixed","name":"b.F","size":1}`, nil},
		{"names", `{"type":"fixed","name":"a.F","size":1}`, `{"type":"fixed","name":"a.G","size":1}`,
			[]string{"NAME F [r:1 < w:1] fixed a.G cannot be read as fixed a.F: the names differ, and no alias joins them"}},
		{"type alias", `{"type":"fixed","name":"a.F","aliases":["G"],"size":1}`, `{"type":"fixed","name":"a.G","size":1}`, nil},
		{"alias of another namespace", `{"type":"fixed","name":"a.F","aliases":["G"],"size":1}`, `{"type":"fixed","name":"b.G","size":1}`,
			[]string{"NAME F [r:1 < w:1] fixed b.G cannot be read as fixed a.F: the names differ, and no alias joins them"}},
		{"sizes", `{"type":"fixed","name":"F","size":1}`, `{"type":"fixed","name":"F","size":2}`, []string{"SIZE F [r:1 < w:1] fixed F has 2 bytes and cannot be read as 1 bytes"}},
		{"symbols", wrap(`{"type":"enum","name":"E","symbols":["A"]}`), wrap("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\n\"B\",\n\"C\"]}"), []string{
			"SYMBOL R.x [r:2 < w:3] symbol B is not in the reader's enum E, which has no default",
			"SYMBOL R.x [r:2 < w:4] symbol C is not in the reader's enum E, which has no default"}},
		{"symbols with default", wrap(`{"type":"enum","name":"E","symbols":["A"],"default":"A"}`), wrap(`{"type":"enum","name":"E","symbols":["B"]}`), nil},
		{"branches", wrap(`["null","long"]`), wrap(`["int","string",{"type":"array","items":"int"}]`), []string{
			"BRANCH R.x [r:2 < w:2] string, which the writer may send, cannot be read as union [null, long]",
			"BRANCH R.x [r:2 < w:2] array, which the writer may send, cannot be read as union [null, long]"}},
		{"out of a union", wrap(`"string"`), wrap(`["null","string"]`), []string{"BRANCH R.x [r:2 < w:2] null, which the writer may send, cannot be read as string"}},
		{"into a union", wrap(`["null","int"]`), wrap(`"string"`), []string{"BRANCH R.x [r:2 < w:2] string, which the writer may send, cannot be read as union [null, int]"}},
		{"full names first", `[{"type":"record","name":"b.X","fields":[{"name":"q","type":"int"}]},{"type":"record","name":"a.X","fields":[]}]`, `{"type":"record","name":"a.X","fields":[]}`, nil},
		{"decimals", wrap(decimal(4, 2)), wrap(decimal(5, 2)), []string{"LOGICAL R.x [r:2 < w:2] decimal(5,2) cannot be read as decimal(4,2): precision and scale have to be the same"}},
		{"decimal and bytes", wrap(decimal(4, 2)), wrap(`"bytes"`), nil},
		{"broken decimals", wrap(decimal(4, 2)), wrap(decimal(4, 5)), nil},
		{"other logical types", wrap(`{"type":"long","logicalType":"timestamp-millis"}`), wrap(`{"type":"long","logicalType":"timestamp-micros"}`), nil},
		{"items", wrap(`{"type":"array","items":{"type":"map","values":"int"}}`), wrap(`{"type":"array","items":{"type":"map","values":"long"}}`), []string{"TYPE R.x[]{} [r:2 < w:2] long cannot be read as int"}},
		{"recursion", record(`{"name":"next","type":["null","R"]},{"name":"v","type":"int"}`), record(`{"name":"next","type":["null","R"]},{"name":"v","type":"string"}`), []string{"TYPE R.v [r:2 < w:2] string cannot be read as int"}},
		{"root", `{"type":"array","items":"int"}`, `{"type":"array","items":"string"}`, []string{"TYPE [] [r:1 < w:1] string cannot be read as int"}},
	} {
		reader, err := Parse(Source{File: "r", Text: c.reader})
		if err != nil {
			t.Fatal(c.name, err)
		}
		writer, err := Parse(Source{File: "w", Text: c.writer})
		if err != nil {
			t.Fatal(c.name, err)
		}
		var got []string
		for _, p := range reader.CanRead(writer) {
			got = append(got, problem(p))
		}
		if g, w := strings.Join(got, "\n"), strings.Join(c.want, "\n"); g != w {
			t.Errorf("%s\n got %s\nwant %s", c.name, g, w)
		}
	}
}

// TestCanReadBounded compares rings of records whose lengths share no factor, so
// that every type meets every other, and enums without one common symbol.
func TestCanReadBounded(t *testing.T) {
	ring := func(n int) string {
		text := `"n0.R"`
		for i := n - 1; i >= 0; i-- {
			text = fmt.Sprintf(`{"type":"record","name":"n%d.R","fields":[{"name":"next","type":["null",%s]}]}`, i, text)
		}
		return text
	}
	symbols := func(prefix string) string {
		list := make([]string, 50000)
		for i := range list {
			list[i] = fmt.Sprintf("%q", fmt.Sprintf("%s%d", prefix, i))
		}
		return `{"type":"enum","name":"E","symbols":[` + strings.Join(list, ",") + "]}"
	}
	start := time.Now()
	if got := must(t, ring(150)).CanRead(must(t, ring(151))); len(got) != 0 {
		t.Error(got[0])
	}
	got := must(t, ring(240)).CanRead(must(t, ring(241)))
	if len(got) != 1 || got[0].Detail != "the schemas are too entangled to be compared: more than 32768 pairs of types meet" {
		t.Error(got)
	}
	if got := must(t, symbols("A")).CanRead(must(t, symbols("B"))); len(got) != maxProblems {
		t.Errorf("%d problems", len(got))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// wide is a schema of 200 fields, of which one is of a version of its own.
func wide(version int) string {
	fields := make([]string, 200)
	types := []string{`"string"`, `"long"`, `["null","string"]`, `{"type":"array","items":"int"}`, `"double"`, `"boolean"`, `["null","long"]`}
	for i := range fields {
		fields[i] = fmt.Sprintf(`{"name":"field_number_%d","type":%s}`, i, types[i%len(types)])
	}
	fields = append(fields, fmt.Sprintf(`{"name":"added_in_%d","type":["null","string"],"default":null}`, version))
	return record(strings.Join(fields, ",\n"))
}

// BenchmarkCanRead compares a schema of 200 fields with 100 versions, both ways.
func BenchmarkCanRead(b *testing.B) {
	next := must(b, wide(100))
	versions := make([]*Schema, 100)
	for i := range versions {
		versions[i] = must(b, wide(i))
	}
	b.Run("100-versions", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, v := range versions {
				if next.CanRead(v) != nil || v.CanRead(next) != nil {
					b.Fatal("incompatible")
				}
			}
		}
	})
	b.Run("parse-one", func(b *testing.B) {
		text := wide(1)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			must(b, text)
		}
	})
}
