package protobuf

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"
)

// The oracle is Go's protobuf: what one schema's messages are when another one
// reads them.

type fieldSpec struct {
	name, kind, label string
	number            int
}

type enumSpec []string // "RED=0"

type fileSpec struct {
	proto3 bool
	root   []fieldSpec
	sub    []fieldSpec
	enum   enumSpec
}

var kinds = []string{
	"bool", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "sfixed32", "fixed64", "sfixed64",
	"float", "double", "string", "bytes", "Sub", "Color", "map<string, int32>", "map<int32, Sub>",
}

func genField(sub bool) *rapid.Generator[fieldSpec] {
	return rapid.Custom(func(t *rapid.T) fieldSpec {
		f := fieldSpec{
			name:   rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "name"),
			kind:   rapid.SampledFrom(kinds).Draw(t, "kind"),
			label:  rapid.SampledFrom([]string{"", "", "optional", "repeated", "required", "one", "one"}).Draw(t, "label"),
			number: rapid.IntRange(1, 6).Draw(t, "number"),
		}
		if sub && strings.Contains(f.kind, "Sub") {
			f.kind = "int32"
		}
		return f
	})
}

func genFields(sub bool) *rapid.Generator[[]fieldSpec] {
	return rapid.Custom(func(t *rapid.T) []fieldSpec {
		return tidy(rapid.SliceOfN(genField(sub), 1, 5).Draw(t, "fields"))
	})
}

// tidy drops fields whose name or number is taken.
func tidy(in []fieldSpec) (out []fieldSpec) {
	taken := map[string]bool{}
	for _, f := range in {
		if n := fmt.Sprint(f.number); !taken[f.name] && !taken[n] {
			taken[f.name], taken[n] = true, true
			out = append(out, f)
		}
	}
	return out
}

func genFile() *rapid.Generator[fileSpec] {
	return rapid.Custom(func(t *rapid.T) fileSpec {
		return fileSpec{
			proto3: rapid.Bool().Draw(t, "proto3"),
			root:   genFields(false).Draw(t, "root"),
			sub:    genFields(true).Draw(t, "sub"),
			enum:   rapid.SampledFrom([]enumSpec{{"NONE=0", "RED=1"}, {"NONE=0", "RED=1", "BLUE=2"}, {"NONE=0", "BLUE=1"}, {"NONE=0", "RED=2"}}).Draw(t, "enum"),
		}
	})
}

func (f fileSpec) edit(t *rapid.T) fileSpec {
	fields, sub := &f.root, false
	if rapid.IntRange(0, 3).Draw(t, "where") == 0 {
		fields, sub = &f.sub, true
	}
	list := append([]fieldSpec(nil), *fields...)
	i := 0
	if len(list) > 0 {
		i = rapid.IntRange(0, len(list)-1).Draw(t, "which")
	}
	other := genField(sub).Draw(t, "other")
	switch rapid.IntRange(0, 7).Draw(t, "how") {
	case 0:
		list = append(list, other)
	case 1:
		list[i].kind = other.kind
	case 2:
		list[i].label = other.label
	case 3:
		list[i].number = other.number
	case 4:
		list[i].name = other.name
	case 5:
		f.enum = genFile().Draw(t, "enums").enum
	case 6:
		f.proto3 = !f.proto3
	default:
		if len(list) > 1 {
			list = append(list[:i:i], list[i+1:]...)
		}
	}
	*fields = tidy(list)
	return f
}

func (f fileSpec) text() string {
	var b strings.Builder
	if f.proto3 {
		b.WriteString("syntax = \"proto3\";\n")
	} else {
		b.WriteString("syntax = \"proto2\";\n")
	}
	write := func(name string, fields []fieldSpec, within string) {
		fmt.Fprintf(&b, "message %s {\n", name)
		var one []string
		for _, s := range fields {
			label, line := s.label, fmt.Sprintf("%s %s = %d;\n", s.kind, s.name, s.number)
			switch {
			case strings.HasPrefix(s.kind, "map"):
				b.WriteString(line)
				continue
			case label == "one":
				one = append(one, line)
				continue
			case label == "required" && (f.proto3 || s.kind == "Sub"), label == "" && !f.proto3:
				label = "optional"
			}
			b.WriteString(label + " " + line)
		}
		if len(one) > 0 {
			fmt.Fprintf(&b, "oneof choice {\n%s}\n", strings.Join(one, ""))
		}
		b.WriteString(within + "}\n")
	}
	head := b.String()
	b.Reset()
	write("Sub", f.sub, "")
	fmt.Fprintf(&b, "enum Color {\n%s;\n}\n", strings.ReplaceAll(strings.Join(f.enum, ";\n"), "=", " = "))
	within := b.String() // so that they count only where Root uses them
	b.Reset()
	write("Root", f.root, within)
	return head + b.String()
}

