package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/contract"
)

// op is an operation of a JSON Patch (RFC 6902): add, remove or replace.
type op struct {
	op, path string
	value    any // none to remove; else null is one
}

func (o op) MarshalJSON() ([]byte, error) {
	if o.op == "remove" {
		return json.Marshal(map[string]string{"op": o.op, "path": o.path})
	}
	return json.Marshal(struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}{o.op, o.path, o.value})
}

// Diff is what leads from one definition to another: a JSON Patch, or lines
// with - and + where definitions are Protobuf.
func Diff(a, b Version) (string, error) {
	if a.Format == contract.Protobuf {
		return lines(a.Text(), b.Text()), nil
	}
	x, err := tree(a.Text())
	if err != nil {
		return "", fmt.Errorf("version %d of %s: %w", a.Number, a.Name, err)
	}
	y, err := tree(b.Text())
	if err != nil {
		return "", fmt.Errorf("version %d of %s: %w", b.Number, b.Name, err)
	}
	ops := patch([]op{}, "", x, y)
	text, err := json.Marshal(ops)
	return string(text), err
}

// tree reads JSON, numbers as they are written.
func tree(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// pointer escapes a member's name for a path (RFC 6901).
var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// patch appends to ops what leads from x to y at path.
func patch(ops []op, path string, x, y any) []op {
	if reflect.DeepEqual(x, y) {
		return ops
	}
	if x, ok := x.(map[string]any); ok {
		if y, ok := y.(map[string]any); ok {
			return patchObject(ops, path, x, y)
		}
	}
	if x, ok := x.([]any); ok {
		if y, ok := y.([]any); ok {
			return patchArray(ops, path, x, y)
		}
	}
	return append(ops, op{"replace", path, y})
}

func patchObject(ops []op, path string, x, y map[string]any) []op {
	for _, k := range slices.Sorted(maps.Keys(x)) {
		at := path + "/" + pointer.Replace(k)
		if v, ok := y[k]; ok {
			ops = patch(ops, at, x[k], v)
		} else {
			ops = append(ops, op{"remove", at, nil})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(y)) {
		if _, ok := x[k]; !ok {
			ops = append(ops, op{"add", path + "/" + pointer.Replace(k), y[k]})
		}
	}
	return ops
}

// patchArray walks along the longest sequence that both have: elements that are
// the same, or are named the same and then differ within.
func patchArray(ops []op, path string, x, y []any) []op {
	i := 0 // in the array as the operations before have left it
	for _, s := range align(x, y, like) {
		at := fmt.Sprintf("%s/%d", path, i)
		switch {
		case s.x < 0:
			ops = append(ops, op{"add", at, y[s.y]})
			i++
		case s.y < 0:
			ops = append(ops, op{"remove", at, nil})
		default:
			ops = patch(ops, at, x[s.x], y[s.y])
			i++
		}
	}
	return ops
}

// like reports whether two elements are one thing.
func like(x, y any) bool {
	if x, ok := x.(map[string]any); ok {
		if y, ok := y.(map[string]any); ok && x["name"] != nil {
			return reflect.DeepEqual(x["name"], y["name"])
		}
	}
	return reflect.DeepEqual(x, y)
}

// step is a pair of places of what two lists share, or one place alone; -1 is
// none.
type step struct{ x, y int }

// maxAlign bounds the table that align fills.
const maxAlign = 4 << 20

// align lines up two lists by their longest common subsequence; too long ones
// by their common beginning and end.
func align[T any](x, y []T, same func(a, b T) bool) (steps []step) {
	head := 0
	for head < len(x) && head < len(y) && same(x[head], y[head]) {
		steps = append(steps, step{head, head})
		head++
	}
	tail := 0
	for tail < len(x)-head && tail < len(y)-head && same(x[len(x)-1-tail], y[len(y)-1-tail]) {
		tail++
	}
	nx, ny := len(x)-head-tail, len(y)-head-tail
	steps = append(steps, between(x[head:head+nx], y[head:head+ny], head, same)...)
	for i := range tail {
		steps = append(steps, step{len(x) - tail + i, len(y) - tail + i})
	}
	return steps
}

// between aligns what lies between beginning and end; off is where it begins.
func between[T any](x, y []T, off int, same func(a, b T) bool) (steps []step) {
	if len(x)*len(y) > maxAlign {
		for i := range x {
			steps = append(steps, step{off + i, -1})
		}
		for j := range y {
			steps = append(steps, step{-1, off + j})
		}
		return steps
	}
	w := len(y) + 1
	common := make([]int32, (len(x)+1)*w) // lengths of what the ends from i and j on share
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if same(x[i], y[j]) {
				common[i*w+j] = common[(i+1)*w+j+1] + 1
			} else {
				common[i*w+j] = max(common[(i+1)*w+j], common[i*w+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && same(x[i], y[j]):
			steps, i, j = append(steps, step{off + i, off + j}), i+1, j+1
		case j == len(y) || i < len(x) && common[(i+1)*w+j] >= common[i*w+j+1]:
			steps, i = append(steps, step{off + i, -1}), i+1
		default:
			steps, j = append(steps, step{-1, off + j}), j+1
		}
	}
	return steps
}

// lines is the lines of both texts, marked - and + where one alone has them.
func lines(a, b string) string {
	x, y := strings.Split(strings.TrimRight(a, "\n"), "\n"), strings.Split(strings.TrimRight(b, "\n"), "\n")
	var out strings.Builder
	for _, s := range align(x, y, func(a, b string) bool { return a == b }) {
		switch {
		case s.x < 0:
			out.WriteString("+" + y[s.y])
		case s.y < 0:
			out.WriteString("-" + x[s.x])
		default:
			out.WriteString(" " + x[s.x])
		}
		out.WriteByte('\n')
	}
	return out.String()
}
