package codec

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Violation is a constraint of the model that a value breaks.
type Violation struct {
	Value      string // " 'V'", " null", or "" for what must not be shown
	Path       string // "targets.1.member.id"
	Constraint string // "Member must not be null"
	Missing    bool   // the member is required and absent
	Member     string // the model's name of the member
}

// Violations are the constraints that one input breaks.
type Violations []Violation

// Error is AWS's sentence, such as "1 validation error detected: Value null
// at 'cluster' failed to satisfy constraint: Member must not be null".
func (v Violations) Error() string {
	var b strings.Builder
	plural := ""
	if len(v) > 1 {
		plural = "s"
	}
	fmt.Fprintf(&b, "%d validation error%s detected: ", len(v), plural)
	for i, e := range v {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString("Value" + e.Value + " at '" + e.Path + "' failed to satisfy constraint: " + e.Constraint)
	}
	return b.String()
}

// maxViolations bounds the sentence.
const maxViolations = 50

// Validate checks v, a structure of p's type, against the model. seen says
// which top-level members the request had.
func (p *Plan) Validate(v reflect.Value, seen *Seen) Violations {
	if !p.root.checked {
		return nil
	}
	c := validator{}
	c.members(p.root, v, seen, "")
	return c.found
}

type validator struct{ found Violations }

func (c *validator) add(v Violation) {
	if len(c.found) < maxViolations {
		c.found = append(c.found, v)
	}
}

func (c *validator) members(n *node, v reflect.Value, seen *Seen, path string) {
	for i := range n.fields {
		f := &n.fields[i]
		if f.index < 0 || !f.member.Required && !f.n.checked {
			continue
		}
		fv := v.Field(f.index)
		if f.missing(fv, seen, i) {
			if f.member.Required {
				c.add(Violation{Value: " null", Path: path + f.path, Constraint: "Member must not be null", Missing: true, Member: f.name})
			}
			continue
		}
		if f.n.checked {
			c.value(f, f.n, f.deref(fv), path+f.path)
		}
	}
}

// missing reports whether a member was not in the request. Where Go's type
// cannot tell, the top level's record does, and below it a number or a flag
// counts as given.
func (f *field) missing(v reflect.Value, seen *Seen, i int) bool {
	if f.absent(v) {
		return f.ptr || f.n.kind != kString || seen == nil || !seen.Has(i)
	}
	if !f.ptr && seen != nil {
		switch f.n.kind {
		case kInt, kFloat, kBool:
			return v.IsZero() && !seen.Has(i)
		}
	}
	return false
}

func (c *validator) value(f *field, n *node, v reflect.Value, path string) {
	if n.checks != nil {
		n.checks.run(n, v, func(constraint string) {
			c.add(Violation{Value: show(n, v), Path: path, Constraint: constraint, Member: f.name})
		})
	}
	switch n.kind {
	case kStruct:
		c.members(n, v, nil, path+".")
	case kUnion:
		c.union(f, n, v, path)
	case kList:
		c.list(f, n, v, path)
	case kMap:
		c.mapping(f, n, v, path)
	}
}

func (c *validator) union(f *field, n *node, v reflect.Value, path string) {
	concrete := v.Elem()
	if concrete.Kind() == reflect.Pointer {
		concrete = concrete.Elem()
	}
	for i, t := range n.union.concrete {
		m := &n.fields[i]
		if t == concrete.Type() && m.n.checked {
			c.value(f, m.n, m.deref(concrete.Field(m.index)), path+"."+m.path)
		}
	}
}

func (n *node) compound() bool {
	return n.kind == kStruct || n.kind == kList || n.kind == kMap || n.kind == kUnion
}

func (c *validator) list(f *field, n *node, v reflect.Value, path string) {
	e := n.elem.n
	if !e.checked {
		return
	}
	bad := false
	for i := range v.Len() {
		item := v.Index(i)
		if n.elem.ptr && item.IsNil() {
			continue
		}
		item = n.elem.deref(item)
		if e.compound() {
			c.value(f, e, item, path+"."+strconv.Itoa(i+1)+".member")
		} else if e.checks.run(e, item, nil) {
			bad = true
		}
	}
	if bad {
		c.add(Violation{Value: show(n, v), Path: path, Constraint: "Member must satisfy constraint: " + e.checks.all(), Member: f.name})
	}
}

