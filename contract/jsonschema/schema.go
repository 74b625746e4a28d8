// Package jsonschema is schemas of JSON Schema, drafts 4 to 2020-12: parsing,
// canonical form, comparison and validation, over
// github.com/santhosh-tekuri/jsonschema/v6.
//
// Nothing is ever fetched: a $ref leads within its schema or to one of the given
// references. A schema without $schema is of draft 7.
package jsonschema

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Source is a schema's text.
type Source struct {
	File string // for messages, and what a $ref calls it
	Text string
}

// Bounds of a schema with its references. Glue allows 170,000 characters; the
// library compiles in the square of the number of subschemas.
const (
	MaxText    = 1 << 20 // bytes of all texts
	maxObjects = 20_000  // JSON objects in them
)

// base is what file names are relative to, where a schema has no $id.
const base = "dhow:///"

var english = message.NewPrinter(language.English)

// Schema is a parsed schema, safe for concurrent use.
type Schema struct {
	doc      any
	whole    string          // its canonical form and those of its references, with defaults
	files    map[string]file // by the URL that the library knows them by
	compiled *js.Schema
	count    *counter // in compiled; nil where work is bounded anyway
}

// file is one text, to say where something is declared.
type file struct {
	name  string
	lines map[string]int // by JSON pointer
}

// Parse reads a schema; refs are the schemas that its $refs lead to, by the names
// of their files or by their own $id. Errors: *verdict.Malformed.
func Parse(src Source, refs ...Source) (*Schema, error) {
	p := parser{docs: map[string]any{}, schema: &Schema{files: map[string]file{}}}
	if err := p.read(src, refs); err != nil {
		return nil, err
	}
	s, err := p.compile(nil)
	if err != nil {
		return nil, p.malformed(src, err)
	}
	p.schema.compiled = s
	if !bounded(s) {
		p.schema.count = &counter{}
		if p.schema.compiled, err = p.compile(p.schema.count); err != nil {
			return nil, p.malformed(src, err)
		}
	}
	return p.schema, nil
}

type parser struct {
	root    string         // the schema's URL
	docs    map[string]any // by every URL by which a $ref may call them
	objects int
	schema  *Schema
}

func (p *parser) read(src Source, refs []Source) error {
	size := len(src.Text)
	bases := []string{base}
	docs := make([]any, len(refs)+1)
	files := make([]file, len(refs)+1)
	for i, r := range append([]Source{src}, refs...) {
		if i > 0 {
			size += len(r.Text)
		}
		if size > MaxText {
			return malformed(r.File, 0, "more than %d bytes of schema with its references", MaxText)
		}
		doc, lines, err := decodeLines(r.Text)
		if err != nil {
			return malformed(r.File, err.(*syntaxError).line, "%v", err)
		}
		if at, err := p.check(doc, nil); err != nil {
			return malformed(r.File, lines[pointer(at)], "%v", err)
		}
		docs[i], files[i] = doc, file{r.File, lines}
		if id := idOf(doc); id != "" {
			bases = append(bases, id)
		}
	}
	p.root = join(base, nameOf(src.File))
	for i, r := range append([]Source{src}, refs...) {
		p.add(nameOf(r.File), docs[i], files[i], bases)
	}
	p.schema.doc = docs[0]
	for i, doc := range docs {
		if i > 0 { // references go by their files
			p.schema.whole += files[i].name + " "
		}
		p.schema.whole += string(appendJSON(nil, bare(doc, documentation))) + "\n"
	}
	return nil
}

// add makes a text known by its file's name, as relative to whatever may refer
// to it, and by its own $id.
func (p *parser) add(name string, doc any, f file, bases []string) {
	names := []string{idOf(doc)}
	for _, b := range bases {
		names = append(names, join(b, name))
	}
	for _, n := range names {
		n, _, _ = strings.Cut(n, "#")
		if _, taken := p.docs[n]; taken || n == "" {
			continue
		}
		p.docs[n], p.schema.files[n] = doc, f
	}
}

func nameOf(file string) string { return cmp.Or(file, "schema.json") }

func join(base, name string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ""
	}
	ref, err := url.Parse(name)
	if err != nil || ref.Scheme == "" {
		ref = &url.URL{Path: name}
	}
	return b.ResolveReference(ref).String()
}

// idOf is the absolute URL by which a schema calls itself.
func idOf(doc any) string {
	obj, _ := doc.(map[string]any)
	for _, k := range []string{"$id", "id"} {
		if id, ok := obj[k].(string); ok && strings.Contains(id, ":") {
			return strings.TrimSuffix(id, "#")
		}
	}
	return ""
}

