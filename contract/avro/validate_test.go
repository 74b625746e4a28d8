package avro

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/verdict"
)

// order is a message of twelve fields.
const order = `{"type":"record","name":"Order","namespace":"shop","fields":[
	{"name":"id","type":"string"},
	{"name":"customer","type":"string"},
	{"name":"email","type":"string"},
	{"name":"address","type":"string"},
	{"name":"sequence","type":"long"},
	{"name":"total","type":"long"},
	{"name":"placed","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"status","type":{"type":"enum","name":"Status","symbols":["NEW","PAID","SENT"]}},
	{"name":"note","type":["null","string"]},
	{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
		{"name":"sku","type":"string"},{"name":"count","type":"int"},{"name":"total","type":"double"}]}}},
	{"name":"gift","type":"boolean"},
	{"name":"tags","type":{"type":"map","values":"string"}}]}`

func orderJSON() string {
	return `{"id":"0191f6f2-7c4e-7b7a-9d51-0c2f4b6d8e10","customer":"Aurelio Brandt-Castellanos","email":"aurelio.brandt@example.org",
	"address":"14 Harbour Street, Stone Town, Zanzibar","sequence":918273645,"total":1299900,"placed":1764216000000,"status":"PAID",
	"note":{"string":"leave it with the neighbour, please"},"lines":[{"sku":"DHOW-0001","count":2,"total":19.98},
	{"sku":"SAIL-0042","count":1,"total":1279.02}],"gift":true,"tags":{"channel":"web","campaign":"monsoon"}}`
}

