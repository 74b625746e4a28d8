package sqs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// recorded reads what AWS answered; the data lies beside the checkout.
func recorded(t *testing.T) map[string]object {
	data, err := os.ReadFile("../../../shared/data/recordings/sqs.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no recordings at ../shared/data/recordings")
	}
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]object
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// matcher compares answers with recorded ones: <name:1> is any text, the same
// wherever it stands in a case.
type matcher struct {
	t     *testing.T
	bound map[string]string
	query bool
}

var placeholder = regexp.MustCompile(`<<?[a-z-]+(:[0-9]+>|>:[0-9]+>|>)`)

func (m *matcher) match(at string, got, want any) {
	m.t.Helper()
	if want == "timestamp" {
		if got == nil {
			m.t.Errorf("%s is absent", at)
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
			m.t.Errorf("%s is %v, want %v", at, got, want)
			return
		}
		for k := range w {
			if k == "QueryErrorCode" && m.query {
				continue // one recording of the query protocol has it all the same
			}
			m.match(at+"."+k, g[k], w[k])
		}
		for k := range g {
			if _, ok := w[k]; !ok && !empty(g[k]) {
				m.t.Errorf("%s.%s is %v, and was not recorded", at, k, g[k])
			}
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			m.t.Errorf("%s is %v, want %v", at, got, want)
			return
		}
		for i := range w {
			m.match(fmt.Sprintf("%s[%d]", at, i), g[i], w[i])
		}
	case string:
		m.matchText(at, fmt.Sprint(got), w)
	default:
		if fmt.Sprint(got) != fmt.Sprint(want) {
			m.t.Errorf("%s is %v, want %v", at, got, want)
		}
	}
}

// empty lists are not in botocore's answers, nor is the empty Detail in older
// ones.
func empty(v any) bool {
	l, ok := v.([]any)
	return v == nil || ok && len(l) == 0
}

func (m *matcher) matchText(at, got, want string) {
	m.t.Helper()
	var names []string
	pattern := "^"
	rest := want
	for {
		loc := placeholder.FindStringIndex(rest)
		if loc == nil {
			break
		}
		name := rest[loc[0]:loc[1]]
		names = append(names, name)
		pattern += regexp.QuoteMeta(rest[:loc[0]]) + `([\s\S]+?)`
		rest = rest[loc[1]:]
	}
	pattern += regexp.QuoteMeta(rest) + "$"
	found := regexp.MustCompile(pattern).FindStringSubmatch(got)
	if found == nil {
		m.t.Errorf("%s is %q, want %q", at, got, want)
		return
	}
	for i, name := range names {
		if !strings.Contains(name, ":") {
			continue
		}
		if have, ok := m.bound[name]; ok && have != found[i+1] {
			m.t.Errorf("%s: %s is %q, was %q before", at, name, found[i+1], have)
		}
		m.bound[name] = found[i+1]
	}
}

// script is a case: it returns its steps' answers by their names.
type script func(r *run, variant string)

// run is a script under way.
type run struct {
	*client
	m    *matcher
	want object
	done map[string]bool
	n    int
}

// step compares an answer with the recorded one.
func (r *run) step(name string, got any) {
	r.f.t.Helper()
	want, ok := r.want[name]
	if !ok {
		r.m.t.Errorf("there is no recorded step %q", name)
		return
	}
	r.done[name] = true
	r.m.match(name, got, want)
}

// queue makes a queue and returns its URL.
func (r *run) queue(name string, attributes ...string) string {
	r.f.t.Helper()
	r.n++
	return r.must("CreateQueue", object{"QueueName": fmt.Sprintf("q%d%s", r.n, name), "Attributes": pairs(attributes)})["QueueUrl"].(string)
}

func pairs(list []string) object {
	m := object{}
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

func (r *run) fifo(attributes ...string) string {
	r.f.t.Helper()
	return r.queue(".fifo", append(attributes, "FifoQueue", "true")...)
}

// arn is the ARN of a URL's queue.
func (r *run) arn(queueURL string) string {
	return r.must("GetQueueAttributes", object{"QueueUrl": queueURL, "AttributeNames": []string{"QueueArn"}})["Attributes"].(object)["QueueArn"].(string)
}

// TestRecordings replays what AWS was asked and compares what it answered, in
// the protocol of the recording.
func TestRecordings(t *testing.T) {
	all := recorded(t)
	f := newFixture(t)
	ran := 0
	for name, want := range all {
		base, variant, _ := strings.Cut(strings.TrimSuffix(name[strings.LastIndex(name, "::")+2:], "]"), "[")
		s := scripts[base]
		if s == nil {
			t.Logf("no script: %s", name)
			continue
		}
		ran++
		t.Run(base+"/"+variant, func(t *testing.T) {
			g := &fixture{t: t, url: f.url, engine: f.engine, said: f.said}
			if err := f.engine.Reset(t.Context(), account); err != nil {
				t.Fatal(err)
			}
			r := &run{client: &client{f: g, query: strings.Contains(variant, "sqs_query")}, m: &matcher{t: t, bound: map[string]string{}, query: strings.Contains(variant, "sqs_query")}, want: want, done: map[string]bool{}}
			s(r, variant)
			for step := range want {
				if !r.done[step] {
					t.Errorf("the step %q was not taken", step)
				}
			}
		})
	}
	sayAll(t, f.said)
	if ran != len(all) {
		t.Errorf("%d of %d recorded cases have a script", ran, len(all))
	}
}

// sayAll fails for errors that were seen at AWS and have not been said here, in
// any of the answers.
func sayAll(t *testing.T, said map[string]bool) {
	data, err := os.ReadFile("../../../shared/data/recordings/sqs.errors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		pattern := "^" + placeholder.ReplaceAllString(regexp.QuoteMeta(strings.TrimSpace(line)), `[^\t]+`) + "$"
		ok := false
		for s := range said {
			ok = ok || regexp.MustCompile(pattern).MatchString(s)
		}
		if !ok {
			t.Errorf("nothing answered %q", line)
		}
	}
}
