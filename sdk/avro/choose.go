package avro

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	twmb "github.com/twmb/avro"
)

// unclear is a value of a union that is not written, since it may be of another
// type than meant.
type unclear struct{ path, detail string }

func (u *unclear) under(step string) *unclear {
	u.path = step + u.path
	return u
}

// ofUnion finds the type of a union's value.
func (r *route) ofUnion(v reflect.Value, depth int) (out reflect.Value, bad *unclear) {
	in := v
	for in.Kind() == reflect.Pointer || in.Kind() == reflect.Interface {
		if depth++; in.IsNil() || depth > 10*maxDepth {
			return out, nil
		}
		in = in.Elem()
	}
	if (in.Kind() == reflect.Slice || in.Kind() == reflect.Map) && in.IsNil() && r.called("null") != nil {
		return out, nil // the library writes null
	}
	b, inner, bad := r.said(in)
	said := b != nil
	if !said && bad == nil {
		inner = v // pointers may have methods
		b, bad = r.find(v, in)
	}
	if b == nil || bad != nil {
		return out, bad
	}
	with, bad := b.below.chosen(inner, depth+1)
	switch {
	case bad != nil:
		return out, bad
	case !with.IsValid() && (said || r.schema == nil):
		return out, nil
	case r.schema == nil && !said: // of one type alone: it needs no name
		return with, nil
	case !with.IsValid():
		if r.writes(v) == b {
			return out, nil
		}
		with = inner
	case !said && r.writes(with) == b: // its place may have no room for a name
		return with, nil
	}
	return reflect.ValueOf(map[string]any{b.name: with.Interface()}), nil
}

// said is the type that a value names, and the value of it.
func (r *route) said(v reflect.Value) (b *branch, inner reflect.Value, bad *unclear) {
	if v.Kind() != reflect.Map || v.Type().Key().Kind() != reflect.String || v.Len() != 1 {
		return nil, v, nil
	}
	it := v.MapRange()
	it.Next()
	if b = r.called(it.Key().String()); b == nil {
		return nil, v, nil
	}
	if r.schema != nil {
		if err := b.fits(it.Value()); err != nil {
			if r.whole(v) {
				return nil, v, nil
			}
			return nil, v, &unclear{detail: fmt.Sprintf("it is said to be %s, which it does not fit: %s", b.name, short(err))}
		}
	}
	return b, it.Value(), nil
}

// whole reports whether a map fits a type as it is, with a key that is only called
// like a type.
func (r *route) whole(v reflect.Value) bool {
	fit, _ := fitting(r.all(), v, v)
	return len(fit) > 0
}

func (r *route) all() (list []*branch) {
	for i := range r.branches {
		list = append(list, &r.branches[i])
	}
	return list
}

// find is the type of a value that names none: the one that its Go type is called
// as, else the only one that it fits, else the one whose values are of its Go type.
// nil: the library may take or refuse it. v may be behind pointers in at.
func (r *route) find(at, v reflect.Value) (*branch, *unclear) {
	if r.schema == nil {
		return r.only(v), nil
	}
	kinds := kindsOf(v)
	if v.Type().PkgPath() == "" && len(kinds) > 0 {
		if b := r.called(kinds[0]); b != nil && b.node.LogicalType == "" {
			return b, nil
		}
	}
	list := r.namesakes(v)
	same := list
	if len(same) == 0 {
		list = r.all()
	}
	fit, loose := fitting(list, at, v)
	if len(same) > 0 && len(fit) == 0 {
		return nil, &unclear{detail: fmt.Sprintf("a %s does not fit %s, after which it is called: %s. If it is of another type, map[string]any{%q: v} says which",
			v.Type(), same[0].name, short(same[0].fits(at)), r.other(same[0]))}
	}
	switch {
	case len(fit) == 0 && loose:
		return nil, &unclear{detail: fmt.Sprintf("it has keys that are no fields of %s: map[string]any{%q: v} says which type it is", r.names(nil), r.last())}
	case len(fit) == 0:
		return nil, nil
	case len(fit) == 1:
		return fit[0], nil
	}
	logical := func(b *branch) bool { return b.node.LogicalType != "" }
	if b := only(fit, logical); b != nil && enriched[v.Type()] {
		return b, nil
	}
	if !enriched[v.Type()] || v.Type() == numberType || !slices.ContainsFunc(fit, logical) {
		for _, k := range kinds {
			if b := only(fit, func(b *branch) bool { return b.node.Type == k }); b != nil {
				return b, nil
			}
		}
	}
	return nil, &unclear{detail: fmt.Sprintf("a %s fits %s: map[string]any{%q: v} says which it is", v.Type(), r.names(fit), fit[len(fit)-1].name)}
}

