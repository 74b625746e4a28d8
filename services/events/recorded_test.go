package events

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const recordings = "../../../shared/data/recordings/events"

// recorded compares our answers with recorded ones of AWS.
type recorded struct {
	*fixture
	t      *testing.T
	cases  map[string]map[string]any
	used   map[string]bool
	said   []string // code, status and message of all errors
	region string
}

func newRecorded(t *testing.T) *recorded {
	data, err := os.ReadFile(recordings + ".json")
	if err != nil {
		t.Skip("no recordings beside the checkout: ", err)
	}
	r := &recorded{fixture: newFixture(t), t: t, used: map[string]bool{}, region: region}
	must(t, json.Unmarshal(data, &r.cases))
	return r
}

type object = map[string]any

// do makes a call and returns the answer as recordings hold it.
func (r *recorded) do(op string, in object) object { return r.as(account, op, in) }

func (r *recorded) as(caller, op string, in object) object {
	r.t.Helper()
	body, err := json.Marshal(in)
	must(r.t, err)
	req, err := http.NewRequest("POST", r.url, bytes.NewReader(body))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSEvents."+op)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+caller+"/20240101/"+r.region+"/events/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := http.DefaultClient.Do(req)
	must(r.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(r.t, err)
	out := object{}
	if len(data) > 0 {
		must(r.t, json.Unmarshal(data, &out))
	}
	if resp.StatusCode >= 300 {
		code, _ := out["__type"].(string)
		code = code[strings.LastIndexByte(code, '#')+1:]
		message, _ := out["message"].(string)
		if message == "" {
			message, _ = out["Message"].(string)
		}
		r.said = append(r.said, ordered(fmt.Sprintf("%s\t%d\t%s", code, resp.StatusCode, message)))
		out = object{"Error": object{"Code": code, "Message": message}}
	}
	out["ResponseMetadata"] = object{"HTTPStatusCode": float64(resp.StatusCode)}
	return out
}

// must makes a call that is not recorded.
func (r *recorded) must(op string, in object) object {
	r.t.Helper()
	out := r.do(op, in)
	if out["Error"] != nil {
		r.t.Fatalf("%s: %v", op, out["Error"])
	}
	return out
}

// same compares an answer with a step of a case.
func (r *recorded) same(name, step string, got any) {
	r.t.Helper()
	full := ""
	for k := range r.cases {
		if _, rest, _ := strings.Cut(k, "::"); rest == name { // behind its file's name
			full = k
		}
	}
	want, ok := r.cases[full][step]
	if !ok {
		r.t.Fatalf("there is no step %s of %s", step, name)
	}
	r.used[full] = true
	if w, ok := want.(object); ok {
		if e, ok := w["exception_message"].(object); ok { // a refused pattern
			delete(e["Error"].(object), "MessageRaw")
			want = e
		}
	}
	if diff := differ("", want, got); diff != "" {
		w, _ := json.Marshal(want)
		g, _ := json.Marshal(got)
		r.t.Errorf("%s, %s: %s\n got %s\nwant %s", name, step, diff, g, w)
	}
}

var placeholder = regexp.MustCompile(`<+[^<>]*>(:\d+>)?`)

// like turns a recorded text into a pattern: placeholders stand for anything.
func like(s string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	at := 0
	for _, m := range placeholder.FindAllStringIndex(s, -1) {
		b.WriteString(regexp.QuoteMeta(s[at:m[0]]) + `.+`)
		at = m[1]
	}
	return regexp.MustCompile(b.String() + regexp.QuoteMeta(s[at:]) + `$`)
}

var enums = regexp.MustCompile(`enum value set: \[([^]]*)\]`)

// ordered puts what a constraint error lists into an order: AWS's own is by no
// rule that the model tells. An id that the recording replaced is anything.
func ordered(s string) string {
	s = strings.ReplaceAll(s, "second-invalid-target-id", "<id>")
	head, list, ok := strings.Cut(s, " detected: ")
	if !ok {
		return s
	}
	list = enums.ReplaceAllStringFunc(list, func(set string) string {
		values := strings.Split(enums.FindStringSubmatch(set)[1], ", ")
		slices.Sort(values)
		return "enum value set: [" + strings.Join(values, ", ") + "]"
	})
	errors := strings.Split(list, "; ")
	slices.Sort(errors)
	return head + " detected: " + strings.Join(errors, "; ")
}

// texts are words that recordings hold for what differs.
var texts = []string{"signature", "signing-cert-u-r-l", "unsubscribe-u-r-l", "topic-arn", "datetime", "date", "api-destination-arn", "connection-arn", "target-arn", "target-id", "replay-name", "m-d5-of-body", "receipt-handle", "timestamp"}

// differ says where ours is not as recorded.
func differ(at string, want, got any) string {
	switch want := want.(type) {
	case object:
		g, ok := got.(object)
		if text, isText := got.(string); isText { // JSON in a string
			ok = json.Unmarshal([]byte(text), &g) == nil
		}
		if !ok {
			return fmt.Sprintf("%s is %v", at, got)
		}
		for k := range g {
			if _, ok := want[k]; !ok {
				return fmt.Sprintf("%s.%s is too much", at, k)
			}
		}
		for k, w := range want {
			if _, ok := g[k]; !ok {
				return fmt.Sprintf("%s.%s is missing", at, k)
			}
			if d := differ(at+"."+k, w, g[k]); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			return fmt.Sprintf("%s is %v, not of %d elements", at, got, len(want))
		}
		for i := range want {
			if d := differ(fmt.Sprintf("%s[%d]", at, i), want[i], g[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		if slices.Contains(texts, want) {
			return ""
		}
		if g, ok := got.(string); ok && like(ordered(want)).MatchString(ordered(g)) {
			return ""
		}
	default:
		if want == got || strings.HasSuffix(at, ".SizeBytes") {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v, not %v", at, got, want)
}

func TestRecorded(t *testing.T) {
	r := newRecorded(t)
	t.Run("connections", func(t *testing.T) { r.t = t; r.connections() })
	t.Run("destinations", func(t *testing.T) { r.t = t; r.destinations() })
	t.Run("archives", func(t *testing.T) { r.t = t; r.archives() })
	t.Run("replays", func(t *testing.T) { r.t = t; r.replays() })
	t.Run("buses", func(t *testing.T) { r.t = t; r.buses() })
	t.Run("rules", func(t *testing.T) { r.t = t; r.rules() })
	t.Run("targets", func(t *testing.T) { r.t = t; r.targets() })
	t.Run("puts", func(t *testing.T) { r.t = t; r.puts() })
	t.Run("inputs", func(t *testing.T) { r.t = t; r.inputs() })
	t.Run("patterns", func(t *testing.T) { r.t = t; r.patterns() })
	t.Run("schedules", func(t *testing.T) { r.t = t; r.schedules() })
	t.Run("tags", func(t *testing.T) { r.t = t; r.tags() })
	t.Run("delivery", func(t *testing.T) { r.t = t; r.deliveries() })
	t.Run("kinds", func(t *testing.T) { r.t = t; r.kinds() })
	t.Run("sentences", func(t *testing.T) { r.t = t; r.sentences() })
	for name := range r.cases {
		if _, rest, _ := strings.Cut(name, "::"); r.used[name] == (untold[rest] != "") {
			t.Errorf("%s: compared: %v, reason not to: %q", name, r.used[name], untold[rest])
		}
	}
}

// untold are cases that cannot be compared, with the reason.
var untold = map[string]string{
	"TestEventsTargetFirehose::test_put_events_with_target_firehose": "its answer is what a delivery stream of Firehose wrote into a bucket: neither is served, and PutTargets says so (refusesFirehose)",
}

// sentences: each recorded error is one that we said.
func (r *recorded) sentences() {
	f, err := os.Open(recordings + ".errors.tsv")
	must(r.t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), "\t")
		text, err := strconv.Unquote(`"` + fields[2] + `"`)
		must(r.t, err)
		want := like(ordered(fields[0] + "\t" + fields[1] + "\t" + text))
		if !slices.ContainsFunc(r.said, want.MatchString) {
			// A place in the source may follow: the recording took some away.
			prefix := regexp.MustCompile(strings.TrimSuffix(want.String(), "$") + `\n at \[Source`)
			if !slices.ContainsFunc(r.said, prefix.MatchString) {
				r.t.Errorf("we did not say: %s", s.Text())
			}
		}
	}
}
