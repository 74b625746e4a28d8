package avro

import (
	"math"
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
