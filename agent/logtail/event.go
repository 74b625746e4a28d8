package logtail

import "time"

// batch is a number of events that a sink takes at once: what one
// PutLogEvents call of CloudWatch Logs takes.
type batch struct {
	events []Event
	bytes  int
}

const (
	batchEvents = 10000
	batchBytes  = 1 << 20
	overhead    = 26 // that CloudWatch Logs counts for each event
)

func (b *batch) add(text string, now time.Time) {
	if text == "" {
		return // CloudWatch Logs takes no empty events
	}
	b.events = append(b.events, Event{now, text})
	b.bytes += len(text) + overhead
}

// full leaves room for one more event of any size.
func (b *batch) full() bool {
	return len(b.events) >= batchEvents || b.bytes > batchBytes-MaxEvent-overhead
}

// Split reports whether a line begins a new event; the lines up to the next
// such line belong to the same one.
type Split func(line []byte) bool

// held is an event that may go on: lines whose end no later line has marked.
type held struct {
	text []byte
	size int // bytes in the file
	at   time.Time
}

// holdFor is how long an event waits for more lines after the last output.
const holdFor = 2 * time.Second

func (h *held) add(text []byte, n int, now time.Time) {
	if h.size > 0 {
		h.text = append(h.text, '\n')
	} else {
		h.at = now
	}
	h.text = append(h.text, text...)
	h.size += n
}

// flush makes what is held an event.
func (h *held) flush(b *batch) {
	if h.size > 0 {
		b.add(string(h.text), h.at)
		*h = held{}
	}
}
