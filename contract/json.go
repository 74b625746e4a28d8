package contract

import (
	"github.com/dhowhq/dhow/contract/jsonschema"
	"github.com/dhowhq/dhow/contract/verdict"
)

func parseJSON(src Source) (Schema, error) {
	refs := make([]jsonschema.Source, len(src.Refs))
	for i, r := range src.Refs {
		refs[i] = jsonschema.Source{File: r.File, Text: r.Text}
	}
	s, err := jsonschema.Parse(jsonschema.Source{File: src.File, Text: src.Text}, refs...)
	if err != nil {
		return nil, err
	}
	return jsonSchema{s, src}, nil
}

type jsonSchema struct {
	*jsonschema.Schema
	source Source
}

func (s jsonSchema) Source() Source { return s.source }

func (s jsonSchema) CanRead(writer Schema) []verdict.Problem {
	w, ok := writer.(jsonSchema)
	if !ok {
		return otherFormat(s, writer)
	}
	return s.Schema.CanRead(w.Schema)
}
