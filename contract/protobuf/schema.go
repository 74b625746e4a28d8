// Package protobuf is schemas of Protocol Buffers: proto2, proto3 and editions.
// Parsing is by github.com/bufbuild/protocompile, what messages and numbers mean
// by google.golang.org/protobuf; canonical form, comparison and validation are
// here.
//
// A schema is one .proto text, and its first message is the schema's, as Glue
// and Confluent have it. It may import the given references and the well-known
// types under google/protobuf/, nothing else.
package protobuf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Source is a schema's text.
type Source struct {
	File string // for messages, and what an import calls it
	Text string
}

// Bounds of a schema with its references. Glue allows 170,000 characters.
const (
	MaxText    = 1 << 20
	maxNesting = 64       // brackets within each other; the compiler recurses as deep
	maxLine    = 16 << 10 // bytes of a line: the compiler finds its columns in quadratic time
)

// tooLong is the number of the first line that is too long, 0 for none.
func tooLong(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		if n++; len(line) > maxLine {
			return n
		}
	}
	return 0
}

// Schema is a parsed schema, safe for concurrent use.
type Schema struct {
	file     protoreflect.FileDescriptor
	named    string // the file's name as the source has it
	types    *protoregistry.Types
	plans    map[protoreflect.FullName]*message
	numbers  []numbered // all messages, in the order of the numbers that Glue gives them
	printed  string
	imported string // what the references print
}

// Parse reads a schema; refs are the files that it imports, by their names.
// Errors: *verdict.Malformed.
func Parse(src Source, refs ...Source) (*Schema, error) {
	name := cmp.Or(src.File, "schema.proto")
	texts := map[string]string{name: src.Text}
	size := len(src.Text)
	for _, r := range refs {
		size += len(r.Text)
		if _, twice := texts[r.File]; twice {
			return nil, malformed(r.File, 0, "two of the files are named %q", r.File)
		}
		texts[r.File] = r.Text
	}
	if size > MaxText {
		return nil, malformed(src.File, 0, "more than %d bytes of schema with its references", MaxText)
	}
	for _, s := range append([]Source{src}, refs...) {
		if line := tooDeep(s.Text); line > 0 {
			return nil, malformed(s.File, line, "more than %d brackets within each other", maxNesting)
		}
		if line := tooLong(s.Text); line > 0 {
			return nil, malformed(s.File, line, "a line of more than %d bytes: break it", maxLine)
		}
	}
	linked, err := compile(name, texts)
	if err != nil {
		return nil, located(src, name, err)
	}
	return build(src, linked)
}

func compile(name string, texts map[string]string) (linker.File, error) {
	c := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(path string) (io.ReadCloser, error) {
				if text, ok := texts[path]; ok {
					return io.NopCloser(strings.NewReader(text)), nil
				}
				return nil, fmt.Errorf("%q is not among the references that came with the schema", path)
			},
		}),
		MaxParallelism: 1,
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := c.Compile(context.Background(), name)
	if err != nil {
		return nil, err
	}
	return files[0], nil
}

// build makes descriptors of google.golang.org/protobuf of what was linked: they
// know the rules of each edition.
func build(src Source, linked linker.File) (*Schema, error) {
	var files protoregistry.Files
	root, err := register(&files, linked)
	if err != nil {
		return nil, malformed(src.File, 1, "%v", err)
	}
	s := &Schema{file: root, named: src.File, types: &protoregistry.Types{}, plans: map[protoreflect.FullName]*message{}, numbers: inOrder(root)}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		s.addExtensions(f)
		return true
	})
	for i := range root.Messages().Len() {
		s.plan(root.Messages().Get(i))
	}
	s.findNeeds()
	s.printed, s.imported = s.print(root), s.printImports(&files)
	return s, nil
}

