package avro

import (
	"math"
	"math/big"
	"strconv"
)

// logicalKinds is the logical types that the specification knows and the types
// that may bear them. Decimals, uuid and duration have more conditions.
var logicalKinds = map[string][]kind{
	"decimal":                {kindBytes, kindFixed},
	"big-decimal":            {kindBytes},
	"uuid":                   {kindString, kindFixed},
	"date":                   {kindInt},
	"time-millis":            {kindInt},
	"time-micros":            {kindLong},
	"timestamp-millis":       {kindLong},
	"timestamp-micros":       {kindLong},
	"timestamp-nanos":        {kindLong},
	"local-timestamp-millis": {kindLong},
	"local-timestamp-micros": {kindLong},
	"local-timestamp-nanos":  {kindLong},
	"duration":               {kindFixed},
}

// logical notes a type's logical type. One that is unknown or out of order is
// ignored, as the specification has it: the type below counts.
func (p *parser) logical(t *typ, v *value) {
	m := v.member("logicalType")
	if m == nil || m.shape != jsonString {
		return
	}
	for _, k := range logicalKinds[m.text] {
		if t.kind == k && t.bears(m.text, v) {
			t.logical = m.text
			t.limits = t.limit()
		}
	}
}

func (t *typ) bears(logical string, v *value) bool {
	switch logical {
	case "uuid":
		return t.kind == kindString || t.size == 16
	case "duration":
		return t.size == 12
	case "decimal":
		precision, ok := whole(v.member("precision"), 0)
		scale, ok2 := whole(v.member("scale"), 0)
		if !ok || !ok2 || precision < 1 || scale < 0 || scale > precision || t.kind == kindFixed && precision > digits(t.size) {
			return false
		}
		t.precision, t.scale = precision, scale
	}
	return true
}

// whole is a number's value, or other where there is no member.
func whole(v *value, other int) (int, bool) {
	if v == nil {
		return other, true
	}
	n, err := strconv.ParseInt(v.text, 10, 32)
	return int(n), err == nil && v.shape == jsonNumber
}

// digits is how many decimal digits fit into a signed number of size bytes.
func digits(size int) int {
	if size == 0 {
		return 0
	}
	return int(math.Floor(float64(8*size-1) * math.Log10(2)))
}

// limits is what a logical type asks of values beyond the type below it.
type limits byte

const (
	anything limits = iota
	ofDay           // a time of a day
	ofUUID
	ofDecimal
	ofBigDecimal
)

// limit finds a type's limits, once it is parsed.
func (t *typ) limit() limits {
	switch {
	case t.logical == "time-millis", t.logical == "time-micros":
		return ofDay
	case t.logical == "uuid" && t.kind == kindString:
		return ofUUID
	case t.logical == "decimal":
		return ofDecimal
	case t.logical == "big-decimal":
		return ofBigDecimal
	}
	return anything
}

// day checks a time of day, which libraries refuse to read beyond its end.
func (w *walker) day(t *typ, n int64) bool {
	end := int64(24 * 60 * 60 * 1000)
	if t.logical == "time-micros" {
		end *= 1000
	}
	if n < 0 || n >= end {
		return w.fail("%d is no %s: a day has 0 to %d", n, t.logical, end-1)
	}
	return true
}

// text checks the value of a string or of bytes.
func (w *walker) text(t *typ, b []byte) bool {
	switch t.limits {
	case ofUUID:
		return isUUID(b) || w.fail("%q is no uuid, as 0191f6f2-7c4e-7b7a-9d51-0c2f4b6d8e10 is", b[:min(len(b), 40)])
	case ofDecimal:
		return fitsDigits(b, t.precision) || w.fail("the decimal has no bytes, or more than %d digits", t.precision)
	case ofBigDecimal:
		inner := walker{data: b}
		unscaled, ok := inner.bytes(t)
		scale, ok2 := inner.long()
		whole := ok && ok2 && len(unscaled) > 0 && inner.at == len(b) && scale == int64(int32(scale))
		return whole || w.fail("the big-decimal is not a number's bytes and its scale")
	}
	return true
}

// isUUID is the form of RFC 4122, in either case.
func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, c := range b {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if lower := c | 0x20; (c < '0' || c > '9') && (lower < 'a' || lower > 'f') {
				return false
			}
		}
	}
	return true
}

// exactDecimal is how many bytes of a decimal are compared exactly; of longer
// ones the last digit is let pass, which is cheaper than powers of ten.
const exactDecimal = 64

// fitsDigits reports whether a number in two's complement has at most so many
// decimal digits.
func fitsDigits(b []byte, precision int) bool {
	if len(b) == 0 {
		return false
	}
	negative := b[0] >= 0x80
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	if len(b) <= 8 && precision <= 18 {
		n := int64(int8(b[0]))
		for _, c := range b[1:] {
			n = n<<8 | int64(c)
		}
		return n < powers[precision] && n > -powers[precision]
	}
	if most := float64(precision) * math.Log2(10); float64(8*len(b)-1) <= most {
		return true
	} else if len(b) > exactDecimal {
		return float64(8*len(b)-9) <= most
	}
	n := new(big.Int).SetBytes(b)
	if negative {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return len(n.Abs(n).Text(10)) <= precision
}

var powers = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()
