package logstore

import (
	"cmp"
	"path/filepath"
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
	Match    func(message []byte) bool // nil takes all
}

// Page is what Read found.
type Page struct {
	Events []Found
	// Next is where to go on: After of the next query, Before if it looks
	// backward. Nil when there was nothing more. A page may be empty and yet
	// have a next one: a search stops after some megabytes.
	Next *Position
}

// scanLimit is how much one Read with a Match searches, in bytes of records. A
// variable for tests.
var scanLimit int64 = 32 << 20

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

// Read returns the events that q chooses, in order. It holds a page and one
// segment in memory.
func (s *Store) Read(g Group, q Query) (Page, error) {
	q.From = max(q.From, g.horizon(time.Now()))
	sources, err := s.sources(q)
	if err != nil {
		return Page{}, err
	}
	// Segments are opened in the order in which their events can come; an
	// event is certain once no unopened segment can have one ahead of it.
	var page, ready []Found
	var next *Position
	size, scanned := 0, int64(0)
read:
	for {
		for len(sources) > 0 && (len(ready) == 0 || q.mayPrecede(sources[0].span, ready[0])) {
			if at := q.startOf(sources[0].span); q.Match != nil && scanned >= scanLimit && q.ahead(at) {
				next = &at
				break read
			}
			got, err := q.load(sources[0])
			if err != nil {
				return Page{}, err
			}
			scanned += sources[0].size
			sources = sources[1:]
			ready = q.trim(q.merge(ready, got), len(page), size)
		}
		if len(ready) == 0 {
			break
		}
		e := ready[0]
		size += len(e.Message) + 26
		if len(page) == q.Limit || q.MaxBytes > 0 && size > q.MaxBytes && len(page) > 0 {
			at := page[len(page)-1].Position
			next = &at
			break
		}
		page, ready = append(page, e), ready[1:]
	}
	if q.Backward {
		slices.Reverse(page)
	}
	return Page{page, next}, nil
}

// trim cuts off what the page can no longer take, but for the one event that
// says there is more.
func (q Query) trim(ready []Found, taken, size int) []Found {
	for i, e := range ready {
		size += len(e.Message) + 26
		if taken+i == q.Limit || q.MaxBytes > 0 && size > q.MaxBytes && taken+i > 0 {
			clear(ready[i+1:])
			return ready[:i+1]
		}
	}
	return ready
}

// startOf is the position from which on a segment of that span, and those read
// after it, can have events.
func (q Query) startOf(s span) Position {
	if q.Backward {
		return Position{Timestamp: s.last + 1}
	}
	return Position{Timestamp: s.first}
}

// ahead reports whether a query that begins at p looks at less than q does.
func (q Query) ahead(p Position) bool {
	if q.Backward {
		return q.Before == nil || p.compare(*q.Before) < 0
	}
	return q.After == nil || p.compare(*q.After) > 0
}

// source is a segment that may hold events of a query.
type source struct {
	segment
	stream, name, dir string
}

// spans returns a stream's segments as they are now.
func (s *Store) spans(id string) (out []segment, err error) {
	err = s.use(id, func(st *stream) error {
		out = st.spans()
		return nil
	})
	return out, err
}

// sources lists the segments whose times meet the query's, in the order of
// reading.
func (s *Store) sources(q Query) ([]source, error) {
	var out []source
	for _, row := range q.Streams {
		all, err := s.spans(row.ID)
		if err != nil {
			return nil, err
		}
		for _, g := range all {
			if g.events == 0 || g.last < q.From || q.To != 0 && g.first >= q.To ||
				q.After != nil && g.last < q.After.Timestamp || q.Before != nil && g.first > q.Before.Timestamp {
				continue
			}
			out = append(out, source{g, row.ID, row.Name, filepath.Join(s.dir, row.ID)})
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
	raw, err := src.records(src.dir, 0)
	if err != nil {
		return nil, err
	}
	var out []Found
	for at := int64(0); ; {
		r, n, err := nextRecord(raw[at:])
		if err != nil {
			break // the end
		}
		p := Position{r.timestamp, src.stream, src.number, at}
		at += int64(n)
		if q.takes(r, p) {
			out = append(out, Found{r.event(), src.name, p})
		}
	}
	slices.SortStableFunc(out, q.order)
	if len(out) > q.Limit+1 {
		out = slices.Clone(out[:q.Limit+1])
	}
	return out, nil
}

func (q Query) takes(r record, p Position) bool {
	return r.timestamp >= q.From && (q.To == 0 || r.timestamp < q.To) &&
		(q.After == nil || p.compare(*q.After) > 0) && (q.Before == nil || p.compare(*q.Before) < 0) &&
		(q.Match == nil || q.Match(r.message))
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

// Extent returns what a stream holds. That of a stream which left memory is
// known without its return.
func (s *Store) Extent(row Stream) (Extent, error) {
	s.mu.Lock()
	x, left := s.extents[row.ID]
	s.mu.Unlock()
	if left {
		return x, nil
	}
	all, err := s.spans(row.ID)
	return extent(all), err
}

func extent(all []segment) (x Extent) {
	for _, g := range all {
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
	return x
}
