package logstore

import (
	"cmp"
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Position is an event's place in the order of a group: by timestamp, then
// stream, then place in the stream. It stays what it is for the event's life.
type Position struct {
	Timestamp int64
	Stream    string // Stream.ID
	Segment   int
	Offset    int64
}

func (p Position) compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Timestamp, q.Timestamp), cmp.Compare(p.Stream, q.Stream),
		cmp.Compare(p.Segment, q.Segment), cmp.Compare(p.Offset, q.Offset))
}

// Found is an event with its stream's name and its position.
type Found struct {
	Event
	Stream   string
	Position Position
}

// Query chooses events of a group.
type Query struct {
	Streams  []Stream                  // of one group; see StreamsOf
	From, To int64                     // timestamps, from inclusive, to exclusive; To 0 is no end
	After    *Position                 // only events behind it
	Before   *Position                 // only events ahead of it
	Backward bool                      // the last that fit, not the first; they come in order all the same
	Limit    int                       // events
	MaxBytes int                       // of messages, each counted with 26 bytes more; 0 is no limit
	Match    func(message string) bool // nil takes all
}

// Group returns the group's row; ErrNoGroup.
func (s *Store) Group(scope cluster.Scope, name string) (g Group, err error) {
	err = s.db.View(func(r store.Reader) error {
		var ok bool
		if g, ok = Groups.Get(r, scope.Key(name)); !ok {
			return ErrNoGroup
		}
		return nil
	})
	return g, err
}

// StreamsOf returns the streams of g that keep accepts, in order of name.
func (s *Store) StreamsOf(g Group, keep func(name string) bool) (out []Stream) {
	s.db.View(func(r store.Reader) error {
		for st := range Streams.By(r, "group", g.Key()) {
			if keep == nil || keep(st.Name) {
				out = append(out, st)
			}
		}
		return nil
	})
	return out
}

// Read returns the events that q chooses, in order, and whether there are more
// in the direction it looked. Memory is bounded by the page for each segment
// that holds candidates at the same time.
func (s *Store) Read(g Group, q Query) (page []Found, more bool, err error) {
	q.From = max(q.From, g.horizon(time.Now()))
	sources, err := s.sources(q)
	if err != nil {
		return nil, false, err
	}
	// Segments are opened in the order in which their events can come; an
	// event is certain once no unopened segment can have one ahead of it.
	var ready []Found
	size := 0
	for {
		for len(sources) > 0 && (len(ready) == 0 || q.mayPrecede(sources[0].span, ready[0])) {
			got, err := q.load(sources[0])
			if err != nil {
				return nil, false, err
			}
			sources = sources[1:]
			ready = q.merge(ready, got)
		}
		if len(ready) == 0 {
			break
		}
		e := ready[0]
		size += len(e.Message) + 26
		if len(page) == q.Limit || q.MaxBytes > 0 && size > q.MaxBytes && len(page) > 0 {
			more = true
			break
		}
		page, ready = append(page, e), ready[1:]
	}
	if q.Backward {
		slices.Reverse(page)
	}
	return page, more, nil
}

// source is a segment that may hold events of a query.
type source struct {
	segment
	st   *stream
	name string
}

// sources lists the segments whose times meet the query's, in the order of
// reading.
func (s *Store) sources(q Query) ([]source, error) {
	var out []source
	for _, row := range q.Streams {
		st, err := s.open(row.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range st.spans() {
			if g.events == 0 || g.last < q.From || q.To != 0 && g.first >= q.To ||
				q.After != nil && g.last < q.After.Timestamp || q.Before != nil && g.first > q.Before.Timestamp {
				continue
			}
			out = append(out, source{g, st, row.Name})
		}
	}
	slices.SortFunc(out, func(a, b source) int {
		if q.Backward {
			return cmp.Compare(b.last, a.last)
		}
		return cmp.Compare(a.first, b.first)
	})
	return out, nil
}

// mayPrecede reports whether a segment can hold an event that comes before e
// in the order of reading.
func (q Query) mayPrecede(s span, e Found) bool {
	if q.Backward {
		return s.last >= e.Timestamp
	}
	return s.first <= e.Timestamp
}

// load returns the events of a segment that the query takes, in the order of
// reading: at most one more than a page has.
func (q Query) load(src source) ([]Found, error) {
	raw, err := src.st.records(src.segment)
	if err != nil {
		return nil, err
	}
	var out []Found
	for at := int64(0); ; {
		e, n, err := readRecord(raw[at:])
		if err != nil {
			break // the end
		}
		p := Position{e.Timestamp, src.st.id, src.number, at}
		at += int64(n)
		if q.takes(e, p) {
			out = append(out, Found{e, src.name, p})
		}
	}
	slices.SortStableFunc(out, q.order)
	if len(out) > q.Limit+1 {
		out = slices.Clone(out[:q.Limit+1])
	}
	return out, nil
}

func (q Query) takes(e Event, p Position) bool {
	return e.Timestamp >= q.From && (q.To == 0 || e.Timestamp < q.To) &&
		(q.After == nil || p.compare(*q.After) > 0) && (q.Before == nil || p.compare(*q.Before) < 0) &&
		(q.Match == nil || q.Match(e.Message))
}

func (q Query) order(a, b Found) int {
	if q.Backward {
		return b.Position.compare(a.Position)
	}
	return a.Position.compare(b.Position)
}

// merge joins two rows of events that are in the order of reading.
func (q Query) merge(a, b []Found) []Found {
	if len(a) == 0 {
		return b
	}
	out := make([]Found, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if q.order(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// Extent says what a stream holds, without reading its events.
type Extent struct {
	First, Last int64 // timestamps
	Ingested    int64 // time of the newest write
	Events      int64
	Bytes       int64
}

// Extent returns what st holds.
func (s *Store) Extent(row Stream) (x Extent, err error) {
	st, err := s.open(row.ID)
	if err != nil {
		return x, err
	}
	for _, g := range st.spans() {
		if g.events == 0 {
			continue
		}
		if x.Events == 0 || g.first < x.First {
			x.First = g.first
		}
		x.Last = max(x.Last, g.last)
		x.Ingested = max(x.Ingested, g.ingested)
		x.Events += g.events
		x.Bytes += g.size
	}
	return x, nil
}
