// Package avro is schemas of Apache Avro 1.12: parsing, canonical form,
// resolution and validation, over github.com/twmb/avro.
package avro

import (
	"errors"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Source is a schema's text.
type Source struct {
	File string // for messages
	Text string
}

// Schema is a parsed schema, safe for concurrent use.
type Schema struct {
	file   string
	schema *twmb.Schema
}

// Parse reads a schema; refs are the schemas whose named types it uses, each
// after those that it needs itself. Errors: *verdict.Malformed.
func Parse(src Source, refs ...Source) (*Schema, error) {
	var cache twmb.SchemaCache
	for _, r := range refs {
		if _, err := cache.Parse(r.Text); err != nil {
			return nil, &verdict.Malformed{Place: verdict.Place{File: r.File}, Detail: err.Error()}
		}
	}
	s, err := cache.Parse(src.Text)
	if err != nil {
		return nil, &verdict.Malformed{Place: verdict.Place{File: src.File}, Detail: err.Error()}
	}
	return &Schema{file: src.File, schema: s}, nil
}

// Canonical is the Parsing Canonical Form.
func (s *Schema) Canonical() string { return string(s.schema.Canonical()) }

// Name is the full name of a named type, "" of others.
func (s *Schema) Name() string {
	root := s.schema.Root()
	if root.Namespace == "" {
		return root.Name
	}
	return root.Namespace + "." + root.Name
}

// Validate reports whether data is one datum of the schema, whole and nothing
// more, as *verdict.Invalid.
func (s *Schema) Validate(data []byte) error {
	var v any
	rest, err := s.schema.Decode(data, &v, twmb.AliasInput())
	if err != nil {
		return &verdict.Invalid{Detail: err.Error()}
	}
	if len(rest) > 0 {
		return &verdict.Invalid{Detail: "bytes are left over after the datum"}
	}
	return nil
}

// CanRead lists all that keeps readers with this schema from reading what was
// written with another.
func (s *Schema) CanRead(writer *Schema) []verdict.Problem {
	err := twmb.CheckCompatibility(writer.schema, s.schema)
	var c *twmb.CompatibilityError
	if !errors.As(err, &c) {
		return nil
	}
	return []verdict.Problem{{
		Kind: verdict.Type, Path: c.Path, Detail: c.Detail,
		Reader: verdict.Place{File: s.file}, Writer: verdict.Place{File: writer.file},
	}}
}
