package protobuf

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Canonical is the file printed without comments, with full names of types, and
// with all in an order of its own but for messages, of which the first is the
// schema's and the others have indexes in Confluent's wire form.
func (s *Schema) Canonical() string { return s.printed }

// Meaning is the canonical form with those of all that it imports.
func (s *Schema) Meaning() string { return s.printed + s.imported }

type printer struct {
	strings.Builder
	schema *Schema
	indent int
}

func (s *Schema) print(f protoreflect.FileDescriptor) string {
	p := &printer{schema: s}
	p.file(f)
	return p.String()
}

// printImports prints all files but the schema's own and the well-known ones.
func (s *Schema) printImports(files *protoregistry.Files) string {
	var out []string
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if f.Path() != s.file.Path() && !strings.HasPrefix(f.Path(), "google/protobuf/") {
			out = append(out, fmt.Sprintf("// %s\n%s", f.Path(), s.print(f)))
		}
		return true
	})
	slices.Sort(out)
	return strings.Join(out, "")
}

func (p *printer) line(format string, args ...any) {
	p.WriteString(strings.Repeat("  ", p.indent))
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *printer) block(head string, body func()) {
	p.line("%s {", head)
	p.indent++
	body()
	p.indent--
	p.line("}")
}

func (p *printer) file(f protoreflect.FileDescriptor) {
	if f.Syntax() == protoreflect.Editions {
		edition := f.(interface{ Edition() int32 }).Edition()
		p.line("edition = %q;", strings.TrimPrefix(descriptorpb.Edition(edition).String(), "EDITION_"))
	} else {
		p.line("syntax = %q;", f.Syntax())
	}
	if f.Package() != "" {
		p.line("package %s;", f.Package())
	}
	var imports []string
	for i := range f.Imports().Len() {
		public := ""
		if f.Imports().Get(i).IsPublic {
			public = "public "
		}
		imports = append(imports, fmt.Sprintf("import %s%q;", public, f.Imports().Get(i).Path()))
	}
	slices.Sort(imports)
	for _, i := range imports {
		p.line("%s", i)
	}
	p.options(f)
	p.enums(f.Enums())
	for i := range f.Messages().Len() {
		p.message(f.Messages().Get(i))
	}
	p.extensions(f.Extensions())
	for _, s := range sortedByName(f.Services().Len(), f.Services().Get) {
		p.service(s)
	}
}

func sortedByName[D protoreflect.Descriptor](n int, get func(int) D) []D {
	out := make([]D, n)
	for i := range n {
		out[i] = get(i)
	}
	slices.SortFunc(out, func(a, b D) int { return cmp.Compare(a.FullName(), b.FullName()) })
	return out
}

func (p *printer) message(m protoreflect.MessageDescriptor) {
	p.block("message "+string(m.Name()), func() { p.body(m) })
}

func (p *printer) body(m protoreflect.MessageDescriptor) {
	p.options(m)
	var oneof protoreflect.OneofDescriptor
	for _, f := range byOneof(m) {
		if o := realOneof(f); o != oneof {
			if oneof != nil {
				p.indent--
				p.line("}")
			}
			if oneof = o; o != nil {
				p.line("oneof %s {", o.Name())
				p.indent++
				p.options(o)
			}
		}
		p.field(f)
	}
	if oneof != nil {
		p.indent--
		p.line("}")
	}
	p.reserved(m)
	p.enums(m.Enums())
	for i := range m.Messages().Len() {
		if n := m.Messages().Get(i); !n.IsMapEntry() && !isGroup(n) {
			p.message(n)
		}
	}
	p.extensions(m.Extensions())
}

// byOneof is a message's fields by number, those of a oneof with its first.
func byOneof(m protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	first := map[protoreflect.OneofDescriptor]protoreflect.FieldNumber{}
	out := make([]protoreflect.FieldDescriptor, m.Fields().Len())
	for i := range out {
		out[i] = m.Fields().Get(i)
		if o := realOneof(out[i]); o != nil && (first[o] == 0 || out[i].Number() < first[o]) {
			first[o] = out[i].Number()
		}
	}
	at := func(f protoreflect.FieldDescriptor) protoreflect.FieldNumber {
		if o := realOneof(f); o != nil {
			return first[o]
		}
		return f.Number()
	}
	slices.SortFunc(out, func(a, b protoreflect.FieldDescriptor) int {
		return cmp.Or(cmp.Compare(at(a), at(b)), cmp.Compare(a.Number(), b.Number()))
	})
	return out
}

func realOneof(f protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o
	}
	return nil
}

