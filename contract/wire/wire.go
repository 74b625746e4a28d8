// Package wire is how messages say which version of which schema they were
// written with: in a header before the payload, or in an envelope around it.
//
//	Glue           3, compression (0 none, 5 zlib), 16 bytes of the schema version's UUID, payload
//	Confluent      0, 4 bytes of the schema's id, big-endian, payload; of Protobuf a list of indexes first
//	single object  C3 01, 8 bytes of the schema's CRC-64-AVRO, little-endian, payload
//	named          attributes or members dataschema, dataschemaversion, datacontenttype beside the payload
//	none           the payload alone
//
// [Decoder] recognises all of them. Where a body is text, the bytes of the
// first three, and any payload that is not text, travel in base64.
//
// Sources: the serializers of github.com/awslabs/aws-glue-schema-registry
// (SerializationDataEncoder); Confluent's "Wire format" in its documentation of
// serializers; "Single-object encoding" in the specification of Apache Avro;
// CloudEvents 1.0 with its JSON format and its HTTP, Kafka and AMQP bindings.
// The attribute dataschemaversion is dhow's own, named as CloudEvents names
// extensions.
package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Form is a way of naming a schema version.
type Form uint8

const (
	None         Form = iota // nothing says which schema it is
	Glue                     // by the schema version's UUID
	Confluent                // by the number of a schema in a registry
	SingleObject             // by the CRC-64-AVRO fingerprint of the Parsing Canonical Form
	Named                    // by the schema's name and semantic version
)

func (f Form) String() string {
	if int(f) < len(forms) {
		return forms[f]
	}
	return "form " + strconv.Itoa(int(f))
}

var forms = [...]string{"none", "Glue", "Confluent", "single object", "named"}

// Reference names a schema version, in one of the forms. It may be compared and
// be the key of a map.
type Reference struct {
	Form        Form
	UUID        UUID   // of Glue
	ID          uint32 // of Confluent
	Fingerprint uint64 // of SingleObject
	Name        string // of Named: REGISTRY/NAME, or the ARN of a Glue schema
	Version     string // of Named: "1.2.0"; "" where the message does not say
}

func (r Reference) String() string {
	switch r.Form {
	case Glue:
		return "schema version " + r.UUID.String()
	case Confluent:
		return "schema id " + strconv.FormatUint(uint64(r.ID), 10)
	case SingleObject:
		return fmt.Sprintf("fingerprint %016x", r.Fingerprint)
	case Named:
		if r.Version == "" {
			return "schema " + r.Name
		}
		return "schema " + r.Name + "@" + r.Version
	}
	return "no schema"
}

// UUID is the id of a version of a Glue schema, in the order of its text.
type UUID [16]byte

// ErrUUID is a text that is no UUID.
var ErrUUID = errors.New("not a UUID, as in b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63")

// ParseUUID reads the form with four hyphens, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("%q is %w", s, ErrUUID)
	}
	var digits [32]byte
	for _, part := range [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		copy(digits[part[0]-hyphens(part[0]):], s[part[0]:part[1]])
	}
	if _, err := hex.Decode(u[:], digits[:]); err != nil {
		return UUID{}, fmt.Errorf("%q is %w", s, ErrUUID)
	}
	return u, nil
}

// hyphens counts those before a position of a UUID's text.
func hyphens(at int) int {
	n := 0
	for _, h := range [...]int{8, 13, 18, 23} {
		if at > h {
			n++
		}
	}
	return n
}

func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// MarshalText and UnmarshalText are the text form, in JSON files for one.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

func (u *UUID) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUUID(string(text))
	return err
}
