package contract

import (
	"github.com/dhowhq/dhow/contract/protobuf"
	"github.com/dhowhq/dhow/contract/verdict"
)

func parseProtobuf(src Source) (Schema, error) {
	refs := make([]protobuf.Source, len(src.Refs))
	for i, r := range src.Refs {
		refs[i] = protobuf.Source{File: r.File, Text: r.Text}
	}
	s, err := protobuf.Parse(protobuf.Source{File: src.File, Text: src.Text}, refs...)
	if err != nil {
		return nil, err
	}
	return protobufSchema{s, src}, nil
}

// protobufSchema has ValidateMessage as well, for a payload whose header says
// which of the schema's messages it is.
type protobufSchema struct {
	*protobuf.Schema
	source Source
}

func (s protobufSchema) Source() Source { return s.source }

func (s protobufSchema) CanRead(writer Schema) []verdict.Problem {
	w, ok := writer.(protobufSchema)
	if !ok {
		return otherFormat(s, writer)
	}
	return s.Schema.CanRead(w.Schema)
}
