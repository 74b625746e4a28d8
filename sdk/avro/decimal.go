package avro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	twmb "github.com/twmb/avro"
)

// lenient calls read, which parses a text by the Avro library, and once more
// without the decimals that are none where the library refuses the text for one: a
// logical type that is not valid is to be ignored ("Logical Types" in the
// specification), so registries take such schemas.
func lenient(text string, read func(string) (*twmb.Schema, error)) (*twmb.Schema, error) {
	s, err := read(text)
	if err == nil {
		return s, nil
	}
	if plain, changed := withoutBadDecimals(text); changed {
		s, again := read(plain)
		if again == nil {
			return s, nil
		}
		err = again
	}
	if text := err.Error(); strings.Contains(text, "encoding default: ") || strings.Contains(text, "union default does not match") {
		err = fmt.Errorf("%w (where a default leaves out fields of a record, write them out: the Avro library does not fill in those of a record that it has not read whole)", err)
	}
	return nil, err
}

// withoutBadDecimals is a schema whose decimals are all valid: others are what
// they are of.
func withoutBadDecimals(text string) (plain string, changed bool) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || !stripDecimals(v) {
		return text, false
	}
	out, err := json.Marshal(v)
	return string(out), err == nil
}

// stripDecimals changes a type, not what stands beside types: defaults may have
// any names.
func stripDecimals(v any) (changed bool) {
	switch v := v.(type) {
	case []any:
		for _, branch := range v {
			changed = stripDecimals(branch) || changed
		}
	case map[string]any:
		if v["logicalType"] == "decimal" && !decimalOK(v) {
			delete(v, "logicalType")
			delete(v, "precision")
			delete(v, "scale")
			changed = true
		}
		for _, key := range []string{"type", "items", "values"} {
			changed = stripDecimals(v[key]) || changed
		}
		fields, _ := v["fields"].([]any)
		for _, f := range fields {
			changed = stripDecimals(f) || changed
		}
	}
	return changed
}

// decimalOK asks the library about one decimal alone.
func decimalOK(o map[string]any) bool {
	alone := map[string]any{"type": "bytes"}
	if o["type"] == "fixed" {
		alone = map[string]any{"type": "fixed", "name": "F", "size": o["size"]}
	}
	for _, key := range []string{"logicalType", "precision", "scale"} {
		if x, ok := o[key]; ok {
			alone[key] = x
		}
	}
	text, err := json.Marshal(alone)
	if err != nil {
		return false
	}
	_, err = twmb.Parse(string(text))
	return err == nil
}
