// Package codec reads and writes the AWS SDK's operation types in AWS's wire
// formats. A Plan says once, per Go type and model shape, how the two match;
// every format walks the same plans.
package codec

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// Codec holds the plans of one service.
type Codec struct {
	m *model.Model

	mu     sync.Mutex
	nodes  map[nodeKey]*node
	known  []reflect.Type // where to look for union members
	listed []reflect.Type // union members that were given
	plans  sync.Map       // nodeKey → *Plan
}

type nodeKey struct {
	t     reflect.Type
	shape int
}

// New returns a codec for the model's shapes. members lists values of union
// member types (&types.FooMemberBar{}) that the SDK's own decoders do not
// reveal; most services need none.
func New(m *model.Model, members ...any) *Codec {
	c := &Codec{m: m, nodes: map[nodeKey]*node{}}
	c.listUnionMembers(members)
	return c
}

// Plan is how one Go type holds one shape.
type Plan struct {
	c    *Codec
	root *node
	zero bool // the shape is empty or absent: nothing to read or write

	// HTTP bindings, for the REST protocols.
	bound   []*field // members outside the body
	body    []*field // members in the body
	payload *field   // the member that is the whole body
	stream  *field   // the member that is an event stream
}

// Plan returns the plan for t, a struct or a pointer to one, as the shape of
// that index; -1 is the empty structure.
func (c *Codec) Plan(t reflect.Type, shape int) (*Plan, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	key := nodeKey{t, shape}
	if p, ok := c.plans.Load(key); ok {
		return p.(*Plan), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &Plan{c: c}
	if shape < 0 {
		p.zero = true
		p.root = &node{kind: kStruct, typ: t, shape: &model.Shape{Name: t.Name()}}
	} else {
		root, err := c.node(t, shape)
		if err != nil {
			return nil, err
		}
		p.root = root
		p.zero = len(root.fields) == 0
		markChecked(root)
	}
	p.bind()
	c.plans.Store(key, p)
	return p, nil
}

// Members names the shape's members in the model's order; a Seen's bits are
// in that order.
func (p *Plan) Members() []string {
	names := make([]string, len(p.root.fields))
	for i := range p.root.fields {
		names[i] = p.root.fields[i].name
	}
	return names
}

// MemberIndex returns the position of a member, or -1.
func (p *Plan) MemberIndex(name string) int {
	if i, ok := p.root.byName[name]; ok {
		return i
	}
	return -1
}

// Stream reports whether the shape has an event stream member.
func (p *Plan) Stream() bool { return p.stream != nil }

// StreamsBlob reports whether the body is a blob that is not to be buffered.
func (p *Plan) StreamsBlob() bool { return p.payload != nil && p.payload.n.kind == kReader }

// Shape returns the model's shape.
func (p *Plan) Shape() *model.Shape { return p.root.shape }

// kind is how Go holds a value.
type kind uint8

const (
	kStruct kind = iota
	kUnion       // an interface; members are structs with a Value field
	kList
	kMap
	kString
	kBlob
	kReader // a streaming blob
	kBool
	kInt
	kFloat
	kTime
	kDoc
	kStream // an event stream, no part of the type
)

type node struct {
	kind   kind
	typ    reflect.Type
	shape  *model.Shape
	fields []field
	byName map[string]int  // model name
	byWire map[string]int  // locationName or name
	byEC2  map[string]int  // ec2query's name
	newer  map[string]bool // names of members that the Go type has and the model has not
	elem   slot            // of a list or map
	key    slot
	item   *model.Member // of a list: the member; of a map: the value
	keyM   *model.Member
	size   int // bytes of one element, for the budget
	union  *unionInfo
	bits   int // of an int or float

	checks  *checks // constraints of the value itself, nil when none
	checked bool    // the value or something in it has constraints
	marked  bool
}

// slot is a place that holds a node's value, perhaps by pointer.
type slot struct {
	n   *node
	ptr bool
}

type field struct {
	slot
	index  int // of the Go field
	name   string
	wire   string // locationName or name
	ec2    string // the query name of ec2
	json   string // `"wire":`
	path   string // in constraint errors
	member *model.Member
	flat   bool // lists and maps: no wrapping element
	owner  *node
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	readerType = reflect.TypeFor[io.Reader]()
	docType    = reflect.TypeFor[document.Unmarshaler]()
	serdeType  = reflect.TypeFor[smithy.Deserializable]()
)

// goName is the SDK's name of a model member.
func goName(member string) string {
	r, n := utf8.DecodeRuneInString(member)
	return string(unicode.ToUpper(r)) + member[n:]
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

// node returns the node for a Go type without its pointer. c.mu is held.
func (c *Codec) node(t reflect.Type, shape int) (*node, error) {
	key := nodeKey{t, shape}
	if n, ok := c.nodes[key]; ok {
		return n, nil
	}
	s := c.m.Shapes[shape]
	n := &node{typ: t, shape: s}
	c.nodes[key] = n // before its members: shapes may contain themselves
	if err := c.fill(n); err != nil {
		delete(c.nodes, key)
		return nil, err
	}
	if n.kind != kInt || s.Kind != model.String {
		n.checks = newChecks(s)
	}
	return n, nil
}

func (c *Codec) fill(n *node) error {
	t, s := n.typ, n.shape
	mismatch := func() error {
		return fmt.Errorf("shape %s is a %s in the model of %s, but %s in Go", s.Name, s.Kind, c.m.Info.Name, t)
	}
	n.size = int(t.Size())
	switch s.Kind {
	case model.Structure:
		switch {
		case s.Stream:
			n.kind = kStream
		case t.Kind() == reflect.Interface: // a union, though not every model says so
			n.kind = kUnion
			return c.fillUnion(n)
		case t.Kind() == reflect.Struct:
			n.kind = kStruct
			return c.fillStruct(n)
		default:
			return mismatch()
		}
	case model.List:
		if t.Kind() != reflect.Slice {
			return mismatch()
		}
		n.kind, n.item = kList, &s.Members[0]
		return c.slot(&n.elem, t.Elem(), n.item.Shape)
	case model.Map:
		if t.Kind() != reflect.Map || t.Key().Kind() != reflect.String {
			return mismatch()
		}
		n.kind, n.keyM, n.item = kMap, &s.Members[0], &s.Members[1]
		if err := c.slot(&n.key, t.Key(), n.keyM.Shape); err != nil {
			return err
		}
		return c.slot(&n.elem, t.Elem(), n.item.Shape)
	case model.Document:
		if !t.Implements(docType) {
			return mismatch()
		}
		n.kind = kDoc
	default:
		k, ok := scalarKind(t, s.Kind)
		if !ok {
			return mismatch()
		}
		n.kind = k
		if k == kInt || k == kFloat {
			n.bits = t.Bits()
		}
	}
	return nil
}

func scalarKind(t reflect.Type, k model.Kind) (kind, bool) {
	switch k {
	case model.String:
		if t.Kind() == reflect.Int32 { // Route 53's MaxItems
			return kInt, true
		}
		return kString, t.Kind() == reflect.String
	case model.Blob:
		if t.Kind() == reflect.Interface && t.Implements(readerType) {
			return kReader, true
		}
		return kBlob, t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	case model.Boolean:
		return kBool, t.Kind() == reflect.Bool
	case model.Integer, model.Long:
		return kInt, t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64
	case model.Float, model.Double:
		return kFloat, t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64
	case model.Timestamp:
		return kTime, t == timeType
	}
	return 0, false
}

func (c *Codec) slot(s *slot, t reflect.Type, shape int) (err error) {
	if t.Kind() == reflect.Pointer {
		s.ptr, t = true, t.Elem()
	}
	s.n, err = c.node(t, shape)
	return err
}

func (c *Codec) fillStruct(n *node) error {
	s := n.shape
	n.fields = make([]field, len(s.Members))
	n.byName = make(map[string]int, len(s.Members))
	n.byWire = make(map[string]int, len(s.Members))
	n.byEC2 = make(map[string]int, len(s.Members))
	for i := range s.Members {
		m, f := &s.Members[i], &n.fields[i]
		f.member, f.name, f.wire, f.owner = m, m.Name, m.Wire, n
		target := c.m.Shapes[m.Shape]
		if f.wire == "" {
			f.wire = f.name
		}
		f.ec2 = m.Query
		if f.ec2 == "" {
			f.ec2 = goName(f.wire)
		}
		f.json = `"` + f.wire + `":`
		f.path = lowerFirst(f.name)
		f.flat = m.Flattened || target.Flattened
		n.byName[f.name], n.byWire[f.wire], n.byEC2[f.ec2] = i, i, i
		if target.Kind == model.List && f.flat && target.Members[0].Wire != "" {
			if _, taken := n.byWire[target.Members[0].Wire]; !taken {
				n.byWire[target.Members[0].Wire] = i
			}
		}
		if target.Stream {
			f.index, f.n = -1, &node{kind: kStream, shape: target}
			continue
		}
		gf, ok := n.typ.FieldByName(goName(m.Name))
		if !ok || len(gf.Index) != 1 {
			return fmt.Errorf("the SDK's %s has no field for member %s of shape %s", n.typ, m.Name, s.Name)
		}
		f.index = gf.Index[0]
		if err := c.slot(&f.slot, gf.Type, m.Shape); err != nil {
			return fmt.Errorf("%s.%s: %w", s.Name, m.Name, err)
		}
	}
	n.findNewer()
	return nil
}

// findNewer notes what clients of the SDK's version may send and the model, an
// older one, does not know.
func (n *node) findNewer() {
	for i := range n.typ.NumField() {
		f := n.typ.Field(i)
		if !f.IsExported() || f.Name == "ResultMetadata" || slices.ContainsFunc(n.fields, func(m field) bool { return m.index == i || goName(m.name) == f.Name }) {
			continue
		}
		if n.newer == nil {
			n.newer = map[string]bool{}
		}
		n.newer[f.Name], n.newer[lowerFirst(f.Name)] = true, true
	}
}

// stranger is what is wrong with a member that the model does not know: nothing
// with one that nobody knows, as AWS has it, but what a newer model has would be
// accepted and ignored.
func (n *node) stranger(name string) error {
	if !n.newer[name] {
		return nil
	}
	return broken("dhow does not serve the member %s of %s: leave it out.", name, n.shape.Name)
}

// elemName is the XML and query name of a list's elements.
func (n *node) elemName() string {
	if n.item.Wire != "" {
		return n.item.Wire
	}
	return "member"
}

// mapNames are the XML and query names of a map's keys and values.
func (n *node) mapNames() (key, value string) {
	key, value = n.keyM.Wire, n.item.Wire
	if key == "" {
		key = "key"
	}
	if value == "" {
		value = "value"
	}
	return key, value
}

// absent reports whether v, in slot s, has nothing to write.
func (s *slot) absent(v reflect.Value) bool {
	if s.ptr {
		return v.IsNil()
	}
	switch s.n.kind {
	case kList, kMap, kBlob, kUnion, kDoc, kReader:
		return v.IsNil()
	case kString: // an enum
		return v.Len() == 0
	}
	return false
}

func (s *slot) deref(v reflect.Value) reflect.Value {
	if s.ptr {
		return v.Elem()
	}
	return v
}

// settle returns the value to be filled, making it where the slot is a pointer.
func (s *slot) settle(v reflect.Value) reflect.Value {
	if !s.ptr {
		return v
	}
	p := reflect.New(s.n.typ)
	v.Set(p)
	return p.Elem()
}

// unionName is the member that a union's Go type stands for: EvaluationWindow's
// *EvaluationWindowMemberSlidingWindow is SlidingWindow.
func unionName(n *node, concrete reflect.Type) (string, bool) {
	if concrete.Kind() == reflect.Pointer {
		concrete = concrete.Elem()
	}
	return strings.CutPrefix(concrete.Name(), n.typ.Name()+"Member")
}
