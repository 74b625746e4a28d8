package input

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"
)

const event = `{"version":"0","id":"1","detail-type":"core.update-account-command","source":"src","account":"111122223333","time":"2024-01-02T03:04:05Z","region":"us-east-1","resources":[],
 "detail":{"command":"update-account","listsingle":["HIGH"],"listmulti":["ACTIVE","INACTIVE"],"payload":{"acc_id":"0a787ecb-4015","sf_id":"baz"},"esc":{"a":"l1\nl2 \u00e9 C:\\dir \"q\""},"quote":"say \"hi\"\n","n":1.50,"null":null,"items":[{"a":1},{"a":2},{"b":3}],"with.dot":{"x":true}}}`

func apply(t *testing.T, s Spec) string {
	t.Helper()
	if err := s.Check("t1"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Apply(Event{JSON: []byte(event), RuleARN: "arn:aws:events:us-east-1:111122223333:rule/r", RuleName: "r", Ingested: time.UnixMilli(1700000000123)})
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestPath(t *testing.T) {
	for path, want := range map[string]string{
		"$.detail.payload":          `{"acc_id":"0a787ecb-4015","sf_id":"baz"}`,
		"$.detail.payload.sf_id":    `"baz"`,
		"$.detail.listmulti[1]":     `"INACTIVE"`,
		"$.detail.listmulti[2]":     `null`,
		"$['detail']['with.dot'].x": `true`,
		`$["detail"]["n"]`:          `1.50`,
		"$.detail.items[*].a":       `[1,2]`,
		"$.detail.payload.*":        `["0a787ecb-4015","baz"]`,
		"$.detail.null":             `null`,
		"$.detail-type":             `"core.update-account-command"`,
		"$.nothing.at.all":          `null`,
		"$.source.deeper":           `null`,
	} {
		if got := apply(t, Spec{Path: &path}); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	whole := "$"
	if got := apply(t, Spec{Path: &whole}); !json.Valid([]byte(got)) || strings.Contains(got, "\n ") {
		t.Errorf("$: %s", got)
	}
	if got := apply(t, Spec{}); got != event {
		t.Errorf("nothing said: %s", got)
	}
	constant := `{"a": 1}`
	if got := apply(t, Spec{Constant: &constant}); got != constant {
		t.Errorf("a constant: %s", got)
	}
}

func TestTemplate(t *testing.T) {
	paths := map[string]string{"command": "$.detail.command", "listsingle": "$.detail.listsingle", "listmulti": "$.detail.listmulti", "payload": "$.detail.payload",
		"userId": "$.detail.payload.acc_id", "systemstring": "$.detail.awsAccountId", "quote": "$.detail.quote", "n": "$.detail.n", "esc": "$.detail.esc", "detail-type": "$.detail-type"}
	for template, want := range map[string]string{
		`"<listsingle> single list item"`: `"[HIGH] single list item"`,
		`"<listsingle> single list item <listmulti> multiple list items <systemstring> system account id <payload> payload <userId> user id"`: `"[HIGH] single list item [ACTIVE,INACTIVE] multiple list items  system account id {acc_id:0a787ecb-4015,sf_id:baz} payload 0a787ecb-4015 user id"`,
		"\"<listsingle> a\"\n\"<listmulti> b\"":                                         "\"[HIGH] a\"\n\"[ACTIVE,INACTIVE] b\"",
		`{"method": "PUT", "nested": {"level1": "users/<userId>" }, "bod": "<userId>"}`: `{"method":"PUT","nested":{"level1":"users/0a787ecb-4015"},"bod":"0a787ecb-4015"}`,
		`{"detailType": <detail-type>, "command": <systemstring>}`:                      `{"detailType":"core.update-account-command","command":""}`,
		`{"a": [9, <command>, true, <n>, <payload>]}`:                                   `{"a":[9,"update-account",true,1.50,{"acc_id":"0a787ecb-4015","sf_id":"baz"}]}`,
		`{"s": "i \"<command>\" is in <n>"}`:                                            `{"s":"i \"update-account\" is in 1.50"}`,
		`{"s": "<quote>", "t": <quote>}`:                                                `{"s":"say \"hi\"\n","t":"say \"hi\"\n"}`,
		`"{[/Check with special starting characters for event of <detail-type> type"`:   `"{[/Check with special starting characters for event of core.update-account-command type"`,
		`"got <esc>"`:                        `"got {a:l1\nl2 \u00e9 C:\\dir q}"`,
		`"<aws.events.rule-name> triggered"`: `"r triggered"`,
		`{"arn": <aws.events.rule-arn>, "at": <aws.events.event.ingestion-time>}`: `{"arn":"arn:aws:events:us-east-1:111122223333:rule/r","at":"2023-11-14T22:13:20.123Z"}`,
		`{"e": <aws.events.event>}`: `{"e":{"version":"0","id":"1","detailType":"core.update-account-command","source":"src","account":"111122223333","time":"2024-01-02T03:04:05Z","region":"us-east-1","resources":[]}}`,
		`"a < b and c > d stays"`:   `"a < b and c > d stays"`,
	} {
		if got := apply(t, Spec{Template: &template, Paths: paths}); got != want {
			t.Errorf("%s:\n got %s\nwant %s", template, got, want)
		}
	}
	template := `{"e":<aws.events.event.json>}`
	got := apply(t, Spec{Template: &template})
	if !json.Valid([]byte(got)) || !strings.Contains(got, `"detail":{"command"`) {
		t.Errorf("the whole event: %s", got)
	}
}

func TestCheck(t *testing.T) {
	text := func(s string) *string { return &s }
	many := map[string]string{}
	for i := range MaxPaths + 1 {
		many[string(rune('a'+i/26))+string(rune('a'+i%26))] = "$.a"
	}
	for _, c := range []struct {
		s    Spec
		want string
	}{
		{Spec{Path: text("$.a"), Template: text(`"x"`)}, "Only one of Input, InputPath, or InputTransformer must be provided for target t1."},
		{Spec{Constant: text("x")}, "JSON syntax error in input for target t1 : "},
		{Spec{Path: text("a")}, "InputPath for target t1 is invalid"},
		{Spec{Path: text("$..a")}, "InputPath for target t1 is invalid"},
		{Spec{Path: text("$.a[?(@.x)]")}, "InputPath for target t1 is invalid"},
		{Spec{Template: text("plain <x>"), Paths: map[string]string{"x": "$.a"}}, "Invalid InputTemplate for target t1 : "},
		{Spec{Template: text(`{"a": "<x>}`), Paths: map[string]string{"x": "$.a"}}, "Invalid InputTemplate for target t1 : "},
		{Spec{Template: text(`{"a": <x>, "b": "<y> and <z>"}`), Paths: map[string]string{"x": "$.a"}}, "InputTemplate for target t1 contains invalid placeholder y."},
		{Spec{Template: text(`"<aws.events.event.source>"`)}, "InputTemplate for target t1 contains invalid placeholder aws.events.event.source."},
		{Spec{Template: text(`[<aws.events.event.json>]`)}, "InputTemplate for target t1 contains placeholder aws.events.event.json valid only for JSON template."},
		{Spec{Template: text(`"it was <aws.events.event.json>"`)}, "InputTemplate for target t1 contains placeholder aws.events.event.json valid only for JSON template."},
		{Spec{Template: text(`"x"`), Paths: map[string]string{"aws.x": "$.a"}}, "InputPathsMap for target t1 defines aws.x"},
		{Spec{Template: text(`"x"`), Paths: many}, "InputPathsMap for target t1 has more than 100"},
	} {
		if err := c.s.Check("t1"); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// FuzzTemplate: a template that is taken gives JSON of any event's values, if it
// was of JSON's form.
func FuzzTemplate(f *testing.F) {
	f.Add(`{"a": <x>, "b": "<x> <y>"}`, "$.detail.quote", "$.detail.items[*].a")
	f.Add(`"<x>"`, "$['detail']", "$")
	f.Fuzz(func(t *testing.T, template, x, y string) {
		s := Spec{Template: &template, Paths: map[string]string{"x": x, "y": y}}
		if s.Check("t") != nil {
			return
		}
		got, err := s.Apply(Event{JSON: []byte(event)})
		if err != nil {
			t.Fatal(err)
		}
		filled := fill(template, func(string, bool) (string, bool) { return "0", true })
		if json.Valid([]byte(filled)) && !strings.Contains(template, "\\<") && !json.Valid(got) {
			t.Errorf("%q gives %q", template, got)
		}
	})
}

// TestLargeInput refuses a template that makes gigabytes of an event, before it
// has made them.
func TestLargeInput(t *testing.T) {
	event := Event{JSON: []byte(`{"detail":"` + strings.Repeat("x", 1<<20) + `"}`)}
	ptr := func(s string) *string { return &s }
	s := Spec{Template: ptr(`"` + strings.Repeat("<a>", 2700) + `"`), Paths: map[string]string{"a": "$.detail"}}
	if err := s.Check("t"); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := s.Apply(event)
	runtime.ReadMemStats(&after)
	if made := (after.TotalAlloc - before.TotalAlloc) >> 20; err == nil || made > 64 {
		t.Errorf("%d bytes and %v, with %d MiB of memory", len(got), err, made)
	}
	s.Template = ptr(`{"one": <a>}`)
	if got, err = s.Apply(event); err != nil || len(got) != 1<<20+10 {
		t.Errorf("%d bytes and %v of one use", len(got), err)
	}
}
