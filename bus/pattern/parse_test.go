package pattern

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

const recordings = "../../../shared/data/recordings/"

// source is the pattern that a sentence of AWS's quotes.
func source(sentence string) (src string, ok bool) {
	_, rest, ok := strings.Cut(sentence, "[Source: (String)\"")
	if !ok {
		return "", false
	}
	src, _, ok = strings.Cut(rest, "\"; line: ")
	return src, ok
}

func reason(t *testing.T, err error) string {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	return e.Error()
}

// Every recorded refusal that quotes its pattern is ours, to the column.
func TestRecordedRefusals(t *testing.T) {
	data, err := os.ReadFile(recordings + "events.json")
	if err != nil {
		t.Skip("no recordings beside the checkout: ", err)
	}
	var cases map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, steps := range cases {
		for _, raw := range steps {
			var answer struct {
				Error     struct{ Message string }
				Exception struct{ Error struct{ MessageRaw string } } `json:"exception_message"`
			}
			if json.Unmarshal(raw, &answer) != nil {
				continue // not an answer of this form
			}
			want, ok := strings.CutPrefix(answer.Exception.Error.MessageRaw+answer.Error.Message, "Event pattern is not valid. Reason: ")
			if !ok {
				continue
			}
			want = strings.NewReplacer("<partition>", "aws", "<region>", "us-east-1").Replace(want)
			src, ok := source(want)
			if !ok {
				continue
			}
			n++
			if _, err := Parse(src); reason(t, err) != want {
				t.Errorf("%s:\n got %s\nwant %s", name, reason(t, err), want)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d cases were found", n)
	}
}

func TestRecordedFilterRefusals(t *testing.T) {
	f, err := os.Open(recordings + "sns.errors.tsv")
	if err != nil {
		t.Skip("no recordings beside the checkout: ", err)
	}
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), "\t")
		text, err := strconv.Unquote(`"` + fields[2] + `"`)
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(text, "FilterPolicy: ")
		src, ok := source(want)
		if !ok {
			continue
		}
		n++
		if _, err := ParseFilter(src, Body); reason(t, err) != want {
			t.Errorf("\n got %s\nwant %s", reason(t, err), want)
		}
	}
	if n < 12 {
		t.Errorf("only %d cases were found", n)
	}
}

func TestRefusals(t *testing.T) {
	for src, want := range map[string]string{
		`{"a":[{"cidr":"bad-filter"}]}`:                           "Malformed CIDR, one '/' required",
		`{"a":[{"cidr":"10.0.0.0/x"}]}`:                           "Malformed CIDR, mask bits must be an integer",
		`{"a":[{"cidr":"xx.11.xx/8"}]}`:                           "Nonstandard IP address: xx.11.xx",
		`{"a":[{"cidr":"10.0.0.0/33"}]}`:                          "IPv4 mask bits must be <= 32",
		`{"a":[{"wildcard":"` + strings.Repeat("a*", 60) + `"}]}`: "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character",
		`{"a":[{"wildcard":"*` + strings.Repeat("a", 80) + `"}]}`: "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character",
		`[]`:                                  "Filter is not an object",
		`{}`:                                  "Empty objects are not allowed",
		`{"a":{}}`:                            "Empty objects are not allowed",
		`{"a":[[]]}`:                          "Match value must be String, number, true, false, or null",
		`{"a":[{"x":1}]}`:                     "Unrecognized match type x",
		`{"a":[{"prefix":"a","suffix":"b"}]}`: "Only one key allowed in match expression",
		`{"a":[{"numeric":5}]}`:               "Value of numeric must be an array.",
		`{"a":[{"numeric":[]}]}`:              "Invalid member in numeric match: ]",
		`{"a":[{"numeric":["<"]}]}`:           "Value of < must be numeric",
		`{"a":[{"numeric":["!",1]}]}`:         "Unrecognized numeric range operator: !",
		`{"a":[{"numeric":["<",1,">",0]}]}`:   "Too many elements in numeric expression",
		`{"a":[{"numeric":[">",2,"<",1]}]}`:   "Bottom must be less than top",
		`{"a":[{"numeric":[">",6e9]}]}`:       "Value must be between -5.0E9 and 5.0E9, inclusive",
		`{"a":[{"exists":"x"}]}`:              "exists match pattern must be either true or false.",
		`{"a":[{"anything-but":["a",1]}]}`:    "Inside anything but list, either all values are number or string, mixed type is not supported",
		`{"a":[1],"a":[2]}`:                   "Path `a` cannot be allowed multiple times",
		`{"a":[1]} x`:                         "Unexpected character ('x' (code 120)): expected the end of the pattern",
		`{"a":[1`:                             "Unexpected end-of-input",
	} {
		_, err := Parse(src)
		if err == nil {
			t.Errorf("%s is taken", src)
		} else if got := err.(*Error).Reason; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", src, got)
		}
	}
}

func TestTooManyAlternatives(t *testing.T) {
	or := `[` + strings.Repeat(`{"a":[1]},`, 31) + `{"b":[2]}]`
	if _, err := Parse(`{"x":{"$or":` + or + `}}`); err != nil {
		t.Error(err)
	}
	if _, err := Parse(`{"x":{"$or":` + or + `},"y":{"$or":` + or + `}}`); err == nil {
		t.Error("1024 combinations are taken")
	}
}

