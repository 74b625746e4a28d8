package bus

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dhowhq/dhow/bus/pattern"
	"github.com/dhowhq/dhow/cluster"
)

// routes knows, for each bus, which rules and archives an event is for.
type routes struct {
	mu    sync.RWMutex
	buses map[string]*route // by Scope.Key(bus)
}

// route is one bus's rules and archives with patterns.
type route struct {
	set   *pattern.Set[string] // by ARN
	lanes map[string][]string  // by ARN
}

func newRoutes() *routes { return &routes{buses: map[string]*route{}} }

// rule follows a change of a rule.
func (r *routes) rule(was, is *Rule) {
	if was != nil {
		r.drop(was.Scope.Key(was.Bus), was.ARN())
	}
	if is == nil || is.Pattern == "" || !is.Enabled() || len(is.Targets) == 0 {
		return
	}
	var lanes []string
	for _, t := range is.Targets {
		lanes = append(lanes, laneOf(is.ARN(), *t.Id))
	}
	r.put(is.Scope.Key(is.Bus), is.ARN(), is.Pattern, lanes)
}

// archive follows a change of an archive.
func (r *routes) archive(was, is *Archive) {
	if was != nil {
		r.drop(was.Scope.Key(was.Bus), was.ARN())
	}
	if is != nil {
		// Events that are replayed are archived already.
		text := is.Pattern
		if text == "" {
			text = `{"version":[{"exists":true}]}`
		}
		r.put(is.Scope.Key(is.Bus), is.ARN(), text, []string{is.ARN()})
	}
}

func (r *routes) put(bus, arn, text string, lanes []string) {
	p, err := pattern.Parse(text)
	if err != nil {
		return // faces let no such pattern in
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buses[bus]
	if b == nil {
		b = &route{pattern.NewSet[string](), map[string][]string{}}
		r.buses[bus] = b
	}
	b.set.Put(arn, p)
	b.lanes[arn] = lanes
}

func (r *routes) drop(bus, arn string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buses[bus]
	if b == nil {
		return
	}
	b.set.Delete(arn)
	delete(b.lanes, arn)
	if len(b.lanes) == 0 {
		delete(r.buses, bus)
	}
}

// lanes are where an event goes.
func (r *routes) lanes(ev Event) (out []string, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	b := r.buses[ev.Bus.Key(ev.Name)]
	if b == nil {
		return nil, nil
	}
	arns, err := b.set.Match(ev.JSON, nil)
	if err != nil {
		return nil, err
	}
	for _, arn := range arns {
		if len(ev.Only) > 0 && !slices.Contains(ev.Only, arn) || ev.Replay != "" && isArchive(arn) {
			continue
		}
		out = append(out, b.lanes[arn]...)
	}
	return out, nil
}

// A rule's lane is its ARN and the target's id; an archive's is its ARN. Neither
// ARNs nor ids hold a "|".
func laneOf(ruleARN, target string) string { return ruleARN + "|" + target }

func isArchive(lane string) bool {
	return strings.Contains(lane, ":archive/") && !strings.Contains(lane, "|")
}

func parseArchiveARN(s string) (cluster.Scope, string, bool) { return resource(s, "archive") }

// splitLane is the inverse of laneOf.
func splitLane(lane string) (ruleARN, target string) {
	ruleARN, target, _ = strings.Cut(lane, "|")
	return ruleARN, target
}

var errEnvelope = errors.New("bus: not an event of this version")

// envelope is an event for its deliveries.
type envelope struct {
	ingested time.Time
	hops     int    // how many buses it passed
	trace    string // its TraceHeader, "" for none
	event    []byte // JSON
}

// The versions of an envelope's form on disk.
const (
	untraced = 1
	traced   = 2
)

// encode writes an envelope: its version, the time, the number of buses, a trace
// with its length, the event.
func (v envelope) encode() []byte {
	b := append(make([]byte, 0, 24+len(v.trace)+len(v.event)), untraced)
	if v.trace != "" {
		b[0] = traced
	}
	b = binary.AppendVarint(b, v.ingested.UnixMicro())
	b = binary.AppendUvarint(b, uint64(v.hops))
	if v.trace != "" {
		b = append(binary.AppendUvarint(b, uint64(len(v.trace))), v.trace...)
	}
	return append(b, v.event...)
}

func decode(b []byte) (v envelope, err error) {
	if len(b) == 0 || b[0] != untraced && b[0] != traced {
		return v, errEnvelope
	}
	version, b := b[0], b[1:]
	micro, n := binary.Varint(b)
	if n <= 0 {
		return v, errEnvelope
	}
	b = b[n:]
	hops, n := binary.Uvarint(b)
	if n <= 0 {
		return v, errEnvelope
	}
	b = b[n:]
	if version == traced {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return v, errEnvelope
		}
		v.trace, b = string(b[n:n+int(size)]), b[n+int(size):]
	}
	v.ingested, v.hops, v.event = time.UnixMicro(micro), int(hops), b
	return v, nil
}
