package avro

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/wire"
)

// MaxDefinition is the length of the longest schema that is read, in bytes.
const MaxDefinition = 1 << 20

// Version is one version of a schema. It never changes.
type Version struct {
	Name       string    // REGISTRY/NAME
	Version    string    // its semantic version, "1.2.0"; "" where the source does not say
	UUID       wire.UUID // its id in a Glue registry; zero where it has none
	ID         uint32    // its id in a Confluent registry; 0 where it has none
	Definition string    // the text of the schema, whole: without references to others

	schema      *twmb.Schema
	fingerprint uint64
	record      string // the name of the record, which paths begin with
}

// NewVersion reads a schema, for sources of one's own. Fields that it does not
// set may be set until the version is handed on.
func NewVersion(name, version, definition string) (*Version, error) {
	return parse(&Version{Name: name, Version: version, Definition: definition})
}

func parse(v *Version, opts ...twmb.SchemaOpt) (*Version, error) {
	if len(v.Definition) > MaxDefinition {
		return nil, fmt.Errorf("%s: the schema is longer than %d bytes", v, MaxDefinition)
	}
	schema, err := lenient(v.Definition, func(text string) (*twmb.Schema, error) { return twmb.Parse(text, opts...) })
	if err != nil {
		return nil, fmt.Errorf("%s: the schema does not parse: %w", v, err)
	}
	v.schema, v.record = schema, schema.Root().Name
	v.fingerprint = binary.BigEndian.Uint64(schema.Fingerprint(twmb.NewRabin()))
	return v, nil
}

// Schema is the parsed schema.
func (v *Version) Schema() *twmb.Schema { return v.schema }

// Fingerprint is the CRC-64-AVRO of the Parsing Canonical Form, which is blind
// to documentation, defaults, aliases and logical types.
func (v *Version) Fingerprint() uint64 { return v.fingerprint }

// String is REGISTRY/NAME@VERSION.
func (v *Version) String() string {
	switch {
	case v.Version != "":
		return v.Name + "@" + v.Version
	case v.UUID != wire.UUID{}:
		return v.Name + " (" + v.UUID.String() + ")"
	}
	return v.Name
}

// ErrForm is a version that cannot be named in a form.
var ErrForm = errors.New("the schema version cannot be named in this form")

// Reference names the version in one of the forms.
func (v *Version) Reference(form wire.Form) (wire.Reference, error) {
	r := wire.Reference{Form: form}
	switch form {
	case wire.Glue:
		r.UUID = v.UUID
	case wire.Confluent:
		r.ID = v.ID
	case wire.SingleObject:
		r.Fingerprint = v.fingerprint
	case wire.Named:
		if r.Version = v.Version; v.Version != "" {
			r.Name = v.Name
		}
	}
	if r == (wire.Reference{Form: form}) && form != wire.None {
		return r, fmt.Errorf("%w: %s has nothing that the form %s needs", ErrForm, v, form)
	}
	return r, nil
}

// is reports whether a reference names this version.
func (v *Version) is(r wire.Reference) bool {
	switch r.Form {
	case wire.Glue:
		return v.UUID == r.UUID
	case wire.Confluent:
		return v.ID != 0 && v.ID == r.ID
	case wire.SingleObject:
		return v.fingerprint == r.Fingerprint
	case wire.Named:
		return r.Version != "" && v.Version == r.Version && sameName(v.Name, r.Name)
	}
	return false
}

// sameName compares names of which either may be an ARN.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	ra, na, ok := wire.SplitName(a)
	rb, nb, ok2 := wire.SplitName(b)
	return ok && ok2 && ra == rb && na == nb
}

// Sum is the sha256 that a lock file keeps of texts, one after the other, in hex:
// with ends of lines as LF, so that a checkout on Windows is the same.
func Sum(texts ...[]byte) string {
	h := sha256.New()
	for _, t := range texts {
		h.Write(bytes.ReplaceAll(t, []byte("\r\n"), []byte("\n")))
	}
	return hex.EncodeToString(h.Sum(nil))
}
