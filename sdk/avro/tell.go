package avro

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// chosen returns a value in which values of unions name their types wherever the
// Avro library would take another one than theirs: a copy of v as far as it leads to
// them, or no value if there are none.
func (r *route) chosen(v reflect.Value, depth int) (with reflect.Value, bad *unclear) {
	if r == nil || depth > 10*maxDepth || !v.IsValid() {
		return with, nil // what nests deeper the library refuses
	}
	if r.kind == "union" {
		return r.ofUnion(v, depth)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return with, nil
		}
		if with, bad = r.chosen(v.Elem(), depth+1); bad != nil || !with.IsValid() || v.Kind() == reflect.Interface {
			return with, bad
		}
		return pointerTo(with), nil
	case reflect.Struct:
		return r.ofStruct(v, depth)
	case reflect.Map:
		return r.ofMap(v, depth)
	case reflect.Slice, reflect.Array:
		if r.kind == "array" {
			return r.ofList(v, depth)
		}
	}
	return with, nil
}

func pointerTo(v reflect.Value) reflect.Value {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p
}

// fixed says that a place has no room for a type's name.
func fixed(what string) *unclear {
	return &unclear{detail: "its type has to be named, for which the " + what + " has to be any"}
}

func (r *route) ofStruct(v reflect.Value, depth int) (out reflect.Value, bad *unclear) {
	for name, below := range r.fields {
		index := r.field(v.Type(), name)
		f, err := v.FieldByIndexErr(index)
		if index == nil || err != nil {
			continue // the library says so
		}
		with, bad := below.chosen(f, depth+1)
		if bad != nil {
			return out, bad.under("." + name)
		}
		if !with.IsValid() {
			continue
		}
		if !out.IsValid() {
			out = pointerTo(v).Elem()
		}
		if !setField(out, index, with) {
			return out, fixed("field").under("." + name)
		}
	}
	return out, nil
}

// setField sets a field of a copy, and copies structs that are embedded by pointers
// on the way.
func setField(v reflect.Value, index []int, with reflect.Value) bool {
	for _, i := range index[:len(index)-1] {
		if v = v.Field(i); v.Kind() == reflect.Pointer {
			if !v.CanSet() {
				return false
			}
			v.Set(pointerTo(v.Elem()))
			v = v.Elem()
		}
	}
	f := v.Field(index[len(index)-1])
	if !f.CanSet() || !with.Type().AssignableTo(f.Type()) {
		return false
	}
	f.Set(with)
	return true
}

// ofMap is of a map, and of a record that is one in Go.
func (r *route) ofMap(v reflect.Value, depth int) (out reflect.Value, bad *unclear) {
	if v.Type().Key().Kind() != reflect.String {
		return out, nil
	}
	for it := v.MapRange(); it.Next(); {
		key := it.Key().String()
		below, step := r.items, "["+strconv.Quote(key)+"]"
		if r.kind != "map" {
			below, step = r.fields[key], "."+key
		}
		with, bad := below.chosen(it.Value(), depth+1)
		if bad != nil {
			return out, bad.under(step)
		}
		if !with.IsValid() {
			continue
		}
		if !with.Type().AssignableTo(v.Type().Elem()) {
			return out, fixed("map's values").under(step)
		}
		if !out.IsValid() {
			out = reflect.MakeMapWithSize(v.Type(), v.Len())
			for all := v.MapRange(); all.Next(); {
				out.SetMapIndex(all.Key(), all.Value())
			}
		}
		out.SetMapIndex(it.Key(), with)
	}
	return out, nil
}

func (r *route) ofList(v reflect.Value, depth int) (out reflect.Value, bad *unclear) {
	for i := range v.Len() {
		step := "[" + strconv.Itoa(i) + "]"
		with, bad := r.items.chosen(v.Index(i), depth+1)
		if bad != nil {
			return out, bad.under(step)
		}
		if !with.IsValid() {
			continue
		}
		if !with.Type().AssignableTo(v.Type().Elem()) {
			return out, fixed("list's items").under(step)
		}
		if !out.IsValid() {
			out = reflect.New(v.Type()).Elem()
			if v.Kind() == reflect.Slice {
				out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			}
			reflect.Copy(out, v)
		}
		out.Index(i).Set(with)
	}
	return out, nil
}

// field is fieldOf, once for each type and name.
func (r *route) field(t reflect.Type, name string) []int {
	type key struct {
		t    reflect.Type
		name string
	}
	if known, ok := r.index.Load(key{t, name}); ok {
		return known.([]int)
	}
	index := fieldOf(t, name)
	r.index.Store(key{t, name}, index)
	return index
}

// fieldOf is the index of the struct's field that has a field of a record, by the
// Avro library's rules: fields that are embedded or inline count as the struct's
// own, those higher up and those with tags come first. nil: none.
func fieldOf(t reflect.Type, name string) (best []int) {
	tagged := false
	for _, f := range reflect.VisibleFields(t) {
		tag, opts, _ := strings.Cut(f.Tag.Get("avro"), ",")
		if slices.Contains(strings.Split(opts, ","), "inline") {
			in := f.Type
			if in.Kind() == reflect.Pointer {
				in = in.Elem()
			}
			if in.Kind() == reflect.Struct {
				if below := fieldOf(in, name); below != nil && best == nil {
					best = append(slices.Clone(f.Index), below...)
				}
				continue
			}
		}
		if !f.IsExported() || tag == "-" || tag != name && (tag != "" || f.Name != name) {
			continue
		}
		if best == nil || len(f.Index) < len(best) || tag != "" && !tagged && len(f.Index) == len(best) {
			best, tagged = f.Index, tag != ""
		}
	}
	return best
}
