package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/outlet"
)

// Parts are what an event is made of.
type Parts struct {
	cluster.Scope
	ID         string
	DetailType string
	Source     string
	Time       time.Time
	Resources  []string
	Detail     []byte // a JSON object
}

// Render writes an event as EventBridge sends it, in its order of members.
func Render(p Parts) []byte {
	var b bytes.Buffer
	b.Grow(256 + len(p.Detail))
	str := func(before, s string) {
		b.WriteString(before)
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if enc.Encode(s) == nil { // a string: it does not fail
			b.Truncate(b.Len() - 1) // the line's end
		}
	}
	str(`{"version":"0","id":`, p.ID)
	str(`,"detail-type":`, p.DetailType)
	str(`,"source":`, p.Source)
	str(`,"account":`, p.Account)
	str(`,"time":`, p.Time.UTC().Format("2006-01-02T15:04:05Z"))
	str(`,"region":`, p.Region)
	b.WriteString(`,"resources":[`)
	for i, r := range p.Resources {
		if i > 0 {
			b.WriteByte(',')
		}
		str("", r)
	}
	b.WriteString(`],"detail":`)
	if json.Compact(&b, p.Detail) != nil {
		b.WriteString("{}") // not to be: callers checked it
	}
	b.WriteByte('}')
	return escape(b.Bytes())
}

// escape writes the characters as JSON's escapes that JSON may hold in its
// strings as they are, and messages of queues may not.
func escape(event []byte) []byte {
	for _, c := range [...][2]string{{"\uFFFE", `\ufffe`}, {"\uFFFF", `\uffff`}} {
		if bytes.Contains(event, []byte(c[0])) {
			event = bytes.ReplaceAll(event, []byte(c[0]), []byte(c[1]))
		}
	}
	return event
}

// TakePlatform is a subscriber of the platform's events: they go on the default
// buses of their scopes.
func (e *Engine) TakePlatform(ctx context.Context, events []outlet.Event) error {
	list := make([]Event, len(events))
	for i, ev := range events {
		list[i] = Event{Bus: ev.Scope, Name: DefaultName, JSON: ev.JSON, Ingested: now()}
	}
	return e.Put(ctx, list...)
}
