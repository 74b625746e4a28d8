// Package contract is schemas of messages: what a message must look like, who
// can read whom, what a change of a schema means for its version.
//
// Avro, JSON Schema and Protobuf are behind one interface, [Schema]; each has a
// package of its own below this one.
package contract

import (
	"fmt"

	"github.com/dhowhq/dhow/contract/avro"
	"github.com/dhowhq/dhow/contract/verdict"
)

// Format is a schema language, by its name in the Glue Schema Registry.
type Format string

const (
	Avro     Format = "AVRO"
	JSON     Format = "JSON"
	Protobuf Format = "PROTOBUF"
)

// Source is the text of a schema and of those that it refers to.
type Source struct {
	Format Format
	File   string // a name for messages, "order.avsc"; may be ""
	Text   string
	Lines  []verdict.Place // where each line was made from, if the text is made from another, as of .avdl; else nil
	Refs   []Source        // what it refers to, each after those that it needs itself; of these only File, Text and Lines count
}

// Schema is a parsed schema, safe for concurrent use.
type Schema interface {
	Source() Source

	// Name is the name of the message that it describes: an Avro full name, a
	// Protobuf message, a JSON Schema's $id or title. "" where it has none.
	Name() string

	// Canonical is the same for schemas that differ in form alone: of Avro the
	// Parsing Canonical Form, which also leaves out defaults and documentation.
	Canonical() string

	// Meaning is the canonical form and all that readers and writers act on
	// beyond it, as defaults are. Schemas of one meaning differ in
	// documentation alone.
	Meaning() string

	// Validate reports whether a payload, without any header, is one message of
	// the schema. Its errors are *verdict.Invalid. Time and memory are bounded
	// by the payload's length whatever its bytes say.
	Validate(payload []byte) error

	// CanRead lists all that keeps readers with this schema from reading what
	// was written with another one of the same format. None: they always can.
	CanRead(writer Schema) []verdict.Problem
}

// Parse reads a schema. Its errors are *verdict.Malformed.
func Parse(src Source) (Schema, error) {
	switch src.Format {
	case Avro:
		refs := make([]avro.Source, len(src.Refs))
		for i, r := range src.Refs {
			refs[i] = avro.Source{File: r.File, Text: r.Text, Lines: r.Lines}
		}
		s, err := avro.Parse(avro.Source{File: src.File, Text: src.Text, Lines: src.Lines}, refs...)
		if err != nil {
			return nil, err
		}
		return avroSchema{s, src}, nil
	}
	return nil, &verdict.Malformed{Place: verdict.Place{File: src.File}, Detail: fmt.Sprintf("schemas of format %q are not known", src.Format)}
}

type avroSchema struct {
	*avro.Schema
	source Source
}

func (s avroSchema) Source() Source { return s.source }

func (s avroSchema) CanRead(writer Schema) []verdict.Problem {
	w, ok := writer.(avroSchema)
	if !ok {
		return otherFormat(s, writer)
	}
	return s.Schema.CanRead(w.Schema)
}

// otherFormat is the problem of two schema languages.
func otherFormat(reader, writer Schema) []verdict.Problem {
	r, w := reader.Source(), writer.Source()
	return []verdict.Problem{{
		Kind: verdict.Type, Path: reader.Name(),
		Reader: verdict.Place{File: r.File}, Writer: verdict.Place{File: w.File},
		Detail: fmt.Sprintf("%s cannot be read as %s", w.Format, r.Format),
	}}
}