// register adds a file after those that it imports.
func register(files *protoregistry.Files, f protoreflect.FileDescriptor) (protoreflect.FileDescriptor, error) {
	if have, err := files.FindFileByPath(f.Path()); err == nil {
		return have, nil
	}
	for i := range f.Imports().Len() {
		if _, err := register(files, f.Imports().Get(i).FileDescriptor); err != nil {
			return nil, err
		}
	}
	made, err := protodesc.NewFile(protoutil.ProtoFromFileDescriptor(f), files)
	if err != nil {
		return nil, err
	}
	return made, files.RegisterFile(made)
}

func malformed(file string, line int, format string, args ...any) error {
	return &verdict.Malformed{Place: verdict.Place{File: file, Line: line}, Detail: fmt.Sprintf(format, args...)}
}

// located is an error of the compiler with its place.
func located(src Source, name string, err error) error {
	var at reporter.ErrorWithPos
	if !errors.As(err, &at) {
		return malformed(src.File, 1, "%v", err)
	}
	file, line := at.GetPosition().Filename, at.GetPosition().Line
	if file == name {
		file = src.File
	}
	return malformed(file, line, "%v", at.Unwrap())
}

// tooDeep is the line on which brackets are too deep within each other, 0 for
// none; what is in strings and comments does not count.
func tooDeep(text string) (line int) {
	depth := 0
	line = 1
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\n':
			line++
		case '"', '\'':
			for i++; i < len(text) && text[i] != c && text[i] != '\n'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '/':
			end := comment(text[i:])
			line += strings.Count(text[i:i+end], "\n")
			i += max(end-1, 0)
		case '{', '[', '<', '(':
			if depth++; depth > maxNesting {
				return line
			}
		case '}', ']', '>', ')':
			depth = max(depth-1, 0)
		}
	}
	return 0
}

// comment is how long the comment is that a text begins with, 0 for none.
func comment(text string) int {
	open, close := "//", "\n"
	if strings.HasPrefix(text, "/*") {
		open, close = "/*", "*/"
	}
	if !strings.HasPrefix(text, open) {
		return 0
	}
	if end := strings.Index(text[2:], close); end >= 0 {
		if close == "\n" {
			return end + 2
		}
		return end + 4
	}
	return len(text)
}

// Name is the full name of the first message, "" if there is none.
func (s *Schema) Name() string {
	if m := s.first(); m != nil {
		return string(m.FullName())
	}
	return ""
}

func (s *Schema) first() protoreflect.MessageDescriptor {
	if s.file.Messages().Len() == 0 {
		return nil
	}
	return s.file.Messages().Get(0)
}

// message finds a message by its index and those within it, as Confluent's wire
// form has them.
func (s *Schema) message(indexes []int) (protoreflect.MessageDescriptor, error) {
	if len(indexes) == 0 {
		return nil, errors.New("no index of a message")
	}
	in := s.file.Messages()
	var m protoreflect.MessageDescriptor
	for _, i := range indexes {
		if i < 0 || i >= in.Len() {
			return nil, fmt.Errorf("the schema has no message of index %v", indexes)
		}
		m = in.Get(i)
		in = m.Messages()
	}
	return m, nil
}

// place is where something is declared.
func (s *Schema) place(d protoreflect.Descriptor) verdict.Place {
	if d == nil {
		return verdict.Place{}
	}
	f := d.ParentFile()
	at := verdict.Place{File: f.Path()}
	if f.Path() == s.file.Path() {
		at.File = s.named
	}
	loc := f.SourceLocations().ByDescriptor(declared(d))
	if loc.Path != nil {
		at.Line = loc.StartLine + 1
	}
	return at
}

// declared is what stands in the text for a descriptor: of the key and the value
// of a map, which have no place of their own, the map.
func declared(d protoreflect.Descriptor) protoreflect.Descriptor {
	entry, ok := d.Parent().(protoreflect.MessageDescriptor)
	if !ok || !entry.IsMapEntry() {
		return d
	}
	in := entry.Parent().(protoreflect.MessageDescriptor).Fields()
	for i := range in.Len() {
		if f := in.Get(i); f.IsMap() && f.Message().FullName() == entry.FullName() {
			return f
		}
	}
	return d
}