func orderBytes(t testing.TB) []byte {
	t.Helper()
	data, err := must(t, order).FromJSON([]byte(orderJSON()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// parts puts a message together: numbers as Avro's longs, text as it is.
func parts(all ...any) (b []byte) {
	for _, p := range all {
		switch p := p.(type) {
		case int:
			b = appendLong(b, int64(p))
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

const (
	list     = `{"type":"record","name":"List","fields":[{"name":"next","type":["null","List"]}]}`
	endless  = `{"type":"record","name":"R","fields":[{"name":"x","type":"R"}]}`
	nulls    = `{"type":"array","items":"null"}`
	ints     = `{"type":"array","items":"int"}`
	strs     = `{"type":"map","values":"string"}`
	decimal2 = `{"type":"bytes","logicalType":"decimal","precision":2}`
	enum     = `{"type":"enum","name":"a.E","symbols":["A","B"]}`
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		schema string
		data   []byte
		want   string // "" for valid
	}{
		{`"null"`, nil, ""},
		{`"null"`, []byte{0}, "1 bytes are left over after the datum of 0 bytes"},
		{`"boolean"`, []byte{1}, ""},
		{`"boolean"`, []byte{2}, "a boolean is the byte 0 or 1, not 2"},
		{`"boolean"`, nil, "the bytes end within boolean"},
		{`"int"`, parts(math.MinInt32), ""},
		{`"int"`, parts(math.MaxInt32 + 1), "the number is too large for an int"},
		{`"int"`, []byte{0x80}, "the bytes end within int"},
		{`"long"`, parts(math.MinInt64), ""},
		{`"long"`, bytes.Repeat([]byte{0xff}, 11), "the number is too large for a long"},
		{`"float"`, []byte{1, 2, 3}, "the bytes end within float"},
		{`"double"`, make([]byte, 8), ""},
		{`"string"`, parts(2, "é"), ""},
		{`"string"`, parts(1, "\xc3"), "the string is not valid UTF-8"},
		{`"string"`, parts(5, "abcd"), "the length of string is 5, and 4 bytes are left"},
		{`"bytes"`, parts(-1, "abcd"), "the length of bytes is -1, and 4 bytes are left"},
		{`"bytes"`, parts(math.MaxInt64), "the length of bytes is 9223372036854775807, and 0 bytes are left"},
		{`{"type":"fixed","name":"F","size":3}`, []byte("ab"), "F: the bytes end within fixed F"},
		{enum, parts(1), ""},
		{enum, parts(2), "E: enum a.E has 2 symbols, and none with the number 2"},
		{enum, parts(-1), "E: enum a.E has 2 symbols, and none with the number -1"},
		{`["null","int"]`, parts(2), "union [null, int] has 2 types, and none with the number 2"},
		{`[]`, parts(0), "union [] has 0 types, and none with the number 0"},
		{ints, parts(2, 1, 2, 1, 3, 0), ""},
		{ints, parts(-2, 2, 1, 2, 0), ""},
		{ints, parts(-2, 3, 1, 2, 0), "a block of array says that it has 3 bytes and has 2"},
		{ints, parts(-2, -2, 1, 2, 0), "a block of array has a negative length"},
		{ints, parts(math.MinInt64, 0), "a block of array has a negative length"},
		{ints, parts(1<<62, 1, 2, 0), "a block of array claims 4611686018427387904 items, and 3 bytes are left"},
		{ints, parts(1, 1, 1, 1<<40, 0), "[1]: the number is too large for an int"},
		{ints, parts(1, 1), "the bytes end within array"},
		{nulls, parts(4096, 0), ""},
		{nulls, parts(4000, 97, 0), "array has 97 items without any bytes, at most 4096 are read"},
		{nulls, parts(1<<62, 0), "array has 4611686018427387904 items without any bytes, at most 4096 are read"},
		{strs, parts(1, 1, "a", 1, "b", 0), ""},
		{strs, parts(1, 1, "\xff", 1, "b", 0), "[0]: the key is not valid UTF-8"},
		{strs, parts(1, 1, "a", 1, "\xff", 0), `["a"]: the string is not valid UTF-8`},
		{strs, parts(1<<62, 0), "a block of map claims 4611686018427387904 items, and 1 bytes are left"},
		{list, parts(1, 1, 0), ""},
		{list, bytes.Repeat(parts(1), 1<<20), clip("List"+strings.Repeat(".next", 500)) + ": the datum nests deeper than 1000 levels"},
		{endless, nil, clip("R"+strings.Repeat(".x", 1000)) + ": the datum nests deeper than 1000 levels"},
		{`{"type":"int","logicalType":"time-millis"}`, parts(86399999), ""},
		{`{"type":"int","logicalType":"time-millis"}`, parts(86400000), "86400000 is no time-millis: a day has 0 to 86399999"},
		{`{"type":"long","logicalType":"time-micros"}`, parts(86399999999), ""},
		{`{"type":"long","logicalType":"time-micros"}`, parts(-1), "-1 is no time-micros: a day has 0 to 86399999999"},
		{`{"type":"string","logicalType":"uuid"}`, parts(36, "0191F6f2-7c4e-7b7a-9d51-0c2f4b6d8e10"), ""},
		{`{"type":"string","logicalType":"uuid"}`, parts(36, "0191f6f2-7c4e-7b7a-9d51-0c2f4b6d8e1g"), `"0191f6f2-7c4e-7b7a-9d51-0c2f4b6d8e1g" is no uuid, as 0191f6f2-7c4e-7b7a-9d51-0c2f4b6d8e10 is`},
		{decimal2, parts(1, "\x63"), ""},
		{decimal2, parts(1, "\x9d"), ""},
		{decimal2, parts(1, "\x64"), "the decimal has no bytes, or more than 2 digits"},
		{decimal2, parts(1, "\x9c"), "the decimal has no bytes, or more than 2 digits"},
		{decimal2, parts(9, "\x00\x00\x00\x00\x00\x00\x00\x00\x63"), ""},
		{decimal2, parts(0), "the decimal has no bytes, or more than 2 digits"},
		{`{"type":"bytes","logicalType":"big-decimal"}`, parts(3, parts(1, "\x07", 2)), ""},
		{`{"type":"bytes","logicalType":"big-decimal"}`, parts(2, parts(1, "\x07")), "the big-decimal is not a number's bytes and its scale"},
		{`{"type":"array","items":` + endless + `}`, parts(1, 1, 0), "a block of array claims 1 items, and 2 bytes are left"},
	} {
		err := must(t, c.schema).Validate(c.data)
		if got := errorText(err); got != c.want {
			t.Errorf("%s %x\n got %s\nwant %s", c.schema, c.data, got, c.want)
		}
		if v := (*verdict.Invalid)(nil); err != nil && !errors.As(err, &v) {
			t.Errorf("%s: the error is a %T", c.schema, err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestValidatePath(t *testing.T) {
	s := must(t, order)
	good := orderBytes(t)
	if err := s.Validate(good); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(good, []byte("SAIL"))
	good[at] = 0xff
	if got, want := errorText(s.Validate(good)), "Order.lines[1].sku: the string is not valid UTF-8"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for n := range good {
		if s.Validate(good[:n]) == nil {
			t.Errorf("%d of %d bytes are valid", n, len(good))
		}
	}
}

// TestValidateBounded feeds what costs little to send and much to follow.
func TestValidateBounded(t *testing.T) {
	double := `{"type":"record","name":"R0","fields":[]}`
	for i := 1; i < 60; i++ {
		double = `{"type":"record","name":"R` + string(rune('A'+i/10)) + string(rune('0'+i%10)) + `","fields":[{"name":"a","type":` + double + `},{"name":"b","type":"` + previous(i) + `"}]}`
	}
	inner := bytes.Repeat(parts(4096, 0), 1<<18)
	for name, c := range map[string]struct {
		schema string
		data   []byte
	}{
		"2^60 empty records": {double, nil},
		"arrays of nulls":    {`{"type":"array","items":` + nulls + `}`, parts(1<<18, inner, 0)},
	} {
		start := time.Now()
		if err := must(t, c.schema).Validate(c.data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func previous(i int) string {
	if i == 1 {
		return "R0"
	}
	return "R" + string(rune('A'+(i-1)/10)) + string(rune('0'+(i-1)%10))
}

func TestValidateAllocatesNothing(t *testing.T) {
	s, data := must(t, order), orderBytes(t)
	if n := testing.AllocsPerRun(100, func() {
		if s.Validate(data) != nil {
			t.Fatal("invalid")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDepthIsTwmbs: what is valid here can be read there.
func TestDepthIsTwmbs(t *testing.T) {
	w := twmb.MustParse(list)
	for _, depth := range []int{10, 498, 499, 500, 501} {
		data := append(bytes.Repeat(parts(1), depth), 0)
		var v any
		_, theirs := w.Decode(data, &v)
		if ours := must(t, list).Validate(data); (ours == nil) != (theirs == nil) {
			t.Errorf("%d levels: %v, twmb %v", depth, ours, theirs)
		}
	}
}

// logicals has what libraries convert as they read, and may refuse to.
const logicals = `{"type":"record","name":"L","fields":[
	{"name":"a","type":{"type":"int","logicalType":"date"}},{"name":"b","type":{"type":"int","logicalType":"time-millis"}},
	{"name":"c","type":{"type":"long","logicalType":"time-micros"}},{"name":"d","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"e","type":{"type":"long","logicalType":"local-timestamp-nanos"}},{"name":"f","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":2}},
	{"name":"g","type":{"type":"bytes","logicalType":"big-decimal"}},{"name":"h","type":{"type":"fixed","name":"D","size":12,"logicalType":"duration"}}]}`

// everything has a field of each type.
const everything = `{"type":"record","name":"All","fields":[
	{"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":"long"},{"name":"f","type":"float"},
	{"name":"d","type":"double"},{"name":"y","type":"bytes"},{"name":"s","type":"string"},
	{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"x","type":{"type":"fixed","name":"F","size":3}},
	{"name":"a","type":{"type":"array","items":["null","long",{"type":"map","values":"All"}]}},
	{"name":"z","type":{"type":"array","items":{"type":"record","name":"Empty","fields":[]}}},
	{"name":"n","type":["null","All","string"]}]}`

// stricter are the faults that twmb's decoder lets pass, on purpose.
var stricter = []string{"not valid UTF-8", "a boolean is the byte", "a block of", "left over", " is no ", "the decimal", "the big-decimal"}

// FuzzValidate holds validation against twmb's decoder.
func FuzzValidate(f *testing.F) {
	schemas := []string{order, everything, list, ints, nulls, strs, logicals}
	ours, theirs := make([]*Schema, len(schemas)), make([]*twmb.Schema, len(schemas))
	for i, text := range schemas {
		ours[i] = must(f, text)
		theirs[i] = twmb.MustParse(text)
	}
	f.Add(0, orderBytes(f))
	f.Add(1, parts("\x01", 1, 2, "\x00\x00\x80\x3f", "\x00\x00\x00\x00\x00\x00\xf0\x3f", 2, "ab", 1, "c", 1, "xyz", 2, 1, 7, 2, 0, 0, -3, 0, 0, 2, 1, "s"))
	f.Add(2, parts(1, 1, 0))
	f.Add(3, parts(-2, 2, 1, 2, 0))
	f.Add(4, parts(4096, 0))
	f.Add(5, parts(1, 1, "a", 1, "b", 0))
	f.Add(6, parts(1, 2, 3, 4, 5, 1, "\x07", 3, parts(1, "\x07", 2), "abcdefghijkl"))
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		i := int(uint(which) % uint(len(schemas)))
		err := ours[i].Validate(data)
		var v any
		rest, their := theirs[i].Decode(data, &v)
		if err == nil {
			if their != nil || len(rest) > 0 {
				t.Fatalf("%s %s is valid; twmb: %v, %d bytes left", schemas[i], hex.EncodeToString(data), their, len(rest))
			}
			checkJSON(t, ours[i], data)
			return
		}
		for _, s := range stricter {
			if strings.Contains(err.Error(), s) {
				return
			}
		}
		if their == nil {
			t.Fatalf("%s %s: %v; twmb decodes it", schemas[i], hex.EncodeToString(data), err)
		}
	})
}

// checkJSON sends valid data to JSON and back.
func checkJSON(t *testing.T, s *Schema, data []byte) {
	t.Helper()
	text, err := s.ToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	back, err := s.FromJSON(text)
	if err != nil && strings.Contains(err.Error(), "is twice in one object") {
		return // a map with one key twice
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	again, err := s.ToJSON(back)
	if err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%s\ncomes back as\n%s %v", text, again, err)
	}
}

func BenchmarkValidate(b *testing.B) {
	data := orderBytes(b)
	s, w := must(b, order), twmb.MustParse(order)
	b.Run("walk", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := s.Validate(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("twmb-any", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			var v any
			if _, err := w.Decode(data, &v, twmb.AliasInput()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("twmb-struct", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			var v orderStruct
			if _, err := w.Decode(data, &v, twmb.AliasInput()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type orderStruct struct {
	ID       string            `avro:"id"`
	Customer string            `avro:"customer"`
	Email    string            `avro:"email"`
	Address  string            `avro:"address"`
	Sequence int64             `avro:"sequence"`
	Total    int64             `avro:"total"`
	Placed   time.Time         `avro:"placed"`
	Status   string            `avro:"status"`
	Note     *string           `avro:"note"`
	Lines    []lineStruct      `avro:"lines"`
	Gift     bool              `avro:"gift"`
	Tags     map[string]string `avro:"tags"`
}

type lineStruct struct {
	SKU   string  `avro:"sku"`
	Count int32   `avro:"count"`
	Total float64 `avro:"total"`
}