// isGroup reports that a message was declared by a group of proto2.
func isGroup(m protoreflect.MessageDescriptor) bool {
	in, ok := m.Parent().(protoreflect.MessageDescriptor)
	if !ok || m.ParentFile().Syntax() != protoreflect.Proto2 {
		return false
	}
	for i := range in.Fields().Len() {
		if f := in.Fields().Get(i); f.Kind() == protoreflect.GroupKind && f.Message().FullName() == m.FullName() {
			return true
		}
	}
	return false
}

func (p *printer) field(f protoreflect.FieldDescriptor) {
	head := fmt.Sprintf("%s%s %s = %d", label(f), typeOf(f), f.Name(), f.Number())
	group := f.Kind() == protoreflect.GroupKind && f.ParentFile().Syntax() == protoreflect.Proto2 && isGroup(f.Message())
	if group {
		head = fmt.Sprintf("%sgroup %s = %d", label(f), f.Message().Name(), f.Number())
	}
	options := p.optionList(f)
	if f.HasDefault() {
		options = append([]string{"default = " + defaultOf(f)}, options...)
	}
	if f.HasJSONName() && f.JSONName() != camel(string(f.Name())) && !f.IsExtension() {
		options = append(options, fmt.Sprintf("json_name = %q", f.JSONName()))
	}
	if len(options) > 0 {
		head += " [" + strings.Join(options, ", ") + "]"
	}
	if group {
		p.block(head, func() { p.body(f.Message()) })
	} else {
		p.line("%s;", head)
	}
}

func label(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap() || realOneof(f) != nil:
		return ""
	case f.Cardinality() == protoreflect.Repeated:
		return "repeated "
	case f.Cardinality() == protoreflect.Required && f.ParentFile().Syntax() == protoreflect.Proto2:
		return "required "
	case f.HasOptionalKeyword():
		return "optional "
	}
	return ""
}

func typeOf(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return fmt.Sprintf("map<%s, %s>", typeOf(f.MapKey()), typeOf(f.MapValue()))
	case f.Message() != nil:
		return "." + string(f.Message().FullName())
	case f.Enum() != nil:
		return "." + string(f.Enum().FullName())
	}
	return f.Kind().String()
}

func defaultOf(f protoreflect.FieldDescriptor) string {
	if e := f.DefaultEnumValue(); e != nil {
		return string(e.Name())
	}
	return scalar(f, f.Default())
}

