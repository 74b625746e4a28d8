// Package input makes what a target gets of an event: all of it, a part of it, a
// constant, or a template filled with parts of it.
//
// The rules are those of the EventBridge user guide, "Input transformation".
package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// MaxPaths is how many variables a template may have.
	MaxPaths = 100
	// MaxSize is how many bytes a filled template may have: twice an event's. A
	// template names a large part of an event as often as it likes.
	MaxSize = 2 << 20
)

var errSize = fmt.Errorf("the filled input template is larger than %d bytes", MaxSize)

// Spec is what a target says of its input. At most one of Constant, Path and
// Template is set; none is the event itself.
type Spec struct {
	Constant *string           // JSON
	Path     *string           // of the part of the event that is sent
	Template *string           // with <name> for variables
	Paths    map[string]string // of the template's variables
}

// Event is an event on its way to a target.
type Event struct {
	JSON              []byte
	RuleARN, RuleName string
	Ingested          time.Time
}

// Check says, in AWS's words where they are known, what is wrong with the spec
// of the target id.
func (s Spec) Check(id string) error {
	set := 0
	for _, p := range []*string{s.Constant, s.Path, s.Template} {
		if p != nil {
			set++
		}
	}
	if set > 1 {
		return fmt.Errorf("Only one of Input, InputPath, or InputTransformer must be provided for target %s.", id) //lint:ignore ST1005 AWS's sentence
	}
	switch {
	case s.Constant != nil:
		var v any
		if err := json.Unmarshal([]byte(*s.Constant), &v); err != nil {
			return fmt.Errorf("JSON syntax error in input for target %s : %v", id, err)
		}
	case s.Path != nil:
		if _, err := parsePath(*s.Path); err != nil {
			return fmt.Errorf("InputPath for target %s is invalid: %v", id, err)
		}
	case s.Template != nil:
		return s.checkTemplate(id)
	}
	return nil
}

func (s Spec) checkTemplate(id string) error {
	if len(s.Paths) > MaxPaths {
		return fmt.Errorf("InputPathsMap for target %s has more than %d variables", id, MaxPaths)
	}
	for name, path := range s.Paths {
		if strings.HasPrefix(strings.ToLower(name), "aws.") {
			return fmt.Errorf("InputPathsMap for target %s defines %s: names that begin with AWS are reserved", id, name)
		}
		if _, err := parsePath(path); err != nil {
			return fmt.Errorf("InputPath for target %s is invalid: %v", id, err)
		}
	}
	if err := s.checkNames(id); err != nil {
		return err
	}
	filled := fill(*s.Template, func(_ string, quoted bool) (string, bool) {
		if quoted {
			return "", true
		}
		return "null", true
	})
	for d := json.NewDecoder(strings.NewReader(filled)); ; {
		var v any
		err := d.Decode(&v)
		if err != nil && d.InputOffset() == int64(len(filled)) || strings.TrimSpace(filled[d.InputOffset():]) == "" && err == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("Invalid InputTemplate for target %s : %v: it must be JSON, with strings in quotes", id, err) //lint:ignore ST1005 AWS's sentence
		}
	}
}

// checkNames refuses variables that stand for nothing, and the event itself
// where it would be within a string or a list.
func (s Spec) checkNames(id string) error {
	object := strings.HasPrefix(strings.TrimSpace(*s.Template), "{")
	for _, name := range s.variables() {
		if _, known := s.Paths[name]; !known && !predefined[name] {
			return fmt.Errorf("InputTemplate for target %s contains invalid placeholder %s.", id, name) //lint:ignore ST1005 AWS's sentence
		}
		if name == wholeEvent && !object {
			return fmt.Errorf("InputTemplate for target %s contains placeholder %s valid only for JSON template.", id, name) //lint:ignore ST1005 AWS's sentence
		}
	}
	return nil
}

// variables are the names that a template uses.
func (s Spec) variables() (names []string) {
	fill(*s.Template, func(name string, _ bool) (string, bool) {
		names = append(names, name)
		return "", true
	})
	return names
}

// wholeEvent is the variable of the event as it is.
const wholeEvent = "aws.events.event.json"

// predefined are the variables that no path is given for.
var predefined = map[string]bool{"aws.events.rule-arn": true, "aws.events.rule-name": true, "aws.events.event.ingestion-time": true,
	"aws.events.event": true, wholeEvent: true}