func (c *validator) mapping(f *field, n *node, v reflect.Value, path string) {
	k, e := n.key.n, n.elem.n
	if !k.checked && !e.checked {
		return
	}
	badKey, badValue := false, false
	for _, key := range sortedKeys(v) {
		if k.checks != nil && k.checks.run(k, key, nil) {
			badKey = true
		}
		item := v.MapIndex(key)
		if !e.checked || n.elem.ptr && item.IsNil() {
			continue
		}
		item = n.elem.deref(item)
		if e.compound() {
			c.value(f, e, item, path+"."+key.String()+".member")
		} else if e.checks.run(e, item, nil) {
			badValue = true
		}
	}
	if badKey {
		c.add(Violation{Value: show(n, v), Path: path, Constraint: "Map keys must satisfy constraint: " + k.checks.all(), Member: f.name})
	}
	if badValue {
		c.add(Violation{Value: show(n, v), Path: path, Constraint: "Map value must satisfy constraint: " + e.checks.all(), Member: f.name})
	}
}

// run reports whether v breaks a constraint, and each one to report, if not nil.
func (k *checks) run(n *node, v reflect.Value, report func(string)) (bad bool) {
	fail := func(sentence func() string) {
		bad = true
		if report != nil {
			report(sentence())
		}
	}
	var over, under bool
	switch n.kind {
	case kString:
		s := v.String()
		if k.pattern != nil && !k.pattern.match(s) {
			fail(k.unlike)
		}
		if k.min != nil || k.max != nil {
			over, under = k.outside(utf8.RuneCountInString(s))
		}
	case kBlob, kList, kMap:
		over, under = k.outside(v.Len())
	case kInt:
		i := v.Int()
		over, under = k.max != nil && k.max.cmpInt(i) > 0, k.min != nil && k.min.cmpInt(i) < 0
	case kFloat:
		f := v.Float()
		over, under = k.max != nil && k.max.cmpFloat(f) > 0, k.min != nil && k.min.cmpFloat(f) < 0
	}
	if over {
		fail(k.tooBig)
	}
	if under {
		fail(k.tooSmall)
	}
	if k.enum != nil && !k.enum[v.String()] {
		fail(k.unlisted)
	}
	return bad
}

func (k *checks) outside(length int) (over, under bool) {
	n := int64(length)
	return k.max != nil && k.max.cmpInt(n) > 0, k.min != nil && k.min.cmpInt(n) < 0
}

// maxShown bounds a value in a sentence.
const maxShown = 1024

// show is how AWS prints a value in a constraint error. Secrets and blobs are
// left out.
func show(n *node, v reflect.Value) string {
	if n.shape.Sensitive || n.kind == kBlob || n.kind == kReader {
		return ""
	}
	var b strings.Builder
	render(&b, n, v)
	s := b.String()
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return " '" + s + "'"
}

func render(b *strings.Builder, n *node, v reflect.Value) {
	if b.Len() > maxShown {
		return
	}
	switch n.kind {
	case kList:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteString(", ")
			}
			renderSlot(b, &n.elem, v.Index(i))
		}
		b.WriteByte(']')
	case kMap:
		b.WriteByte('{')
		for i, k := range sortedKeys(v) {
			if i > 0 {
				b.WriteString(", ")
			}
			render(b, n.key.n, k)
			b.WriteByte('=')
			renderSlot(b, &n.elem, v.MapIndex(k))
		}
		b.WriteByte('}')
	case kStruct:
		b.WriteString(n.shape.Name + "(")
		first := true
		for i := range n.fields {
			f := &n.fields[i]
			if f.index < 0 || f.absent(v.Field(f.index)) {
				continue
			}
			if !first {
				b.WriteString(", ")
			}
			first = false
			b.WriteString(f.path + "=")
			renderSlot(b, &f.slot, v.Field(f.index))
		}
		b.WriteByte(')')
	case kTime:
		b.WriteString(v.Interface().(time.Time).UTC().Format(time.RFC3339))
	case kString, kBool, kInt, kFloat:
		if n.shape.Sensitive {
			b.WriteString("***")
			return
		}
		b.Write(appendText(nil, n, v, iso8601))
	default:
		b.WriteString(n.shape.Name)
	}
}

func renderSlot(b *strings.Builder, s *slot, v reflect.Value) {
	if s.absent(v) {
		b.WriteString("null")
		return
	}
	render(b, s.n, s.deref(v))
}
