package codec

import (
	"net/url"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// Params are the parameters of a query or ec2query request, sorted by name.
type Params []param

type param struct{ name, value string }

// maxParams bounds the parameters of one request.
const maxParams = 100_000

// ParseParams reads a form, of a body or of a URL's query.
func ParseParams(form string) (Params, error) {
	if strings.Count(form, "&") >= maxParams {
		return nil, broken("The request has more than %d parameters", maxParams)
	}
	ps := make(Params, 0, 16)
	for form != "" {
		var pair string
		pair, form, _ = strings.Cut(form, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, broken("Parameter '%s' is not valid URL encoding", clip(pair))
		}
		ps = append(ps, param{name, value})
	}
	sort.SliceStable(ps, func(i, j int) bool { return ps[i].name < ps[j].name })
	return ps, nil
}

// Get returns the value of a parameter, "" where it is absent.
func (ps Params) Get(name string) string {
	i := sort.Search(len(ps), func(i int) bool { return ps[i].name >= name })
	if i < len(ps) && ps[i].name == name {
		return ps[i].value
	}
	return ""
}

// Has reports whether there is a parameter of that name.
func (ps Params) Has(name string) bool {
	i := sort.Search(len(ps), func(i int) bool { return ps[i].name >= name })
	return i < len(ps) && ps[i].name == name
}

// Names are the parameters' names, sorted.
func (ps Params) Names() []string {
	names := make([]string, len(ps))
	for i := range ps {
		names[i] = ps[i].name
	}
	return names
}

// Default returns the parameters with one more, unless it is there.
func (ps Params) Default(name, value string) Params {
	if ps.Has(name) {
		return ps
	}
	i := sort.Search(len(ps), func(i int) bool { return ps[i].name >= name })
	return slices.Insert(ps, i, param{name, value})
}

// DecodeQuery fills v, a settable value of p's type, from parameters; ec2
// selects the ec2query protocol's names.
func (p *Plan) DecodeQuery(ps Params, ec2 bool, v reflect.Value, seen *Seen) error {
	d := queryDecoder{ps: ps, ec2: ec2}
	return d.members(p.root, v, seen, span{0, len(ps), 0})
}

type queryDecoder struct {
	budget
	ps    Params
	ec2   bool
	depth int
}

// span is a run of parameters with a common prefix of off bytes.
type span struct{ lo, hi, off int }

// each calls f for every run below s with the same next name, with the run's
// own value, if it has one, and what lies below it.
func (d *queryDecoder) each(s span, f func(name string, value *string, below span) error) error {
	for i := s.lo; i < s.hi; {
		name, _, _ := strings.Cut(d.ps[i].name[s.off:], ".")
		off := s.off + len(name)
		below := span{lo: i, off: off + 1}
		var value *string
		for ; i < s.hi; i++ {
			full := d.ps[i].name
			if !strings.HasPrefix(full[s.off:], name) || len(full) > off && full[off] != '.' {
				break
			}
			if len(full) == off {
				value, below.lo = &d.ps[i].value, i+1
			}
		}
		below.hi = i
		if err := f(name, value, below); err != nil {
			return err
		}
	}
	return nil
}

func (d *queryDecoder) find(n *node, name string) (int, bool) {
	if !d.ec2 {
		i, ok := n.byWire[name]
		return i, ok
	}
	i, ok := n.byEC2[name]
	return i, ok
}

func (d *queryDecoder) members(n *node, v reflect.Value, seen *Seen, s span) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	defer func() { d.depth-- }()
	return d.each(s, func(name string, value *string, below span) error {
		i, known := d.find(n, name)
		if !known || n.fields[i].index < 0 {
			return n.stranger(name)
		}
		f := &n.fields[i]
		flat := f.flat || d.ec2
		if value == nil && below.lo == below.hi {
			return nil
		}
		seen.mark(i)
		fv := v.Field(f.index)
		if f.ptr && !fv.IsNil() { // a second run of the same name
			return d.value(f.n, fv.Elem(), flat, value, below)
		}
		return d.value(f.n, f.settle(fv), flat, value, below)
	})
}

