package logs

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

const trail = `{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another"],
 "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "nothing": null, "flag": true, "off": false,
 "latency": 50, "rate": 1e-3, "status": "500", "big": 12345678901234567890, "a.b": {"x-y": "*star"}, "user": {"id": 1, "email": "John.Doe@example.com"}}`

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{"ERROR", "[ERROR 400] BAD", true},
		{"ERROR", "[error 400] BAD", false},
		{"ERROR ARGUMENTS", "ARGUMENTS ERROR", true},
		{"ERROR ARGUMENTS", "ERROR", false},
		{`"INTERNAL SERVER"`, "[500] INTERNAL SERVER ERROR", true},
		{`"INTERNAL SERVER"`, "SERVER INTERNAL", false},
		{`ERROR -EXIT`, "ERROR", true},
		{`ERROR -"EXIT NOW"`, "ERROR: EXIT NOW", false},
		{"?ERROR ?WARN", "WARN", true},
		{"?ERROR ?WARN", "INFO", false},
		{"?ERROR ?WARN x", "INFO x", true},
		{`"say \"hi\""`, `say "hi"`, true},
		{"Zürich", "in Zürich", true},

		{`{ $.eventType = "UpdateTrail" }`, trail, true},
		{`{$.eventType="UpdateTrail"}`, trail, true},
		{`{ $.eventType = UpdateTrail }`, trail, true},
		{`{ $.eventType = "updatetrail" }`, trail, false},
		{`{ $.eventType = "Update*" }`, trail, true},
		{`{ $.eventType = "*Trail" }`, trail, true},
		{`{ $.eventType = "U*t*T*l" }`, trail, true},
		{`{ $.eventType = "UpdateTrail*UpdateTrail" }`, trail, false},
		{`{ $.sourceIPAddress != 123.123.* }`, trail, true},
		{`{ $.sourceIPAddress != 111.111.* }`, trail, false},
		{`{ $.arrayKey[0] = "value" }`, trail, true},
		{`{ $.arrayKey[1] = "value" }`, trail, false},
		{`{ $.arrayKey[2] = "value" }`, trail, false},
		{`{ $.arrayKey[*] = "another" }`, trail, true},
		{`{ $.objectList[1].id = 2 }`, trail, true},
		{`{ $.objectList[*].id > 2 }`, trail, false},
		{`{ $.user.* = 1 }`, trail, true},
		{`{ $.nothing IS NULL }`, trail, true},
		{`{ $.latency IS NULL }`, trail, false},
		{`{ $.missing IS NULL }`, trail, false},
		{`{ $.user IS TRUE }`, trail, false},
		{`{ $.flag IS TRUE && $.off is false }`, trail, true},
		{`{ $.off IS TRUE }`, trail, false},
		{`{ $.missing NOT EXISTS }`, trail, true},
		{`{ $.nothing NOT EXISTS }`, trail, false},
		{`{ $.missing != "x" }`, trail, false},
		{`{ $.user = "*" }`, trail, true},
		{`{ $.missing = "*" }`, trail, false},
		{`{ $.latency = 50 }`, trail, true},
		{`{ $.latency = 50.0 }`, trail, true},
		{`{ $.latency = "50" }`, trail, true},
		{`{ $.latency = 5* }`, trail, true},
		{`{ $.latency != 50 }`, trail, false},
		{`{ $.latency < 50 }`, trail, false},
		{`{ $.latency <= 50 }`, trail, true},
		{`{ $.latency >= 5e1 }`, trail, true},
		{`{ $.latency > -1 }`, trail, true},
		{`{ $.rate < 0.01 }`, trail, true},
		{`{ $.big > 1e19 }`, trail, true},
		{`{ $.status = 500 }`, trail, true},
		{`{ $.status >= 500 }`, trail, false}, // a text
		{`{ $['a.b'].x-y = "\*star" }`, trail, true},
		{`{ $.['a.b'].x-y = "\*tar" }`, trail, false},
		{`{ ($.user.id = 1) && ($.user.email = "John.Doe@example.com") }`, trail, true},
		{`{ $.user.id = 1 || $.user.id = 2 && $.user.id = 3 }`, trail, true},
		{`{ ($.user.id = 1 || $.user.id = 2) && $.user.id = 3 }`, trail, false},
		{`{ $.level = "ERROR" && ($.status >= 500 || $.path = "/api*") }`, `{"level":"ERROR","status":404,"path":"/api/v1"}`, true},
		{`{ $.level = "ERROR" && ($.status >= 500 || $.path = "/api*") }`, `{"level":"ERROR","status":404,"path":"/"}`, false},
		{`{ $.a = 1 }`, `not json`, false},
		{`{ $.a = 1 }`, `{"a":1} {"a":1}`, false},
		{`{ $.a NOT EXISTS }`, `"text"`, false},
		{`{ $.a = 1 }`, "  {\"a\":1}\n", true},
	} {
		match, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
		} else if got := match == nil || match([]byte(tt.message)); got != tt.want {
			t.Errorf("%s on %.30s: %t, want %t", tt.pattern, tt.message, got, tt.want)
		}
	}
}

