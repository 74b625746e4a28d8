package jsonschema

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// appendJSON appends a value as RFC 8785 has it: no spaces, keys in the order of
// their UTF-16 units, numbers as ECMAScript prints them. Numbers that a double
// would change stay as they are written: a schema that means 2^53+1 says so.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v)
	case json.Number:
		return append(b, number(string(v))...)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, k := range slices.SortedFunc(maps.Keys(v), byUTF16) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendJSON(b, v[k])
		}
		return append(b, '}')
	}
	panic("no JSON value")
}

func byUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		default:
			if at := strings.IndexByte("\b\t\n\f\r", c); at >= 0 {
				b = append(b, '\\', "btnfr"[at])
			} else {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(b, '"')
}

func number(text string) string {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	short := ecma(f)
	was, ok1 := new(big.Rat).SetString(text)
	is, ok2 := new(big.Rat).SetString(short)
	if ok1 && ok2 && was.Cmp(is) == 0 {
		return short
	}
	return text
}

// ecma prints a double as ECMAScript's Number::toString does.
func ecma(f float64) string {
	if f == 0 {
		return "0"
	}
	if abs := max(f, -f); abs >= 1e21 || abs < 1e-6 {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		return strings.Replace(strings.Replace(s, "e-0", "e-", 1), "e+0", "e+", 1)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// What keywords hold, for the canonical form: annotations that no validation
// looks at go, sets are sorted, schemas within are done likewise, and all else
// stays as it is.
var (
	documentation = []string{"title", "description", "$comment", "examples"}
	annotations   = append([]string{"default", "deprecated", "readOnly", "writeOnly"}, documentation...)
	sets          = []string{"required", "type", "enum"}
	oneSchema     = []string{"not", "if", "then", "else", "additionalProperties", "additionalItems", "propertyNames", "contains", "items", "unevaluatedProperties", "unevaluatedItems", "contentSchema"}
	listOfSchema  = []string{"allOf", "anyOf", "oneOf", "prefixItems", "items"}
	mapOfSchema   = []string{"properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"}
)

// bare is a schema without some annotations and with its sets sorted.
func bare(schema any, drop []string) any {
	obj, ok := schema.(map[string]any)
	if !ok {
		return schema
	}
	out := make(map[string]any, len(obj))
	for k, v := range obj {
		if !slices.Contains(drop, k) {
			out[k] = bareKeyword(k, v, drop)
		}
	}
	return out
}

func bareKeyword(k string, v any, drop []string) any {
	switch v := v.(type) {
	case map[string]any:
		if slices.Contains(mapOfSchema, k) {
			out := make(map[string]any, len(v))
			for name, s := range v {
				out[name] = bare(s, drop)
			}
			return out
		}
		if slices.Contains(oneSchema, k) {
			return bare(v, drop)
		}
	case []any:
		if slices.Contains(listOfSchema, k) {
			out := make([]any, len(v))
			for i, s := range v {
				out[i] = bare(s, drop)
			}
			return out
		}
		if slices.Contains(sets, k) {
			return sorted(v)
		}
	}
	return v
}

func sorted(set []any) []any {
	return slices.SortedFunc(slices.Values(set), func(a, b any) int {
		return slices.Compare(appendJSON(nil, a), appendJSON(nil, b))
	})
}
