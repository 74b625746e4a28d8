package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/verdict"
	"github.com/dhowhq/dhow/contract/wire"
)

// check decides on a message: the version that it counts for, and why it is not
// taken.
func (p *plan) check(m wire.Message) (*version, error) {
	d, err := wire.Decoder{}.Decode(m)
	if err != nil {
		if v := p.plain(m, err); v != nil {
			return v, nil
		}
		return p.none, p.refuse("", "the message cannot be taken apart: %v", err)
	}
	if d.Form == wire.None {
		return p.unnamed(m, d)
	}
	v := p.find(d.Reference)
	if v.unknown && d.Form != wire.Named {
		if v := p.plain(m, nil); v != nil {
			return v, nil
		}
	}
	if v.bad != nil {
		return v, v.bad
	}
	if err := v.validate(d); err != nil {
		return v, p.refuse(v.Semver, "the message is not of %s@%s, which it names: %s: correct it, or name the version that it was written with%s", p.name(), v.Semver, detail(err), twice(d))
	}
	return v, nil
}

// twice says of a message that is named beside its payload that the payload begins
// like a header, which is read as part of it.
func twice(d wire.Decoded) string {
	h, _, err := wire.SplitHeader(d.Payload)
	if d.Form != wire.Named || d.JSON || err != nil || h.Form == wire.None {
		return ""
	}
	return fmt.Sprintf(". Its payload begins like a header of the form %s: where dataschema names the schema there is none, so leave out one of the two", h.Form)
}

// detail is what is wrong with a message.
func detail(err error) string {
	var bad *verdict.Invalid
	if errors.As(err, &bad) && bad.Path == "" {
		return bad.Detail
	}
	return err.Error()
}

// errText is a text that no form of messages is told by.
var errText = errors.New("its text is neither JSON nor base64 of a payload with a header")

// unnamed decides on a message that names no version: it has to be of the latest
// one that is taken.
func (p *plan) unnamed(m wire.Message, d wire.Decoded) (*version, error) {
	v := p.find(wire.Reference{})
	if v.bad != nil {
		return v, v.bad
	}
	if err := v.validate(d); err != nil {
		if m.Text && !d.JSON && bytes.Equal(m.Body, d.Payload) {
			err = errText // what a text is as a datum helps nobody
		}
		return p.none, p.refuse(v.Semver, "the message does not say which version of %s it is, and is not of %s, the latest that %s takes: %s: name the version by a header (Glue, Confluent or single-object), or in dataschema and dataschemaversion",
			p.name(), v.Semver, p.target.kind(), detail(err))
	}
	return v, nil
}

// plain tries a message whose first bytes look like a header that is none, for
// a payload without one may begin so; nil where it is not of the latest version
// either. err is what was wrong with the header.
func (p *plan) plain(m wire.Message, err error) *version {
	var cut *wire.TruncatedError
	if err != nil && !errors.As(err, &cut) {
		return nil
	}
	d, err := wire.Decoder{Only: wire.Only(wire.Named)}.Decode(m)
	if err != nil || d.JSON {
		return nil
	}
	v, err := p.unnamed(m, d)
	if err != nil {
		return nil
	}
	return v
}

// validate says why a payload is not of the version.
func (v *version) validate(d wire.Decoded) error {
	switch v.Format {
	case contract.Avro:
		if d.JSON {
			return validateJSON(v.parsed, d.Payload)
		}
	case contract.Protobuf:
		return validateProtobuf(v.parsed, d)
	}
	return v.parsed.Validate(d.Payload)
}

func validateJSON(s contract.Schema, payload []byte) error {
	r, ok := s.(interface {
		FromJSON(text []byte) ([]byte, error)
	})
	if !ok {
		return errors.New("it is JSON, which is not checked against schemas of its format: send it in binary")
	}
	_, err := r.FromJSON(payload)
	return err
}

// protobufSchema is what schemas of Protobuf are besides.
type protobufSchema interface {
	ValidateMessage(indexes []int, payload []byte) error
	GlueIndexes(number uint64) (indexes []int, ok bool)
}

// validateProtobuf takes off what Confluent's and Glue's forms have before a
// payload: which message of the schema it is.
func validateProtobuf(s contract.Schema, d wire.Decoded) error {
	if d.JSON {
		return errors.New("it is JSON, which is not checked against schemas of Protobuf: send it in binary")
	}
	p, ok := s.(protobufSchema)
	switch {
	case !ok:
		return errors.New("schemas of Protobuf are not known")
	case d.Form == wire.Confluent:
		indexes, rest, err := wire.SplitIndexes(nil, d.Payload)
		if err != nil {
			return err
		}
		return p.ValidateMessage(indexes, rest)
	case d.Form != wire.Glue:
		return s.Validate(d.Payload)
	}
	number, n := binary.Uvarint(d.Payload)
	indexes, ok := p.GlueIndexes(number)
	if n <= 0 || !ok {
		return errors.New("it does not begin with the number of one of the schema's messages, as Glue's form of Protobuf does")
	}
	return p.ValidateMessage(indexes, d.Payload[n:])
}
