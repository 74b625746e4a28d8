package registry

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/contract"
)

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		format     contract.Format
		a, b, want string
	}{
		{contract.Avro, avro("id"), avro("id"), `[]`},
		{contract.Avro, avro("id"), avro("id note?"), `[{"op":"add","path":"/fields/1","value":{"default":0,"name":"note","type":"int"}}]`},
		{contract.Avro, avro("a id"), avro("id a?"), `[{"op":"remove","path":"/fields/0"},{"op":"add","path":"/fields/1","value":{"default":0,"name":"a","type":"int"}}]`},
		{contract.JSON, `{"a/b": 1, "c~": null}`, `{"a/b": 1.0, "d": null}`, `[{"op":"replace","path":"/a~1b","value":1.0},{"op":"remove","path":"/c~0"},{"op":"add","path":"/d","value":null}]`},
		{contract.JSON, `true`, `{}`, `[{"op":"replace","path":"","value":{}}]`},
		{contract.Protobuf, "a\nb\nc\n", "a\nc\nd\n", " a\n-b\n c\n+d\n"},
	} {
		got, err := Diff(Version{Format: c.format, Packed: pack(c.a)}, Version{Format: c.format, Packed: pack(c.b)})
		if err != nil || got != c.want {
			t.Errorf("%s → %s:\n%s\nwant %s (%v)", c.a, c.b, got, c.want, err)
		}
	}
}

func drawJSON(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	if depth == 0 {
		kind %= 3
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return json.Number(strconv.Itoa(rapid.IntRange(0, 3).Draw(t, "number")))
	case 2:
		return rapid.SampledFrom([]string{"int", "long", "/", "~"}).Draw(t, "text")
	case 3:
		list := []any{}
		for range rapid.IntRange(0, 5).Draw(t, "length") {
			list = append(list, drawJSON(t, depth-1))
		}
		return list
	}
	object := map[string]any{}
	for range rapid.IntRange(0, 4).Draw(t, "size") {
		object[rapid.SampledFrom([]string{"name", "type", "a/b", "~", ""}).Draw(t, "key")] = drawJSON(t, depth-1)
	}
	return object
}

// What a patch says leads from the one to the other.
func TestPatchLeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawJSON(t, 4), drawJSON(t, 4)
		text, err := json.Marshal(patch([]op{}, "", x, y))
		if err != nil {
			t.Fatal(err)
		}
		got, err := apply(x, text)
		if err != nil || !reflect.DeepEqual(got, y) {
			t.Fatalf("%v with %s is %v, want %v (%v)", x, text, got, y, err)
		}
	})
}

// apply carries a patch out, as RFC 6902 has it.
func apply(doc any, text []byte) (any, error) {
	v, err := tree(string(text))
	if err != nil {
		return nil, err
	}
	for _, o := range v.([]any) {
		o := o.(map[string]any)
		path := strings.Split(o["path"].(string), "/")[1:]
		for i := range path {
			path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(path[i])
		}
		if doc, err = one(doc, o["op"].(string), path, o["value"]); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

func one(doc any, op string, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	last := len(path) == 1
	switch d := doc.(type) {
	case map[string]any:
		d = copyOf(d)
		child, there := d[path[0]]
		switch {
		case last && op == "remove" && there:
			delete(d, path[0])
			return d, nil
		case last && (op == "add" || there):
			d[path[0]] = value
			return d, nil
		}
		var err error
		d[path[0]], err = one(child, op, path[1:], value)
		return d, err
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i > len(d) || i == len(d) && op != "add" {
			return nil, fmt.Errorf("no element %s", path[0])
		}
		d = slices.Clone(d)
		switch {
		case last && op == "remove":
			return slices.Delete(d, i, i+1), nil
		case last && op == "add":
			return slices.Insert(d, i, value), nil
		}
		d[i], err = one(d[i], op, path[1:], value)
		return d, err
	}
	return nil, fmt.Errorf("no %v in %v", path, doc)
}

func copyOf(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}