// Apply returns what the target gets. What a path does not find is null, in a
// template an empty string.
func (s Spec) Apply(e Event) ([]byte, error) {
	switch {
	case s.Constant != nil:
		return []byte(*s.Constant), nil
	case s.Path != nil:
		p, err := parsePath(*s.Path)
		if err != nil {
			return nil, err
		}
		if v := p.find(e.JSON); v != nil {
			return compact(v), nil
		}
		return []byte("null"), nil
	case s.Template != nil:
		return s.transform(e)
	}
	return e.JSON, nil
}

// transform fills the template.
func (s Spec) transform(e Event) ([]byte, error) {
	type rendered struct {
		name   string
		quoted bool
	}
	var failed error
	values := map[rendered]*string{} // nil: no variable
	size := len(*s.Template)
	out := fill(*s.Template, func(name string, quoted bool) (string, bool) {
		text, ok := values[rendered{name, quoted}]
		if !ok && failed == nil {
			v, known, err := s.variable(e, name)
			if failed = err; known {
				r := render(v, quoted)
				text = &r
			}
			values[rendered{name, quoted}] = text
		}
		if text == nil || failed != nil {
			return "", false
		}
		if size += len(*text); size > MaxSize {
			failed = errSize
			return "", false
		}
		return *text, true
	})
	if failed != nil {
		return nil, failed
	}
	if trimmed := strings.TrimSpace(out); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		return compact([]byte(out)), nil
	}
	return []byte(out), nil
}

// render writes a value, nil for one that is not there, into a template. Within
// a string, it is the text of a string as its JSON has it, and other values
// without their quotes; escapes of their strings stay what they are.
func render(v json.RawMessage, quoted bool) string {
	if !quoted {
		if v == nil {
			return `""`
		}
		return string(v)
	}
	if len(v) >= 2 && v[0] == '"' {
		return string(v[1 : len(v)-1])
	}
	return strings.NewReplacer(`\\`, `\\`, `\"`, ``, `"`, ``).Replace(string(v))
}

// variable is the value of a variable, nil if the event does not have it; known
// is false for names that stand for nothing.
func (s Spec) variable(e Event, name string) (v json.RawMessage, known bool, err error) {
	switch name {
	case "aws.events.rule-arn":
		v, err = json.Marshal(e.RuleARN)
	case "aws.events.rule-name":
		v, err = json.Marshal(e.RuleName)
	case "aws.events.event.ingestion-time":
		v, err = json.Marshal(e.Ingested.UTC().Format("2006-01-02T15:04:05.000Z"))
	case wholeEvent:
		v = compact(e.JSON)
	case "aws.events.event":
		v, err = envelope(e.JSON)
	default:
		path, ok := s.Paths[name]
		if !ok {
			return nil, false, nil
		}
		p, err := parsePath(path)
		if err != nil {
			return nil, true, err
		}
		if v = p.find(e.JSON); v != nil {
			v = compact(v)
		}
	}
	return v, true, err
}

// envelope is an event without its detail; in it detail-type is detailType.
func envelope(event []byte) (json.RawMessage, error) {
	members, err := membersOf(event)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, m := range members {
		switch m.name {
		case "detail":
			continue
		case "detail-type":
			m.name = "detailType"
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(compact(m.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

type member struct {
	name  string
	value json.RawMessage
}

// membersOf are an object's members in their order.
func membersOf(object []byte) (out []member, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the event is not a JSON object")
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: t.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// compact takes white space out of JSON, and leaves what is none as it is.
func compact(v []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, v) != nil {
		return v
	}
	return b.Bytes()
}

// fill puts values for the variables of a template. value is asked whether a
// name is one, and told whether it stands within a string.
func fill(template string, value func(name string, quoted bool) (string, bool)) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(template); i++ {
		switch c := template[i]; c {
		case '\\':
			b.WriteByte(c)
			if i+1 < len(template) {
				i++
				b.WriteByte(template[i])
			}
			continue
		case '"':
			quoted = !quoted
		case '<':
			if n := strings.IndexByte(template[i:], '>'); n > 0 && isName(template[i+1:i+n]) {
				if v, ok := value(template[i+1:i+n], quoted); ok {
					b.WriteString(v)
					i += n
					continue
				}
			}
		}
		b.WriteByte(template[i])
	}
	return b.String()
}

// isName reports whether s may name a variable.
func isName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return s != ""
}
