package codec

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/document"
)

// CBOR's major types and simple values (RFC 8949).
const (
	cborUint   = 0 << 5
	cborNeg    = 1 << 5
	cborBytes  = 2 << 5
	cborText   = 3 << 5
	cborArray  = 4 << 5
	cborMap    = 5 << 5
	cborTag    = 6 << 5
	cborSimple = 7 << 5

	cborFalse     = cborSimple | 20
	cborTrue      = cborSimple | 21
	cborNull      = cborSimple | 22
	cborUndefined = cborSimple | 23
	cborHalf      = cborSimple | 25
	cborSingle    = cborSimple | 26
	cborDouble    = cborSimple | 27
	cborBreak     = cborSimple | 31

	tagEpoch = 1
)

// Epoch is the unit in which CBOR counts time: rpcv2Cbor's is the second, as the
// tag says; that of the JSON protocol in CBOR, which the AWS SDK for Java
// speaks with Kinesis, is the millisecond, as an integer under the same tag.
type Epoch int

const (
	EpochSeconds Epoch = iota
	EpochMillis
)

// AppendCBOR writes v, a value of p's type, as rpcv2Cbor has it but for the unit
// of times.
func (p *Plan) AppendCBOR(b []byte, e Epoch, v reflect.Value) []byte {
	if p.zero {
		return append(b, cborMap)
	}
	b = append(b, cborMap|31)
	b = cborEncoder{p.c, e}.members(b, p.root, v)
	return append(b, cborBreak)
}

// AppendCBORMembers writes v's members without the map around them; for
// errors, which have more members than their shape.
func (p *Plan) AppendCBORMembers(b []byte, e Epoch, v reflect.Value) []byte {
	return cborEncoder{p.c, e}.members(b, p.root, v)
}

// AppendCBORText writes a text string; bytes that are not UTF-8 become U+FFFD.
func AppendCBORText(b []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return append(cborHead(b, cborText, uint64(len(s))), s...)
}

// AppendCBOROpen and AppendCBORClose write the ends of a map of any length.
func AppendCBOROpen(b []byte) []byte { return append(b, cborMap|31) }

// AppendCBORClose ends what AppendCBOROpen began.
func AppendCBORClose(b []byte) []byte { return append(b, cborBreak) }

func cborHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func cborInt(b []byte, i int64) []byte {
	if i < 0 {
		return cborHead(b, cborNeg, uint64(-1-i))
	}
	return cborHead(b, cborUint, uint64(i))
}

func cborFloat(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, cborDouble), math.Float64bits(f))
}

type cborEncoder struct {
	c     *Codec
	epoch Epoch
}

func (e cborEncoder) members(b []byte, n *node, v reflect.Value) []byte {
	for i := range n.fields {
		f := &n.fields[i]
		if f.index < 0 {
			continue
		}
		fv := v.Field(f.index)
		if f.absent(fv) {
			continue
		}
		b = e.value(AppendCBORText(b, f.name), f.n, f.deref(fv))
	}
	return b
}

func (e cborEncoder) value(b []byte, n *node, v reflect.Value) []byte {
	switch n.kind {
	case kStruct:
		b = e.members(append(b, cborMap|31), n, v)
		return append(b, cborBreak)
	case kString:
		return AppendCBORText(b, v.String())
	case kBool:
		if v.Bool() {
			return append(b, cborTrue)
		}
		return append(b, cborFalse)
	case kInt:
		return cborInt(b, v.Int())
	case kFloat:
		return cborFloat(b, v.Float())
	case kTime:
		ms := v.Interface().(time.Time).UnixMilli()
		if e.epoch == EpochMillis {
			return cborInt(append(b, cborTag|tagEpoch), ms)
		}
		return cborFloat(append(b, cborTag|tagEpoch), float64(ms)/1000)
	case kBlob:
		return append(cborHead(b, cborBytes, uint64(v.Len())), v.Bytes()...)
	case kReader:
		if r, ok := v.Interface().(io.Reader); ok {
			if data, err := io.ReadAll(r); err == nil {
				return append(cborHead(b, cborBytes, uint64(len(data))), data...)
			}
		}
	case kList:
		b = cborHead(b, cborArray, uint64(v.Len()))
		for i := range v.Len() {
			b = e.slot(b, &n.elem, v.Index(i))
		}
		return b
	case kMap:
		b = cborHead(b, cborMap, uint64(v.Len()))
		for _, key := range sortedKeys(v) {
			b = e.slot(AppendCBORText(b, key.String()), &n.elem, v.MapIndex(key))
		}
		return b
	case kUnion:
		f, value, ok := e.c.chosen(n, v)
		if !ok {
			return append(b, cborMap)
		}
		return e.value(AppendCBORText(append(b, cborMap|1), f.name), f.n, f.deref(value))
	case kDoc:
		return e.document(b, v)
	}
	return append(b, cborNull)
}

func (e cborEncoder) slot(b []byte, s *slot, v reflect.Value) []byte {
	if s.ptr && v.IsNil() {
		return append(b, cborNull)
	}
	return e.value(b, s.n, s.deref(v))
}

// document writes a document, which the SDK hands out as JSON only.
func (e cborEncoder) document(b []byte, v reflect.Value) []byte {
	m, ok := v.Interface().(document.Marshaler)
	if !ok {
		return append(b, cborNull)
	}
	raw, err := m.MarshalSmithyDocument()
	var value any
	if err != nil || json.Unmarshal(raw, &value) != nil {
		return append(b, cborNull)
	}
	return cborAny(b, value)
}

func cborAny(b []byte, value any) []byte {
	switch x := value.(type) {
	case bool:
		if x {
			return append(b, cborTrue)
		}
		return append(b, cborFalse)
	case string:
		return AppendCBORText(b, x)
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return cborInt(b, int64(x))
		}
		return cborFloat(b, x)
	case json.Number:
		if i, err := strconv.ParseInt(string(x), 10, 64); err == nil {
			return cborInt(b, i)
		}
		f, _ := x.Float64()
		return cborFloat(b, f)
	case []any:
		b = cborHead(b, cborArray, uint64(len(x)))
		for _, item := range x {
			b = cborAny(b, item)
		}
		return b
	case map[string]any:
		b = cborHead(b, cborMap, uint64(len(x)))
		for k, item := range x {
			b = cborAny(AppendCBORText(b, k), item)
		}
		return b
	}
	return append(b, cborNull)
}
