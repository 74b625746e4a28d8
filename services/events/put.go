package events

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/pattern"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// maxEntries is the size in bytes that the entries of a call may have together.
const maxEntries = 1 << 20

// refusal is why an entry is not taken.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.message }

func argument(name, reason string) error {
	return &refusal{"InvalidArgument", "Parameter " + name + " is not valid. Reason: " + reason}
}

// PutEvents puts events on buses. When it answers, what rules get of them is
// durable. Each entry fails for itself.
func (a *API) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
	if in.EndpointId != nil {
		return nil, invalid("Parameter EndpointId is not valid. Reason: there are no global endpoints here. Leave it out.")
	}
	size := 0
	for _, e := range in.Entries {
		size += sizeOf(e)
	}
	if size > maxEntries {
		return nil, invalid("Total size of the entries in the request is over the limit.")
	}
	now := time.Now().UTC()
	out := &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}
	var events []bus.Event
	for i, e := range in.Entries {
		id, ev, err := a.entry(ctx, e, now)
		var no *refusal
		switch {
		case errors.As(err, &no):
			out.Entries[i] = types.PutEventsResultEntry{ErrorCode: &no.code, ErrorMessage: &no.message}
			out.FailedEntryCount++
			continue
		case err != nil:
			return nil, err
		}
		out.Entries[i] = types.PutEventsResultEntry{EventId: &id}
		if ev != nil {
			events = append(events, *ev)
		}
	}
	if err := a.engine.Put(ctx, events...); err != nil {
		return nil, err
	}
	return out, nil
}

// sizeOf is an entry's size by the rule of the user guide, "Calculating
// PutEvents event entry size".
func sizeOf(e types.PutEventsRequestEntry) int {
	n := len(deref(e.Source)) + len(deref(e.DetailType)) + len(deref(e.Detail))
	if e.Time != nil {
		n += 14
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

// entry checks an entry and makes its event, nil if its bus does not exist: AWS
// takes such an event and drops it.
func (a *API) entry(ctx context.Context, e types.PutEventsRequestEntry, now time.Time) (string, *bus.Event, error) {
	switch {
	case deref(e.Source) == "":
		return "", nil, argument("Source", "Source is a required argument.")
	case deref(e.DetailType) == "":
		return "", nil, argument("DetailType", "DetailType is a required argument.")
	case deref(e.Detail) == "":
		return "", nil, argument("Detail", "Detail is a required argument.")
	case strings.HasPrefix(*e.Source, "aws."):
		return "", nil, &refusal{"NotAuthorizedForSourceException", "Not authorized for the source."}
	case len(*e.DetailType) > 128:
		return "", nil, argument("DetailType", "DetailType is longer than 128 characters.")
	case !isObject(*e.Detail):
		return "", nil, &refusal{"MalformedDetail", "Detail is malformed."}
	}
	to, name, err := address(ctx, e.EventBusName)
	if err != nil {
		return "", nil, err
	}
	s := scope(ctx)
	var b bus.Bus
	var ok bool
	a.db.View(func(r store.Reader) error { b, ok = bus.FindBus(r, to, name); return nil })
	id := cluster.NewUUID()
	if !ok {
		a.log.Warn("an event was put on a bus that does not exist", "bus", name, "account", to.Account, "region", to.Region, "source", *e.Source)
		return id, nil, nil
	}
	if !b.Admits(s.Account, *e.Source, *e.DetailType) {
		return "", nil, &refusal{"AccessDeniedException", "Account " + s.Account + " is not authorized to perform: events:PutEvents on resource: " + b.ARN() +
			" because no resource-based policy allows the events:PutEvents action"}
	}
	at := now
	if e.Time != nil {
		at = *e.Time
	}
	p := bus.Parts{Scope: cluster.Scope{Account: s.Account, Region: to.Region}, ID: id, DetailType: *e.DetailType, Source: *e.Source, Time: at, Resources: e.Resources, Detail: []byte(*e.Detail)}
	ev := &bus.Event{Bus: to, Name: name, JSON: bus.Render(p), Ingested: now, Trace: trace(ctx, e)}
	if taken, err := a.gate.Admit(ctx, &b, ev.JSON, p.Detail, caller(ctx)); !taken {
		return id, nil, wrapContract(err)
	}
	return id, ev, nil
}

// maxTrace is the longest TraceHeader.
const maxTrace = 500

// trace is the X-Ray trace of an entry: its own, or else the call's. It goes into
// headers, so what no header can hold is left out.
func trace(ctx context.Context, e types.PutEventsRequestEntry) string {
	s := deref(e.TraceHeader)
	if s == "" {
		s = awsapi.CallFrom(ctx).Trace
	}
	if len(s) > maxTrace || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// address is the bus that an entry names, in whatever account.
func address(ctx context.Context, nameOrARN *string) (cluster.Scope, string, error) {
	name := deref(nameOrARN)
	switch {
	case name == "":
		return scope(ctx), bus.DefaultName, nil
	case !arn.Is(name):
		return scope(ctx), name, nil
	}
	s, n, ok := bus.ParseBusARN(name)
	if !ok {
		return s, "", argument("EventBusName", "it is not the ARN of an event bus.")
	}
	return s, n, nil
}

func isObject(s string) bool {
	trimmed := strings.TrimLeft(s, " \t\r\n")
	return strings.HasPrefix(trimmed, "{") && json.Valid([]byte(trimmed)) && !deeper(trimmed, pattern.MaxDepth-2)
}

// deeper reports whether JSON is nested deeper than that.
func deeper(s string, most int) bool {
	if strings.Count(s, "{")+strings.Count(s, "[") <= most {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// mandatory are the members that an event to be tested must have.
var mandatory = []string{"id", "account", "source", "time", "region", "resources", "detail-type"}

// TestEventPattern says whether a pattern matches an event.
func (a *API) TestEventPattern(_ context.Context, in *eventbridge.TestEventPatternInput) (*eventbridge.TestEventPatternOutput, error) {
	var event map[string]json.RawMessage
	if json.Unmarshal([]byte(*in.Event), &event) != nil || event == nil {
		return nil, invalid("Parameter Event is not valid.")
	}
	for _, name := range mandatory {
		if event[name] == nil {
			return nil, invalid("Parameter Event is not valid.")
		}
	}
	if err := checkPattern(*in.EventPattern); err != nil {
		return nil, err
	}
	p, err := pattern.Parse(*in.EventPattern)
	if err != nil {
		return nil, err
	}
	ok, err := p.Match([]byte(*in.Event))
	if err != nil {
		return nil, invalid("Parameter Event is not valid.")
	}
	return &eventbridge.TestEventPatternOutput{Result: ok}, nil
}