// check refuses what the library takes the wrong way: sizes that overflow, and
// more of all than it can compile in time.
func (p *parser) check(v any, path []string) (at []string, err error) {
	switch v := v.(type) {
	case map[string]any:
		if p.objects++; p.objects > maxObjects {
			return path, fmt.Errorf("more than %d objects in a schema with its references", maxObjects)
		}
		for k, e := range v {
			if at, err := p.check(e, append(path, k)); err != nil {
				return at, err
			}
			if err := checkSize(k, e); err != nil {
				return append(path, k), err
			}
		}
	case []any:
		for i, e := range v {
			if at, err := p.check(e, append(path, fmt.Sprint(i))); err != nil {
				return at, err
			}
		}
	}
	return nil, nil
}

func (p *parser) compile(count *counter) (*js.Schema, error) {
	c := js.NewCompiler()
	c.DefaultDraft(js.Draft7)
	c.UseLoader(p)
	c.UseRegexpEngine(compilePattern)
	if count != nil {
		c.RegisterVocabulary(count.vocabulary())
		c.AssertVocabs()
	}
	return c.Compile(p.root)
}

// Load is the library's way to ask for a text.
func (p *parser) Load(url string) (any, error) {
	if doc, ok := p.docs[url]; ok {
		return doc, nil
	}
	return nil, fmt.Errorf("it is not among the references that came with the schema, and nothing is fetched")
}

func malformed(file string, line int, format string, args ...any) error {
	return &verdict.Malformed{Place: verdict.Place{File: file, Line: line}, Detail: fmt.Sprintf(format, args...)}
}

// malformed puts what the library says into words and at its place.
func (p *parser) malformed(src Source, err error) error {
	var (
		invalid *js.SchemaValidationError
		detail  *js.ValidationError
		load    *js.LoadURLError
		regex   *js.InvalidRegexError
	)
	switch {
	case errors.As(err, &invalid) && errors.As(invalid.Err, &detail):
		leaf := deepest(detail)
		at := p.place(invalid.URL, leaf.InstanceLocation)
		return &verdict.Malformed{Place: at, Detail: fmt.Sprintf("%s: %s", dollar(leaf.InstanceLocation), leaf.ErrorKind.LocalizedString(english))}
	case errors.As(err, &load):
		return malformed(src.File, p.lineOf(load.URL), "%s cannot be referred to: %v", strings.TrimPrefix(load.URL, base), load.Err)
	case errors.As(err, &regex):
		return &verdict.Malformed{Place: p.place(regex.URL, nil), Detail: fmt.Sprintf("pattern %q: %v", regex.Regex, regex.Err)}
	}
	return malformed(src.File, 1, "%s", strings.ReplaceAll(err.Error(), base, ""))
}

// lineOf is where the schema first says a URL, or its last part.
func (p *parser) lineOf(ref string) int {
	last := ref[strings.LastIndexByte(ref, '/')+1:]
	best := 0
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				if s, ok := e.(string); ok && strings.Contains(s, last) && (k == "$ref" || k == "$schema") {
					if l := p.schema.files[p.root].lines[pointer(append(path, k))]; best == 0 || l < best {
						best = l
					}
				}
				walk(e, append(path, k))
			}
		case []any:
			for i, e := range v {
				walk(e, append(path, fmt.Sprint(i)))
			}
		}
	}
	walk(p.schema.doc, nil)
	return best
}

func (p *parser) place(location string, path []string) verdict.Place {
	return p.schema.place(location, path...)
}

// place is where in the texts a schema's location is, and a path from there.
func (s *Schema) place(location string, path ...string) verdict.Place {
	at, fragment, _ := strings.Cut(location, "#")
	if un, err := url.PathUnescape(fragment); err == nil {
		fragment = un
	}
	f := s.files[at]
	return verdict.Place{File: f.name, Line: f.lines[fragment+pointer(path)]}
}

// Name is the schema's $id, else its title, else "".
func (s *Schema) Name() string {
	obj, _ := s.doc.(map[string]any)
	for _, k := range []string{"$id", "id", "title"} {
		if name, ok := obj[k].(string); ok && name != "" {
			return name
		}
	}
	return ""
}

// Canonical is the schema as RFC 8785 prints it, without annotations (title,
// description, default, examples and the like) and with required, type and enum
// in order. References stay references.
func (s *Schema) Canonical() string { return string(appendJSON(nil, bare(s.doc, annotations))) }

// Meaning is the canonical form with defaults and with all that it refers to.
func (s *Schema) Meaning() string { return s.whole }
