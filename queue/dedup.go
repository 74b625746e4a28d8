package queue

import "slices"

// dedups are the messages of the last five minutes by their deduplication keys.
type dedups struct {
	by      map[key]*twin
	order   []agedKey // by time
	written int       // so many of order are in checkpoints
}

// twin is a message that others may be duplicates of.
type twin struct {
	at    int64 // milliseconds
	seq   uint64
	id    [16]byte
	twins []*Sent // duplicates that wait for its number
}

type agedKey struct {
	at int64
	key
}

// note looks for a message with that key, or files o as the first.
func (d *dedups) note(k key, now int64, o *outgoing) (t *twin, twice bool) {
	if t, twice = d.by[k]; twice {
		return t, true
	}
	t = &twin{at: now, id: o.id}
	d.put(k, t)
	return t, false
}

func (d *dedups) put(k key, t *twin) {
	if d.by == nil {
		d.by = map[key]*twin{}
	}
	d.by[k] = t
	d.order = append(d.order, agedKey{t.at, k})
}

// settle gives a message its number, and its duplicates of the same append.
func (d *dedups) settle(k key, seq uint64) {
	t := d.by[k]
	if t == nil {
		return // five minutes went by meanwhile
	}
	t.seq = seq
	for _, s := range t.twins {
		s.Sequence = sequence(seq)
	}
	t.twins = nil
}

// retract forgets a message that was not written after all.
func (d *dedups) retract(k key) {
	if t := d.by[k]; t != nil && t.seq == 0 {
		delete(d.by, k)
	}
}

// expire forgets what is older than the interval.
func (d *dedups) expire(now int64) {
	n := 0
	for n < len(d.order) && d.order[n].at <= now-DedupInterval.Milliseconds() {
		if t := d.by[d.order[n].key]; t != nil && t.at == d.order[n].at {
			delete(d.by, d.order[n].key)
		}
		n++
	}
	d.order = d.order[n:]
	d.written = max(0, d.written-n)
}

// unwritten are the keys that no checkpoint has, up to the first whose message
// is not written yet; a checkpoint takes them.
func (d *dedups) unwritten() []agedKey {
	n := d.written
	for n < len(d.order) {
		if t := d.by[d.order[n].key]; t != nil && t.seq == 0 {
			break
		}
		n++
	}
	keys := d.order[d.written:n:n]
	d.written = n
	return keys
}

// rewrite is for a checkpoint that failed: what it took is to be taken again.
func (d *dedups) rewrite(keys []agedKey) { d.written = max(0, d.written-len(keys)) }

// attempts are what receives with an attempt id got, for five minutes.
type attempts struct {
	by    map[string]attempt
	order []agedAttempt
}

type attempt struct {
	at int64
	of []handle
}

type agedAttempt struct {
	at int64
	id string
}

func (a *attempts) note(id string, of []handle, at int64) {
	if a.by == nil {
		a.by = map[string]attempt{}
	}
	a.by[id] = attempt{at, slices.Clone(of)}
	a.order = append(a.order, agedAttempt{at, id})
}

// forget is for an attempt whose messages were not handed over after all.
func (a *attempts) forget(id string) { delete(a.by, id) }

// get returns what the attempt got.
func (a *attempts) get(id string, now int64) ([]handle, bool) {
	n := 0
	for n < len(a.order) && a.order[n].at <= now-DedupInterval.Milliseconds() {
		if o := a.order[n]; a.by[o.id].at == o.at {
			delete(a.by, o.id)
		}
		n++
	}
	a.order = a.order[n:]
	t, ok := a.by[id]
	return t.of, ok
}
