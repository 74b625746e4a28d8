package sns

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/queue"
)

type object = map[string]any

// recorded reads what AWS answered; the data lies beside the checkout.
func recorded(t *testing.T) map[string]object {
	data, err := os.ReadFile("../../../shared/data/recordings/sns.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no recordings at ../shared/data/recordings")
	}
	must(t, err)
	var all map[string]object
	must(t, json.Unmarshal(data, &all))
	return all
}

// run is a case under way.
type run struct {
	*fixture
	t     *testing.T
	want  object
	done  map[string]bool
	bound map[string]string
	said  map[string]bool
}

// answer is a call's outcome as recordings hold it.
func (r *run) answer(out any, err error) object {
	if err != nil {
		code, message, status := told(err)
		r.said[fmt.Sprintf("%s\t%d\t%s", code, status, message)] = true
		return object{"Error": object{"Code": code, "Message": message, "Type": "Sender"}, "ResponseMetadata": object{"HTTPStatusCode": float64(status)}}
	}
	got := members(out)
	got["ResponseMetadata"] = object{"HTTPStatusCode": 200.0}
	return got
}

// members are an output's members by AWS's names.
func members(out any) object {
	data, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	var m object
	if json.Unmarshal(data, &m) != nil || reflect.ValueOf(out).IsNil() {
		m = object{}
	}
	delete(m, "ResultMetadata")
	return m
}

// lower are members that begin with a small letter in the model.
var lower = map[string]string{"attributes": "Attributes", "phoneNumbers": "PhoneNumbers"}

// step compares an answer with the recorded one.
func (r *run) step(name string, got any) {
	r.t.Helper()
	want, ok := r.want[name]
	if !ok {
		r.t.Errorf("there is no recorded step %q", name)
		return
	}
	r.done[name] = true
	r.match(name, got, want)
}

// skip is for a step that differs on purpose.
func (r *run) skip(name, why string) {
	r.t.Helper()
	if _, ok := r.want[name]; !ok {
		r.t.Errorf("there is no recorded step %q", name)
	}
	r.done[name] = true
	r.t.Logf("%s: %s", name, why)
}

// unrendered are members of received messages that the queues' own tests compare.
var unrendered = []string{"MD5OfBody", "MD5OfMessageAttributes", "ReceiptHandle", "_normalized", "nextBackwardToken", "nextForwardToken"}

func (r *run) match(at string, got, want any) {
	r.t.Helper()
	if want == "timestamp" || want == "date" {
		if got == nil {
			r.t.Errorf("%s is absent", at)
		}
		return
	}
	switch w := want.(type) {
	case object:
		if text, ok := got.(string); ok { // JSON within a text
			var v any
			if json.Unmarshal([]byte(text), &v) == nil {
				got = v
			}
		}
		g, ok := got.(object)
		if !ok {
			r.t.Errorf("%s is %v, want %v", at, got, want)
			return
		}
		for k := range w {
			if slices.Contains(unrendered, k) {
				continue
			}
			v, ok := g[k]
			if alias := lower[k]; !ok && alias != "" {
				v = g[alias]
			}
			r.match(at+"."+k, v, w[k])
		}
		for k := range g {
			known := false
			for name := range w {
				known = known || name == k || lower[name] == k
			}
			if !known && !empty(g[k]) {
				r.t.Errorf("%s.%s is %v, and was not recorded", at, k, g[k])
			}
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			r.t.Errorf("%s is %v, want %v", at, got, want)
			return
		}
		for i := range w {
			r.match(fmt.Sprintf("%s[%d]", at, i), g[i], w[i])
		}
	case string:
		r.matchText(at, fmt.Sprint(got), w)
	default:
		if fmt.Sprint(got) != fmt.Sprint(want) {
			r.t.Errorf("%s is %v, want %v", at, got, want)
		}
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case bool:
		return !v
	}
	return false
}

var placeholder = regexp.MustCompile(`<[a-zA-Z0-9_-]+(:[0-9]+)?>`)