// fill sets fields at random, what is required always.
func fill(rng *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Cardinality() != protoreflect.Required && rng.IntN(3) == 0 {
			continue
		}
		switch {
		case f.IsMap():
			key := protoreflect.ValueOfString("k").MapKey()
			if f.MapKey().Kind() == protoreflect.Int32Kind {
				key = protoreflect.ValueOfInt32(-7).MapKey()
			}
			of := m.Mutable(f).Map()
			v := of.NewValue()
			if f.MapValue().Message() != nil {
				fill(rng, v.Message())
			} else {
				v = value(rng, f.MapValue())
			}
			of.Set(key, v)
		case f.IsList():
			list := m.Mutable(f).List()
			for range rng.IntN(4) {
				if f.Message() != nil {
					fill(rng, list.AppendMutable().Message())
				} else {
					list.Append(value(rng, f))
				}
			}
		case f.Message() != nil:
			fill(rng, m.Mutable(f).Message())
		default:
			m.Set(f, value(rng, f))
		}
	}
}

func value(rng *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	n := pick[int64](rng, 0, 1, -1, 2, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, math.MaxUint32, 300)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 1)
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(int(uint64(n) % uint64(values.Len()))).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(n)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(pick(rng, "", "a", "é"))
	}
	return protoreflect.ValueOfBytes(pick(rng, nil, []byte{'a'}, []byte{0xff}, []byte{8, 1}))
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// lost says what of a writer's message a reader does not get, "" for nothing.
func lost(w protoreflect.Message, reader protoreflect.MessageDescriptor) string {
	data, err := proto.Marshal(w.Interface())
	if err != nil {
		panic(err)
	}
	r := dynamicpb.NewMessage(reader)
	if err := proto.Unmarshal(data, r); err != nil {
		return err.Error()
	}
	return differ(w, r)
}

func differ(w, r protoreflect.Message) string {
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		was := w.Descriptor().Fields().ByNumber(f.Number())
		if same := w.Descriptor().Fields().ByName(f.Name()); same != nil && same.Number() != f.Number() && (w.Has(same) || was != nil && w.Has(was)) {
			return fmt.Sprintf("%s has another number", f.Name())
		}
		if was == nil {
			continue
		}
		if d := differField(w, r, was, f); d != "" {
			return fmt.Sprintf("%s: %s", f.Name(), d)
		}
	}
	for i := range r.Descriptor().Oneofs().Len() {
		o := r.Descriptor().Oneofs().Get(i)
		for j := range o.Fields().Len() {
			was := w.Descriptor().Fields().ByNumber(o.Fields().Get(j).Number())
			if o.IsSynthetic() || was == nil || realOneof(was) == nil {
				continue
			}
			if chosen := w.WhichOneof(realOneof(was)); chosen != nil && fields.ByNumber(chosen.Number()) == nil {
				return fmt.Sprintf("%s was chosen", chosen.Name())
			}
		}
	}
	return ""
}

func differField(w, r protoreflect.Message, was, f protoreflect.FieldDescriptor) string {
	from, to := values(w, was), values(r, f)
	single := !f.IsList() && !f.IsMap() && !was.IsList() && !was.IsMap()
	if single && len(to) == 0 && len(from) == 0 && !was.HasPresence() && !isZero(f) {
		return "zero is another default"
	}
	if single && (!was.HasPresence() || !f.HasPresence()) { // zero and absent are one
		from, to = dropZero(from, was), dropZero(to, f)
	}
	if len(from) != len(to) {
		return fmt.Sprintf("%d values are %d", len(from), len(to))
	}
	for i := range from {
		if d := differValue(from[i], to[i], element(was), element(f)); d != "" {
			return d
		}
	}
	return ""
}

func element(f protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if f.IsMap() {
		return f.MapValue()
	}
	return f
}

func dropZero(vs []protoreflect.Value, f protoreflect.FieldDescriptor) []protoreflect.Value {
	if f.IsList() || f.IsMap() || f.Message() != nil || len(vs) != 1 || plain(vs[0], f) != "0" && plain(vs[0], f) != "" {
		return vs
	}
	return nil
}

func values(m protoreflect.Message, f protoreflect.FieldDescriptor) (out []protoreflect.Value) {
	switch {
	case !m.Has(f):
	case f.IsMap():
		m.Get(f).Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			out = append(out, v)
			return true
		})
	case f.IsList():
		for i := range m.Get(f).List().Len() {
			out = append(out, m.Get(f).List().Get(i))
		}
	default:
		out = append(out, m.Get(f))
	}
	return out
}

