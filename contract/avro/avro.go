// Package avro is schemas of Apache Avro 1.12: parsing with places, canonical
// form, resolution, validation, JSON. github.com/twmb/avro, which programs use
// to read and write, is the other half: what it does with data and what this
// package says of data are held together by tests.
package avro

import (
	"crypto/md5"
	"crypto/sha256"
	"strings"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Source is a schema's text.
type Source struct {
	File  string // for messages
	Text  string
	Lines []verdict.Place // where each line was made from, if the text is made from another; else nil
}

// Schema is a parsed schema, safe for concurrent use.
type Schema struct {
	root      *typ
	canonical string
	meaning   string
}

// maxText bounds a schema's text, in bytes. Glue's own limit is 170,000.
const maxText = 4 << 20

// Parse reads a schema; refs are the schemas whose named types it uses, each
// after those that it needs itself; one that comes twice counts once. Errors
// are *verdict.Malformed with file and line.
func Parse(src Source, refs ...Source) (*Schema, error) {
	p := &parser{names: map[string]*typ{}, coming: map[string]verdict.Place{}}
	read := map[string]bool{}
	for _, r := range refs {
		if read[r.Text] {
			continue
		}
		read[r.Text] = true
		if _, err := p.source(r); err != nil {
			return nil, err
		}
	}
	root, err := p.source(src)
	if err != nil {
		return nil, err
	}
	if err := p.checkDefaults(); err != nil {
		return nil, err
	}
	for _, t := range p.types {
		t.leastBytes()
	}
	return &Schema{root: root, canonical: text(root, false), meaning: text(root, true)}, nil
}

// Canonical is the Parsing Canonical Form.
func (s *Schema) Canonical() string { return s.canonical }

// Meaning is the canonical form and what readers act on beyond it: defaults,
// aliases, logical types. It is a schema itself, whole without those that the
// source refers to.
func (s *Schema) Meaning() string { return s.meaning }

// CRC64 is the CRC-64-AVRO fingerprint of the canonical form, which single
// objects carry in little-endian order.
func (s *Schema) CRC64() uint64 {
	h := twmb.NewRabin()
	h.Write([]byte(s.canonical))
	return h.Sum64()
}

// MD5 is the MD5 fingerprint of the canonical form.
func (s *Schema) MD5() [md5.Size]byte { return md5.Sum([]byte(s.canonical)) }

// SHA256 is the SHA-256 fingerprint of the canonical form.
func (s *Schema) SHA256() [sha256.Size]byte { return sha256.Sum256([]byte(s.canonical)) }

// Name is the full name of a named type, "" of others.
func (s *Schema) Name() string { return s.root.name }

// kind is the type of a type.
type kind byte

const (
	kindNull kind = iota
	kindBoolean
	kindInt
	kindLong
	kindFloat
	kindDouble
	kindBytes
	kindString
	kindRecord
	kindEnum
	kindArray
	kindMap
	kindUnion
	kindFixed
)

var kindNames = [...]string{
	"null", "boolean", "int", "long", "float", "double", "bytes", "string",
	"record", "enum", "array", "map", "union", "fixed",
}

func (k kind) String() string { return kindNames[k] }

var primitives = map[string]kind{
	"null": kindNull, "boolean": kindBoolean, "int": kindInt, "long": kindLong,
	"float": kindFloat, "double": kindDouble, "bytes": kindBytes, "string": kindString,
}

// typ is one type of a schema. A named type is one value wherever it is used,
// so that recursion is a cycle of pointers.
type typ struct {
	kind      kind
	name      string // full, of records, enums and fixed
	aliases   []string
	place     verdict.Place
	fields    []field        // of records
	index     map[string]int // field names, then aliases, or symbols, to their number
	symbols   []symbol       // of enums
	fallback  string         // the default symbol of enums
	falls     bool           // whether there is one
	size      int            // of fixed
	items     *typ           // of arrays; the values of maps
	branches  []*typ         // of unions
	logical   string         // a logical type that is known and in order, else ""
	precision int            // of decimals
	scale     int
	limits    limits // what the logical type asks of values
	least     int    // bytes that a datum has at least; -1 before it is known
}

type field struct {
	name     string
	aliases  []string
	place    verdict.Place
	typ      *typ
	fallback *value // the default; nil for none
}

type symbol struct {
	name  string
	place verdict.Place
}

// label is what messages call a type: "string", "record shop.Order".
func (t *typ) label() string {
	switch {
	case t.name != "":
		return t.kind.String() + " " + t.name
	case t.kind == kindUnion:
		names := make([]string, 0, 5)
		for i, b := range t.branches {
			if i == 4 {
				names = append(names, "…")
				break
			}
			names = append(names, b.label())
		}
		return "union [" + strings.Join(names, ", ") + "]"
	}
	return t.kind.String()
}

// short is a name without its namespace.
func short(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// space is the namespace of a full name.
func space(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

// leastBytes is how many bytes a datum of t has at least: 0 only for types whose
// every datum has none, maxLeast for records that hold themselves without end,
// of which there is no datum.
func (t *typ) leastBytes() int {
	if t.least >= 0 {
		return t.least
	}
	switch t.kind {
	case kindNull:
		t.least = 0
	case kindFloat:
		t.least = 4
	case kindDouble:
		t.least = 8
	case kindFixed:
		t.least = t.size
	case kindRecord:
		t.least = maxLeast // for those who ask meanwhile: they need themselves
		n := 0
		for i := range t.fields {
			n = min(n+t.fields[i].typ.leastBytes(), maxLeast)
		}
		t.least = n
	default:
		t.least = 1
	}
	return t.least
}

// maxLeast keeps sums of sizes from running over.
const maxLeast = 1 << 40