// matchText compares with placeholders: <name:1> is any text, the same wherever
// it stands in a case.
func (r *run) matchText(at, got, want string) {
	r.t.Helper()
	var names []string
	pattern, rest := "^", want
	for {
		loc := placeholder.FindStringIndex(rest)
		if loc == nil {
			break
		}
		names = append(names, rest[loc[0]:loc[1]])
		pattern += regexp.QuoteMeta(rest[:loc[0]]) + `([\s\S]+?)`
		rest = rest[loc[1]:]
	}
	found := regexp.MustCompile(pattern + regexp.QuoteMeta(rest) + "$").FindStringSubmatch(got)
	if found == nil {
		r.t.Errorf("%s is %q, want %q", at, got, want)
		return
	}
	for i, name := range names {
		if !strings.Contains(name, ":") {
			continue
		}
		if have, ok := r.bound[name]; ok && have != found[i+1] {
			r.t.Errorf("%s: %s is %q, was %q before", at, name, found[i+1], have)
		}
		r.bound[name] = found[i+1]
	}
}

// messages renders received messages as SQS answers them.
func messages(system bool, list ...queue.Delivery) object {
	var all []any
	for _, d := range list {
		m := object{"Body": d.Body, "MessageId": d.ID}
		if len(d.Attributes) > 0 {
			attributes := object{}
			for name, a := range d.Attributes {
				v := object{"DataType": a.Type}
				if a.Binary != nil {
					var b strings.Builder
					for _, c := range a.Binary {
						fmt.Fprintf(&b, `\x%02x`, c)
					}
					v["BinaryValue"] = "b'" + b.String() + "'"
				} else {
					v["StringValue"] = a.String
				}
				attributes[name] = v
			}
			m["MessageAttributes"] = attributes
		}
		if system {
			a := object{"ApproximateReceiveCount": fmt.Sprint(d.Receives), "SenderId": "x", "SentTimestamp": d.Sent.String(), "ApproximateFirstReceiveTimestamp": d.FirstReceived.String()}
			if d.Dedup != "" {
				a["MessageDeduplicationId"], a["MessageGroupId"], a["SequenceNumber"] = d.Dedup, d.Group, d.Sequence
			}
			m["Attributes"] = a
		}
		all = append(all, m)
	}
	return object{"Messages": all, "ResponseMetadata": object{"HTTPStatusCode": 200.0}}
}

// bare is an answer without its status, as some recordings are.
func bare(o object) object {
	delete(o, "ResponseMetadata")
	return o
}

// element is any XML.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

// object reads XML as recordings of raw answers show it.
func (e element) object() any {
	if len(e.Children) == 0 {
		return e.Text
	}
	out := object{}
	for _, c := range e.Children {
		out[c.XMLName.Local] = c.object()
	}
	return out
}

// TestRecordings asks what AWS was asked and compares what it answered.
func TestRecordings(t *testing.T) {
	all := recorded(t)
	said := map[string]bool{}
	for _, name := range slices.Sorted(mapKeys(all)) {
		base, variant, _ := strings.Cut(strings.TrimSuffix(name[strings.LastIndex(name, "::")+2:], "]"), "[")
		s := scripts[base]
		if s == nil {
			t.Errorf("no script: %s", name)
			continue
		}
		t.Run(base+"/"+variant, func(t *testing.T) {
			r := &run{fixture: newFixture(t), t: t, want: all[name], done: map[string]bool{}, bound: map[string]string{}, said: said}
			s(r, variant)
			for step := range r.want {
				if !r.done[step] {
					t.Errorf("the step %q was not taken", step)
				}
			}
		})
	}
	if !t.Failed() {
		sayAll(t, said)
	}
}

// sayAll fails for errors that were seen at AWS and have not been said here, in
// any of the answers.
func sayAll(t *testing.T, said map[string]bool) {
	data, err := os.ReadFile("../../../shared/data/recordings/sns.errors.tsv")
	must(t, err)
	for line := range strings.Lines(string(data)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if parts[1] == "" {
			parts[1] = "400" // a raw answer, whose status was not recorded
		}
		sentence := strings.NewReplacer(`\"`, `"`, `\n`, "\n").Replace(parts[2])
		pattern := regexp.QuoteMeta(parts[0] + "\t" + parts[1] + "\t" + sentence)
		re := regexp.MustCompile("^" + placeholder.ReplaceAllString(pattern, `[\s\S]+`) + "$")
		ok := false
		for s := range said {
			ok = ok || re.MatchString(s)
		}
		if !ok {
			t.Errorf("nothing answered %q", line)
		}
	}
}