// camel is the JSON name that a field gets by itself.
func camel(name string) string {
	var b strings.Builder
	for i, part := range strings.Split(name, "_") {
		if i > 0 && part != "" {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		b.WriteString(part)
	}
	return b.String()
}

func (p *printer) reserved(m protoreflect.MessageDescriptor) {
	var ranges []string
	for _, r := range sortedRanges(m.ReservedRanges()) {
		ranges = append(ranges, span(int64(r[0]), int64(r[1])-1, int64(protoreflect.FieldNumber(1<<29-1))))
	}
	p.reservedList(ranges, m.ReservedNames(), m.ParentFile())
	for _, r := range sortedRanges(m.ExtensionRanges()) {
		p.line("extensions %s;", span(int64(r[0]), int64(r[1])-1, 1<<29-1))
	}
}

func (p *printer) reservedList(ranges []string, names protoreflect.Names, f protoreflect.FileDescriptor) {
	if len(ranges) > 0 {
		p.line("reserved %s;", strings.Join(ranges, ", "))
	}
	var list []string
	for i := range names.Len() {
		if f.Syntax() == protoreflect.Editions {
			list = append(list, string(names.Get(i)))
		} else {
			list = append(list, strconv.Quote(string(names.Get(i))))
		}
	}
	if slices.Sort(list); len(list) > 0 {
		p.line("reserved %s;", strings.Join(list, ", "))
	}
}

func sortedRanges(r protoreflect.FieldRanges) [][2]protoreflect.FieldNumber {
	out := make([][2]protoreflect.FieldNumber, r.Len())
	for i := range out {
		out[i] = r.Get(i)
	}
	slices.SortFunc(out, func(a, b [2]protoreflect.FieldNumber) int { return cmp.Compare(a[0], b[0]) })
	return out
}

func span(low, high, most int64) string {
	switch {
	case low == high:
		return fmt.Sprint(low)
	case high >= most:
		return fmt.Sprintf("%d to max", low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

func (p *printer) enums(es protoreflect.EnumDescriptors) {
	for _, e := range sortedByName(es.Len(), es.Get) {
		p.block("enum "+string(e.Name()), func() { p.enum(e) })
	}
}

// enum keeps the order of values: the first is the default.
func (p *printer) enum(e protoreflect.EnumDescriptor) {
	p.options(e)
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		options := ""
		if list := p.optionList(v); len(list) > 0 {
			options = " [" + strings.Join(list, ", ") + "]"
		}
		p.line("%s = %d%s;", v.Name(), v.Number(), options)
	}
	all := make([][2]protoreflect.EnumNumber, e.ReservedRanges().Len())
	for i := range all {
		all[i] = e.ReservedRanges().Get(i)
	}
	slices.SortFunc(all, func(a, b [2]protoreflect.EnumNumber) int { return cmp.Compare(a[0], b[0]) })
	var ranges []string
	for _, r := range all {
		ranges = append(ranges, span(int64(r[0]), int64(r[1]), math.MaxInt32))
	}
	p.reservedList(ranges, e.ReservedNames(), e.ParentFile())
}

func (p *printer) extensions(xs protoreflect.ExtensionDescriptors) {
	for _, x := range sortedByName(xs.Len(), xs.Get) {
		p.block("extend ."+string(x.ContainingMessage().FullName()), func() { p.field(x) })
	}
}

func (p *printer) service(s protoreflect.ServiceDescriptor) {
	p.block("service "+string(s.Name()), func() {
		p.options(s)
		for _, m := range sortedByName(s.Methods().Len(), s.Methods().Get) {
			stream := func(is bool) string {
				if is {
					return "stream "
				}
				return ""
			}
			head := fmt.Sprintf("rpc %s(%s.%s) returns (%s.%s)", m.Name(), stream(m.IsStreamingClient()), m.Input().FullName(), stream(m.IsStreamingServer()), m.Output().FullName())
			p.block(head, func() { p.options(m) })
		}
	})
}

func (p *printer) options(d protoreflect.Descriptor) {
	for _, o := range p.optionList(d) {
		p.line("option %s;", o)
	}
}

// optionList prints what options say, also those that the schema's files
// declare, by number.
func (p *printer) optionList(d protoreflect.Descriptor) (out []string) {
	options := d.Options()
	if options == nil || !options.ProtoReflect().IsValid() {
		return nil
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(options)
	if err != nil || len(data) == 0 {
		return nil
	}
	known := options.ProtoReflect().New()
	if err := (proto.UnmarshalOptions{Resolver: p.schema.types}).Unmarshal(data, known.Interface()); err != nil {
		return nil
	}
	for _, f := range setFields(known) {
		name := string(f.Name())
		if f.IsExtension() {
			name = "(." + string(f.FullName()) + ")"
		}
		values := []protoreflect.Value{known.Get(f)}
		if f.IsList() {
			values = nil
			for i := range known.Get(f).List().Len() {
				values = append(values, known.Get(f).List().Get(i))
			}
		}
		if f.IsMap() || name == "map_entry" {
			continue
		}
		for _, v := range values {
			out = append(out, name+" = "+literal(f, v))
		}
	}
	return out
}

func setFields(m protoreflect.Message) (out []protoreflect.FieldDescriptor) {
	m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		out = append(out, f)
		return true
	})
	slices.SortFunc(out, func(a, b protoreflect.FieldDescriptor) int { return cmp.Compare(a.Number(), b.Number()) })
	return out
}

// literal is one value as an option has it.
func literal(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if f.Message() == nil {
		return scalar(f, v)
	}
	var parts []string
	for _, in := range setFields(v.Message()) {
		name := string(in.Name())
		if in.IsExtension() {
			name = "[" + string(in.FullName()) + "]"
		}
		of := v.Message().Get(in)
		switch {
		case in.IsList():
			for i := range of.List().Len() {
				parts = append(parts, name+": "+literal(in, of.List().Get(i)))
			}
		case in.IsMap():
			parts = append(parts, mapLiterals(name, in, of.Map())...)
		default:
			parts = append(parts, name+": "+literal(in, of))
		}
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func mapLiterals(name string, f protoreflect.FieldDescriptor, m protoreflect.Map) (out []string) {
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		out = append(out, fmt.Sprintf("%s: { key: %s, value: %s }", name, scalar(f.MapKey(), k.Value()), literal(f.MapValue(), v)))
		return true
	})
	slices.Sort(out)
	return out
}

func scalar(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch f.Kind() {
	case protoreflect.StringKind:
		return quote(v.String())
	case protoreflect.BytesKind:
		return quote(string(v.Bytes()))
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByNumber(v.Enum()); e != nil {
			return string(e.Name())
		}
		return fmt.Sprint(v.Enum())
	case protoreflect.FloatKind:
		return float(v.Float(), 32)
	case protoreflect.DoubleKind:
		return float(v.Float(), 64)
	}
	return fmt.Sprint(v.Interface())
}

func float(f float64, bits int) string {
	return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, bits), "+")) // inf, nan
}

// quote is a string literal of protobuf: what is not plain is in octal.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c <= '~':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
