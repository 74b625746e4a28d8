package codec

import (
	"math"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

func parseQuery(s string) (url.Values, error) { return url.ParseQuery(s) }

// TestPatterns counts the patterns of all models that Go cannot compile and
// that are therefore not checked. A change of the models may move it a little.
func TestPatterns(t *testing.T) {
	all, err := model.All()
	if err != nil {
		t.Fatal(err)
	}
	seen, failed := map[string]bool{}, map[string]string{}
	for _, i := range all {
		m, err := model.Load(i.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Shapes {
			if s.Pattern == "" || seen[s.Pattern] {
				continue
			}
			seen[s.Pattern] = true
			if _, err := CompilePattern(s.Pattern); err != nil {
				failed[s.Pattern] = err.Error()
			}
		}
	}
	for p, err := range failed {
		if !strings.Contains(p, "(?!") && !strings.Contains(p, "(?=") && !strings.Contains(p, "(?<") {
			t.Errorf("%s: %s", p, err)
		}
	}
	const unchecked = 21
	if len(failed) > unchecked || len(seen) < 400 {
		t.Errorf("%d of %d patterns cannot be compiled, want at most %d", len(failed), len(seen), unchecked)
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		pattern, yes, no string
	}{
		{`[a-z]{1,2048}`, strings.Repeat("a", 1500), ""},
		{`[a-z]{1500}`, strings.Repeat("a", 1500), strings.Repeat("a", 900)},
		{`[\u0020-\uD7FF]+`, "a b é", "\t"},
		{`^a|b$`, "b", "ab"},
		{`\p{ASCII}+[\p{Punct}]`, "a!", "aa"},
		{`[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF]+`, "a😀", "\t"},
		{`\p{L}+`, "é", "1"},
		{`[\w+=/:,.@-]*`, "a/b", "a b"},
	} {
		re, err := CompilePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if !re.MatchString(c.yes) || re.MatchString(c.no) {
			t.Errorf("%s: %v for %.20q, %v for %.20q", c.pattern, re.MatchString(c.yes), c.yes, re.MatchString(c.no), c.no)
		}
	}
}

func TestTimes(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 250e6, time.UTC)
	for _, s := range []string{"2026-01-02T03:04:05.25Z", "1767323045.25", "2026-01-02T04:04:05.250+01:00", "1767323045250e-3"} {
		if got, err := parseTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"Fri, 02 Jan 2026 03:04:05 GMT", "20260102T030405Z"} {
		if got, err := parseTime(s); err != nil || !got.Equal(want.Truncate(time.Second)) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "x", "1e300", "NaN", "Inf", "-1e15", "2026-13-01T00:00:00Z"} {
		if got, err := parseTime(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
	for format, text := range map[string]string{iso8601: "2026-01-02T03:04:05.250Z", rfc822: "Fri, 02 Jan 2026 03:04:05 GMT", unixFmt: "1767323045.25"} {
		if got := string(appendTime(nil, want, format)); got != text {
			t.Errorf("%s: %s", format, got)
		}
	}
	if got := string(appendEpoch(nil, time.UnixMilli(-1500))); got != "-1.5" {
		t.Errorf("before 1970: %s", got)
	}
}

func TestFloats(t *testing.T) {
	for _, c := range []struct {
		f    float64
		bits int
		want string
	}{{1, 64, "1"}, {0.1, 32, "0.1"}, {1e21, 64, "1e+21"}, {-0.0000001, 64, "-1e-07"}, {math.Inf(-1), 64, "-Infinity"}, {math.NaN(), 64, "NaN"}} {
		f := c.f
		if c.bits == 32 {
			f = float64(float32(f))
		}
		got := string(appendFloat(nil, f, c.bits))
		back, err := parseFloat(got, c.bits)
		if got != c.want || err != nil || back != f && f == f {
			t.Errorf("%v: %s, and back %v, %v", c.f, got, back, err)
		}
	}
	for _, s := range []string{"0x10", "1_000", "nan", "inf", "+Inf", ""} {
		if f, err := parseFloat(s, 64); err == nil {
			t.Errorf("%q is %v", s, f)
		}
	}
}

// TestUnions reads unions in unions, whose Go types only the SDK's decoders know.
func TestUnions(t *testing.T) {
	p := plan[dynamodb.PutItemInput](t, "dynamodb", "PutItem", &dynamodb.GetItemOutput{})
	if missing := p.Unread(); len(missing) > 0 {
		t.Fatalf("cannot read %q", missing)
	}
	var in dynamodb.PutItemInput
	body := `{"Item":{"a":{"M":{"b":{"L":[{"N":"1"},{"NULL":true}]}}}}}`
	if err := p.DecodeJSON([]byte(body), reflect.ValueOf(&in).Elem(), nil); err != nil {
		t.Fatal(err)
	}
	l := in.Item["a"].(*types.AttributeValueMemberM).Value["b"].(*types.AttributeValueMemberL).Value
	if n, ok := l[0].(*types.AttributeValueMemberN); !ok || n.Value != "1" || len(l) != 2 {
		t.Errorf("got %#v", l)
	}
	if got := string(p.AppendJSON(nil, reflect.ValueOf(in))); got != body {
		t.Errorf("it is written as %s", got)
	}
	for _, bad := range []string{`{"Item":{"a":{}}}`, `{"Item":{"a":{"S":"x","N":"1"}}}`, `{"Item":{"a":[]}}`, `{"Item":{"a":{"S":null}}}`} {
		if err := p.DecodeJSON([]byte(bad), reflect.ValueOf(&in).Elem(), nil); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// TestHalf holds the 16-bit floats against their definition.
func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float64{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: math.Ldexp(1, -24), 0x7c00: math.Inf(1), 0x8000: 0} {
		if got := half(bits); got != want {
			t.Errorf("%#x is %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("0x7e00 is a number")
	}
}