// only is the one branch of a union without doubt that a value with something
// below may be of.
func (r *route) only(v reflect.Value) *branch {
	want := map[reflect.Kind][]string{reflect.Struct: {"record", "error"}, reflect.Map: {"record", "error", "map"}, reflect.Slice: {"array"}, reflect.Array: {"array"}}[v.Kind()]
	for i := range r.branches {
		if slices.Contains(want, r.branches[i].node.Type) {
			return &r.branches[i]
		}
	}
	return nil
}

func only(list []*branch, is func(*branch) bool) (found *branch) {
	for _, b := range list {
		if is(b) {
			if found != nil {
				return nil
			}
			found = b
		}
	}
	return found
}

// fitting lists the types that a value fits; loose: a map fits some only if keys
// that are no fields are left out.
func fitting(of []*branch, at, v reflect.Value) (list []*branch, loose bool) {
	for _, b := range of {
		if b.node.Type == "null" || b.fits(at) != nil {
			continue
		}
		if v.Kind() == reflect.Map && b.fields != nil && slices.ContainsFunc(v.MapKeys(), func(k reflect.Value) bool { return !slices.Contains(b.fields, k.String()) }) {
			loose = true
			continue
		}
		list = append(list, b)
	}
	return list, loose
}

func (b *branch) fits(v reflect.Value) error {
	_, err := b.schema.AppendEncode(nil, v.Interface())
	return err
}

// writes is the type as which the library would write a value.
func (r *route) writes(v reflect.Value) *branch {
	out, err := r.schema.AppendEncode(nil, v.Interface())
	if i, n := binary.Varint(out); err == nil && n > 0 && int(i) < len(r.branches) {
		return &r.branches[i]
	}
	return nil
}

// namesakes are the named types that are called as the value's Go type.
func (r *route) namesakes(v reflect.Value) (list []*branch) {
	if v.Type().PkgPath() == "" {
		return nil
	}
	name, _, _ := strings.Cut(v.Type().Name(), "[")
	for i := range r.branches {
		if b := &r.branches[i]; slices.ContainsFunc(b.called, func(s string) bool { return strings.EqualFold(s, name) }) {
			list = append(list, b)
		}
	}
	return list
}

// names are those of some types, or of all but null.
func (r *route) names(list []*branch) string {
	var names []string
	for i := range r.branches {
		if b := &r.branches[i]; b.name != "null" && (list == nil || slices.Contains(list, b)) {
			names = append(names, b.name)
		}
	}
	return strings.Join(names, " and ")
}

func (r *route) last() string { return r.other(nil) }

// other is the name of another type than b, and null.
func (r *route) other(b *branch) (name string) {
	for i := range r.branches {
		if r.branches[i].name != "null" && &r.branches[i] != b {
			name = r.branches[i].name
		}
	}
	return name
}

var numberType = reflect.TypeFor[json.Number]()

// enriched are Go's types of logical types, and numbers of any kind.
var enriched = map[reflect.Type]bool{
	reflect.TypeFor[time.Time](): true, reflect.TypeFor[time.Duration](): true, reflect.TypeFor[big.Rat](): true,
	reflect.TypeFor[twmb.Duration](): true, numberType: true,
}

// kindsOf are the kinds that values of a Go type are of, the nearest first; none
// where its name alone can tell.
func kindsOf(v reflect.Value) []string {
	named := v.Type().PkgPath() != ""
	switch v.Kind() {
	case reflect.Bool:
		return []string{"boolean"}
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16:
		return []string{"int", "long", "double", "float"}
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		if v.CanUint() && v.Uint() > math.MaxInt64 {
			return []string{"double", "float"}
		}
		return []string{"long", "int", "double", "float"}
	case reflect.Float32:
		return []string{"float", "double"}
	case reflect.Float64:
		return []string{"double", "float"}
	case reflect.String:
		if v.Type() == numberType {
			return []string{"long", "int", "double", "float"}
		}
		if !named {
			return []string{"string"}
		}
	case reflect.Slice: // of any length, and so never meant as fixed
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return []string{"bytes"}
		}
	case reflect.Array:
		if !named {
			return []string{"fixed", "bytes"}
		}
	}
	return nil
}

func short(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(err.Error(), "avro: ")
}