func differValue(w, r protoreflect.Value, was, f protoreflect.FieldDescriptor) string {
	switch {
	case was.Message() != nil && f.Message() != nil:
		return differ(w.Message(), r.Message())
	case was.Message() != nil:
		data, _ := proto.MarshalOptions{AllowPartial: true}.Marshal(w.Message().Interface())
		if f.Kind() == protoreflect.BytesKind && len(data) == len(r.Bytes()) {
			return ""
		}
		return "a message is no message"
	case f.Message() != nil:
		return "no message is one"
	}
	if was.Enum() != nil && f.Enum() != nil {
		name := was.Enum().Values().ByNumber(w.Enum())
		if is := f.Enum().Values().ByName(name.Name()); is != nil && is.Number() != w.Enum() {
			return "a name stands for another number"
		}
	}
	if f.Enum() != nil && f.Enum().IsClosed() && f.Enum().Values().ByNumber(r.Enum()) == nil {
		return "not in the closed enum"
	}
	if f.Kind() == protoreflect.StringKind && !utf8.ValidString(r.String()) {
		return "no UTF-8"
	}
	if a, b := plain(w, was), plain(r, f); a != b {
		return fmt.Sprintf("%s is %s", a, b)
	}
	return ""
}

func plain(v protoreflect.Value, f protoreflect.FieldDescriptor) string {
	switch x := v.Interface().(type) {
	case bool:
		if x {
			return "1"
		}
		return "0"
	case protoreflect.EnumNumber:
		return fmt.Sprint(int32(x))
	case []byte:
		return string(x)
	case float32:
		if x == 0 {
			return "0"
		}
		return fmt.Sprintf("float %x", math.Float32bits(x))
	case float64:
		if x == 0 {
			return "0"
		}
		return fmt.Sprintf("double %x", math.Float64bits(x))
	}
	_ = f
	return fmt.Sprint(v.Interface())
}

var tally struct{ fine, shown, unshown int }

func TestOracle(t *testing.T) {
	rapid.Check(t, checkOracle)
	t.Logf("can read %d; problems that messages show %d, that none needs to %d", tally.fine, tally.shown, tally.unshown)
}

func checkOracle(t *rapid.T) {
	w := genFile().Draw(t, "writer")
	r := w
	for range rapid.IntRange(0, 3).Draw(t, "edits") {
		r = r.edit(t)
	}
	writer, err1 := Parse(Source{Text: w.text()})
	reader, err2 := Parse(Source{Text: r.text()})
	if err1 != nil || err2 != nil {
		t.Skip("names or oneofs that the syntax refuses: ", err1, err2)
	}
	problems := reader.CanRead(writer)
	shown := ""
	rng := rand.New(rand.NewPCG(1, 2)) // no draws of rapid: it would make messages that show nothing
	for range 150 {
		m := dynamicpb.NewMessage(writer.first())
		fill(rng, m)
		if data, err := proto.Marshal(m); err != nil || writer.Validate(data) != nil {
			t.Fatalf("its own message: %v %v\n%s", err, writer.Validate(data), w.text())
		}
		if shown = lost(m, reader.first()); shown != "" {
			if len(problems) == 0 {
				t.Fatalf("said to read all, but %v is lost: %s\nwriter %s\nreader %s", m, shown, w.text(), r.text())
			}
			break
		}
		if len(problems) == 0 {
			if data, _ := proto.Marshal(m); reader.Validate(data) != nil {
				t.Fatalf("said to read all, but not %v: %v\nwriter %s\nreader %s", m, reader.Validate(data), w.text(), r.text())
			}
			if rng.IntN(20) == 0 {
				break
			}
		}
	}
	switch {
	case len(problems) == 0:
		tally.fine++
	case shown != "":
		tally.shown++
	default:
		t.Fatalf("no message shows %v\nwriter %s\nreader %s", problems, w.text(), r.text())
	}
}

// Validation agrees with Go's parser about what it takes, but for the wire types
// of known fields and depth.
func FuzzValidate(f *testing.F) {
	s, err := Parse(Source{Text: fuzzed})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{8, 1, 18, 1, 'a'})
	f.Add([]byte{26, 4, 8, 1, 8, 2, 35, 8, 1, 36, 42, 2, 1, 2})
	f.Add([]byte{26, 0, 26, 2, 8, 1, 8, 1, 50, 5, 10, 1, 'k', 16, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		bad := s.Validate(data)
		m := dynamicpb.NewMessage(s.first())
		err := unmarshal(data, m)
		if bad == nil && err != nil {
			t.Fatalf("%x: taken, but %v", data, err)
		}
		if bad != nil && err == nil && !strings.Contains(bad.Error(), "wire type") && !strings.Contains(bad.Error(), "messages within") {
			t.Fatalf("%x: %v, but Go takes it", data, bad)
		}
	})
}

// unmarshal is proto.Unmarshal, which panics on a map's key of another wire type.
func unmarshal(data []byte, m proto.Message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return proto.Unmarshal(data, m)
}

const fuzzed = `syntax = "proto2";
message Root {
  required int32 a = 1;
  optional string b = 2;
  optional Root c = 3;
  optional group D = 4 { required int32 e = 1; }
  repeated sint32 f = 5 [packed = true];
  map<string, int32> g = 6;
  optional Color h = 7;
  oneof one { Root i = 8; fixed64 j = 9; }
  repeated Root k = 10;
}
enum Color { NONE = 0; RED = 1; }`
