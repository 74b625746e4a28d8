package codec

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Names of the timestamp formats in the models.
const (
	iso8601 = "iso8601"
	rfc822  = "rfc822"
	unixFmt = "unixTimestamp"
)

func timeFormat(n *node, fallback string) string {
	if n.shape.TimeFmt != "" {
		return n.shape.TimeFmt
	}
	return fallback
}

// appendTime writes t; of the sub-second part the wire carries milliseconds.
func appendTime(b []byte, t time.Time, format string) []byte {
	switch format {
	case rfc822:
		return t.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	case unixFmt:
		return appendEpoch(b, t)
	}
	t = t.UTC()
	if ms := t.Nanosecond() / 1e6; ms != 0 {
		return t.AppendFormat(b, "2006-01-02T15:04:05.000Z")
	}
	return t.AppendFormat(b, "2006-01-02T15:04:05Z")
}

// appendEpoch writes seconds since 1970 with up to three decimals.
func appendEpoch(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms < 0 {
		b, ms = append(b, '-'), -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if frac := ms % 1000; frac != 0 {
		b = append(b, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return b
}

var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02",
	"20060102T150405Z", time.RFC1123, "Mon, 2 Jan 2006 15:04:05 MST", time.RFC1123Z,
}

// parseTime reads what clients send: the three formats of the models, either
// where another was due.
func parseTime(s string) (time.Time, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return epoch(f)
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, wrongType("Value '"+clip(s)+"' is not a timestamp", "Timestamp")
}

// epoch is the time f seconds after 1970, to the millisecond.
func epoch(f float64) (time.Time, error) {
	// Years 0 to 9999: what RFC 3339, and so the replies, can say.
	if math.IsNaN(f) || f < -62167219200 || f > 253402300799.999 {
		return time.Time{}, wrongType("The timestamp is out of range", "Timestamp")
	}
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), nil
}

func wrongType(msg, want string) error { return &SyntaxError{Message: msg, Shape: want} }

// clip keeps error messages short.
func clip(s string) string {
	if len(s) > 128 {
		return strings.ToValidUTF8(s[:128], "") + "…"
	}
	return s
}

// setText fills v, of a scalar node, from the text of a query parameter, an
// XML element or a header.
func setText(n *node, v reflect.Value, s string) error {
	switch n.kind {
	case kString:
		if !utf8.ValidString(s) {
			return broken("A value is not valid UTF-8")
		}
		v.SetString(s)
	case kBool:
		switch s {
		case "true", "True", "TRUE", "1":
			v.SetBool(true)
		case "false", "False", "FALSE", "0":
			v.SetBool(false)
		default:
			return wrongType("Value '"+clip(s)+"' is not a boolean", "Boolean")
		}
	case kInt:
		i, err := strconv.ParseInt(s, 10, n.bits)
		if err != nil {
			return wrongType("Value '"+clip(s)+"' is not a number in the range of "+n.shape.Kind.String(), n.shape.Kind.String())
		}
		v.SetInt(i)
	case kFloat:
		f, err := parseFloat(s, n.bits)
		if err != nil {
			return wrongType("Value '"+clip(s)+"' is not a number", n.shape.Kind.String())
		}
		v.SetFloat(f)
	case kTime:
		t, err := parseTime(s)
		if err != nil {
			return err
		}
		*v.Addr().Interface().(*time.Time) = t
	case kBlob:
		return setBase64(v, s)
	default:
		return wrongType("A value was found where a "+n.shape.Kind.String()+" was expected", n.shape.Kind.String())
	}
	return nil
}

// parseFloat reads decimal numbers and the three words AWS uses for others.
func parseFloat(s string, bits int) (float64, error) {
	switch s {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if strings.ContainsAny(s, "xXpP_nN") { // hexadecimal, and Go's words
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, bits)
}

// appendText writes the scalar v as XML and headers show it.
func appendText(b []byte, n *node, v reflect.Value, format string) []byte {
	switch n.kind {
	case kString:
		return append(b, v.String()...)
	case kBool:
		return strconv.AppendBool(b, v.Bool())
	case kInt:
		return strconv.AppendInt(b, v.Int(), 10)
	case kFloat:
		return appendFloat(b, v.Float(), n.bits)
	case kTime:
		return appendTime(b, v.Interface().(time.Time), format)
	case kBlob:
		return appendBase64(b, v.Bytes())
	}
	return b
}

func appendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	form := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(b, f, form, -1, bits)
}