func (d *queryDecoder) value(n *node, v reflect.Value, flat bool, value *string, below span) error {
	switch n.kind {
	case kStruct:
		return d.members(n, v, nil, below)
	case kList:
		return d.list(n, v, flat, below)
	case kMap:
		return d.mapping(n, v, flat, below)
	case kUnion:
		return d.union(n, v, below)
	}
	if value == nil {
		return wrongType("Parameter '"+clip(d.ps[below.lo].name)+"' has parts, but a "+n.shape.Kind.String()+" was expected", n.shape.Kind.String())
	}
	err := setText(n, v, *value)
	if se, ok := err.(*SyntaxError); ok {
		return wrongType(se.Message+" (a "+n.shape.Kind.String()+" was expected)", se.Shape)
	}
	return err
}

func (d *queryDecoder) union(n *node, v reflect.Value, below span) error {
	return d.each(below, func(name string, value *string, below span) error {
		i, known := d.find(n, name)
		if !known {
			return nil
		}
		set, err := n.choose(i, v)
		if err != nil {
			return err
		}
		f := &n.fields[i]
		return d.value(f.n, f.settle(set), f.flat || d.ec2, value, below)
	})
}

// numbered is an element of a list: its number and what it holds.
type numbered struct {
	number int
	value  *string
	below  span
}

// elements returns a list's elements in the order of their numbers.
func (d *queryDecoder) elements(s span) ([]numbered, error) {
	var items []numbered
	err := d.each(s, func(name string, value *string, below span) error {
		number := 0
		for _, c := range []byte(name) {
			if c < '0' || c > '9' || number > 1e6 {
				return broken("Parameter '%s' has no number where a list's elements are numbered from 1", clip(d.ps[s.lo].name))
			}
			number = number*10 + int(c-'0')
		}
		items = append(items, numbered{number, value, below})
		return nil
	})
	sort.SliceStable(items, func(i, j int) bool { return items[i].number < items[j].number })
	return items, err
}

// unwrap steps over a list's or map's wrapping name: "member", "entry".
func (d *queryDecoder) unwrap(s span, name string) span {
	inner := span{off: s.off + len(name) + 1}
	d.each(s, func(n string, _ *string, below span) error {
		if n == name {
			inner = below
		}
		return nil
	})
	return inner
}

func (d *queryDecoder) list(n *node, v reflect.Value, flat bool, s span) error {
	if v.IsNil() {
		v.Set(reflect.MakeSlice(n.typ, 0, 0))
	}
	if !flat {
		s = d.unwrap(s, n.elemName())
	}
	items, err := d.elements(s)
	if err != nil {
		return err
	}
	last := -1
	var slot reflect.Value
	for _, it := range items {
		if it.number != last {
			if err := d.spend(n.elem.n.size); err != nil {
				return err
			}
			slot = n.elem.settle(grow(v))
		}
		last = it.number
		if err := d.value(n.elem.n, slot, d.ec2, it.value, it.below); err != nil {
			return err
		}
	}
	return nil
}

func (d *queryDecoder) mapping(n *node, v reflect.Value, flat bool, s span) error {
	if v.IsNil() {
		v.Set(reflect.MakeMap(n.typ))
	}
	if !flat {
		s = d.unwrap(s, "entry")
	}
	items, err := d.elements(s)
	if err != nil {
		return err
	}
	keyName, valueName := n.mapNames()
	for _, it := range items {
		if err := d.spend(n.elem.n.size + 16); err != nil {
			return err
		}
		key, item := reflect.New(n.typ.Key()).Elem(), reflect.New(n.typ.Elem()).Elem()
		slot := n.elem.settle(item)
		err := d.each(it.below, func(name string, value *string, below span) error {
			switch name {
			case keyName:
				return d.value(n.key.n, key, false, value, below)
			case valueName:
				return d.value(n.elem.n, slot, d.ec2, value, below)
			}
			return nil
		})
		if err != nil {
			return err
		}
		v.SetMapIndex(key, item)
	}
	return nil
}