func TestFilterBounds(t *testing.T) {
	for _, c := range []struct {
		src   string
		scope Scope
		want  string
	}{
		{`{"a":["x"]}`, Attributes, ""},
		{`{"a":{"b":["x"]}}`, Attributes, ErrNested},
		{`{"a":{"b":["x"]}}`, Body, ""},
		{`{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}`, Body, "Filter policy can not have more than 5 keys"},
		{`{"a":[` + strings.Repeat("1,", 12) + `1],"b":[` + strings.Repeat("1,", 12) + `1]}`, Body, "Filter policy is too complex"},
		{`{"a":[{"cidr":"10.0.0.1"}]}`, Body, ""},
	} {
		_, err := ParseFilter(c.src, c.scope)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.src, err)
		case c.want != "" && (err == nil || err.Error() != c.want):
			t.Errorf("%s: %v", c.src, err)
		}
	}
}

// TestNumericBounds holds the numbers of numeric tests to the range of their
// dialect, and what such tests match.
func TestNumericBounds(t *testing.T) {
	filter := func(src string) (*Pattern, error) { return ParseFilter(src, Body) }
	for _, d := range []struct {
		parse       func(string) (*Pattern, error)
		most, above string
		sentence    string
	}{
		{Parse, "5000000000", "5000000000.000001", "Value must be between -5.0E9 and 5.0E9, inclusive"},
		{filter, "1000000000", "1000000000.00001", "Value must be between -1.0E9 and 1.0E9, inclusive"},
	} {
		for _, v := range []string{d.above, "-" + d.above, "1e10", "-1e999", "1e999"} {
			for _, form := range []string{`["=",%s]`, `["<",%s]`, `[">=",%s]`, `[">",0,"<=",%s]`} {
				src := fmt.Sprintf(`{"a":[{"numeric":`+form+`}]}`, v)
				if _, err := d.parse(src); err == nil || err.Error() != d.sentence {
					t.Errorf("%s: %v, want: %s", src, err, d.sentence)
				}
			}
		}
		for src, events := range map[string]map[string]bool{
			`{"a":[{"numeric":["=",` + d.most + `]}]}`:         {d.most: true, d.above: false},
			`{"a":[{"numeric":[">",0]}]}`:                      {d.most: true, d.above: false, "0.00001": true, "0": false},
			`{"a":[{"numeric":["<=",0]}]}`:                     {"-" + d.most: true, "-" + d.above: false, "0.00001": false},
			`{"a":[{"numeric":[">=",-` + d.most + `,"<",0]}]}`: {"-" + d.most: true, "-0.00001": true},
			`{"a":[{"numeric":["=",301.12345]}]}`:              {"301.12345": true, "3.0112345e2": true, "301.12346": false},
			`{"a":[{"anything-but":[` + d.above + `]}]}`:       {d.above: false, d.most: true},
		} {
			p, err := d.parse(src)
			if err != nil {
				t.Errorf("%s: %v", src, err)
				continue
			}
			for v, want := range events {
				if got := decide(t, p, `{"a":`+v+`}`); got != want {
					t.Errorf("%s for %s: %v", src, v, got)
				}
			}
		}
	}
}

func TestAttributes(t *testing.T) {
	event := AttributesEvent([]Attribute{{"s", "String", `a"b`}, {"n", "Number.int", "5"}, {"l", "String.Array", `["x",1,null]`},
		{"b", "Binary", "AAAA"}, {"bad", "Number", "x"}, {"worse", "String.Array", "x"}})
	for src, want := range map[string]bool{
		`{"s":["a\"b"]}`: true, `{"n":[{"numeric":["=",5]}]}`: true, `{"l":[1]}`: true, `{"l":["x"]}`: true, `{"l":["y"]}`: false,
		`{"b":[{"exists":true}]}`: false, `{"bad":[{"exists":true}]}`: false, `{"worse":[{"exists":false}]}`: true,
	} {
		p, err := ParseFilter(src, Attributes)
		if err != nil {
			t.Fatal(err)
		}
		if got := decide(t, p, string(event)); got != want {
			t.Errorf("%s: %v", src, got)
		}
	}
}

// In a filter policy on attributes null means an attribute that is absent, as
// AWS was recorded to take it.
func TestNullAttribute(t *testing.T) {
	p, err := ParseFilter(`{"a": [null, {"anything-but": "x"}]}`, Attributes)
	if err != nil {
		t.Fatal(err)
	}
	for event, want := range map[string]bool{`{}`: true, `{"a": "x"}`: false, `{"a": "y"}`: true, `{"a": ["x", null]}`: true} {
		if ok, err := p.Match([]byte(event)); err != nil || ok != want {
			t.Errorf("%s: %v, %v", event, ok, err)
		}
		s := NewSet[int]()
		s.Put(1, p)
		if got, err := s.Match([]byte(event), nil); err != nil || (len(got) == 1) != want {
			t.Errorf("%s in a set: %v, %v", event, got, err)
		}
	}
}
