package wire

import (
	"encoding/binary"
	"fmt"
)

// Lengths of headers, in bytes.
const (
	GlueHeader         = 18
	ConfluentHeader    = 5
	SingleObjectHeader = 10
)

// The second byte of Glue's header.
const (
	glueVersion = 3
	glueRaw     = 0
	glueZlib    = 5
)

// TruncatedError is a header that ends before its length.
type TruncatedError struct {
	Form       Form
	Have, Want int // bytes
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("the %s header is cut off: %d of %d bytes", e.Form, e.Have, e.Want)
}

// AppendHeader appends the header of the reference; the payload follows as it
// is. Nothing is appended for None and Named. It allocates only to grow dst.
func (r Reference) AppendHeader(dst []byte) []byte {
	switch r.Form {
	case Glue:
		return append(append(dst, glueVersion, glueRaw), r.UUID[:]...)
	case Confluent:
		return binary.BigEndian.AppendUint32(append(dst, 0), r.ID)
	case SingleObject:
		return binary.LittleEndian.AppendUint64(append(dst, 0xC3, 0x01), r.Fingerprint)
	}
	return dst
}

// HeaderLen is how many bytes AppendHeader appends.
func (r Reference) HeaderLen() int { return headerLen(r.Form) }

func headerLen(f Form) int {
	switch f {
	case Glue:
		return GlueHeader
	case Confluent:
		return ConfluentHeader
	case SingleObject:
		return SingleObjectHeader
	}
	return 0
}

// Header is a header that was taken off a message.
type Header struct {
	Reference
	Zlib bool // the payload is compressed; [Inflate] undoes it
}

// SplitHeader takes the header off data, whose first bytes tell which it is,
// and returns what follows. Without a header the whole of data follows, and the
// form is None. It does not allocate but for its errors, *TruncatedError.
//
// First bytes can deceive: a payload without a header may begin like one. Whoever
// knows which forms travel asks a [Decoder] for those.
func SplitHeader(data []byte) (Header, []byte, error) {
	var h Header
	rest, err := h.Split(data, 0)
	return h, rest, err
}

// Split is [SplitHeader] into a zero header, for the forms alone that are looked
// for.
func (h *Header) Split(data []byte, only Forms) ([]byte, error) {
	form := formOf(data)
	if !only.has(form) {
		return data, nil
	}
	n := headerLen(form)
	if len(data) < n {
		return data, &TruncatedError{form, len(data), n}
	}
	switch h.Form = form; form {
	case Glue:
		h.Zlib = data[1] == glueZlib
		h.UUID = UUID(data[2:GlueHeader])
	case Confluent:
		h.ID = binary.BigEndian.Uint32(data[1:])
	case SingleObject:
		h.Fingerprint = binary.LittleEndian.Uint64(data[2:])
	}
	return data[n:], nil
}

// formOf reads the first bytes.
func formOf(data []byte) Form {
	switch {
	case len(data) == 0:
		return None
	case data[0] == 0:
		return Confluent
	case len(data) == 1:
		return None
	case data[0] == glueVersion && (data[1] == glueRaw || data[1] == glueZlib):
		return Glue
	case data[0] == 0xC3 && data[1] == 0x01:
		return SingleObject
	}
	return None
}

// Forms is a set of forms; the empty set means all.
type Forms uint8

// Only is the set of some forms. None is always in it.
func Only(forms ...Form) Forms {
	var s Forms
	for _, f := range forms {
		s |= 1 << f
	}
	return s | 1<<None
}

func (s Forms) has(f Form) bool { return s == 0 || s&(1<<f) != 0 }