func TestPatternRefused(t *testing.T) {
	for pattern, why := range map[string]string{
		`"open`:                                "a quote is not closed",
		`""`:                                   "a phrase is empty",
		`a.b`:                                  `must be in "quotes"`,
		`-`:                                    "a term is empty",
		`[a, b]`:                               "space-delimited fields",
		`%ERROR%`:                              "regular expressions",
		`{ $.a = %E.*% }`:                      "regular expressions",
		`{}`:                                   "a selector that begins with $",
		`{ $.a }`:                              "after a selector comes",
		`{ $ = 1 }`:                            "after $ comes . and a name",
		`{ $. = 1 }`:                           "comes a name",
		`{ $.a = }`:                            "a value is missing",
		`{ $.a = "x }`:                         "a quote is not closed",
		`{ $.a > "1" }`:                        "> compares with a number",
		`{ $.a > x }`:                          "> compares with a number",
		`{ $.a > NaN }`:                        "> compares with a number",
		`{ $.a > 0x1p2 }`:                      "> compares with a number",
		`{ $.a IS 1 }`:                         "after IS comes NULL, TRUE or FALSE",
		`{ $.a NOT NULL }`:                     "after NOT comes EXISTS",
		`{ $.a = 1`:                            "the closing } is missing",
		`{ $.a = 1 $.b = 2 }`:                  "an operator && or ||",
		`{ ($.a = 1 }`:                         "a closing ) is missing",
		`{ $.a = 1 } x`:                        "nothing may follow",
		`{ $.a[x] = 1 }`:                       "in brackets comes",
		`{ $.a[1 = 1 }`:                        "a closing ] is missing",
		`{ $.a[''] = 1 }`:                      "a name in brackets is empty",
		`{ $.a[*].b[*] = 1 }`:                  "one wildcard at most",
		`{ $.a[99999999999999999999] = 1 }`:    "in brackets comes",
		`{ $.*=1 || $.*=2 || $.*=3 || $.*=4 }`: "three wildcard selectors",
		"{" + strings.Repeat("(", 500):         "nested too deep",
	} {
		_, err := parsePattern(pattern)
		var bad *types.InvalidParameterException
		if !errors.As(err, &bad) || !strings.Contains(bad.ErrorMessage(), "Invalid filter pattern: ") || !strings.Contains(bad.ErrorMessage(), why) {
			t.Errorf("%.40s: error %v, want one that says %q", pattern, err, why)
		}
	}
}

// No pattern and no message makes it fail; what is refused is refused in words.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{`ERROR -"a b" ?c`, `{ ($.a[0].b != "x*y" || $.c IS NULL) && $['d'] >= 1e3 }`, `{ $.a[*] NOT EXISTS }`} {
		f.Add(p, trail)
	}
	f.Fuzz(func(t *testing.T, pattern, message string) {
		match, err := parsePattern(pattern)
		if err != nil {
			var bad *types.InvalidParameterException
			if !errors.As(err, &bad) || match != nil {
				t.Fatal(err)
			}
			return
		}
		if match == nil {
			return
		}
		if first := match([]byte(message)); first != match([]byte(message)) {
			t.Fatal("an answer changes")
		}
	})
}

func BenchmarkJSONPattern(b *testing.B) {
	match, err := parsePattern(`{ $.user.id = 1 && ($.latency > 100 || $.eventType = "Update*") }`)
	if err != nil {
		b.Fatal(err)
	}
	message := []byte(trail)
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		if !match(message) {
			b.Fatal("no match")
		}
	}
}
