package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// place is where a reader stands: before the record of that number in the
// journal and that index, whether or not it is there.
type place struct {
	seq journal.Seq
	idx uint32
}

// after is the place behind a record.
func after(n SequenceNumber) place {
	if n.Idx == lastIdx {
		return place{seq: journal.Seq(n.Seq) + 1}
	}
	return place{journal.Seq(n.Seq), n.Idx + 1}
}

// lastIdx is above the index of every record: it stands for a chunk's end.
const lastIdx = math.MaxUint32

func at(n SequenceNumber) place { return place{journal.Seq(n.Seq), n.Idx} }

// number is the sequence number that AFTER_SEQUENCE_NUMBER leads back from to
// the place.
func (p place) number(row Shard) SequenceNumber {
	n := SequenceNumber{Epoch: row.Epoch, Seq: uint64(p.seq), Idx: p.idx, Shard: uint32(row.Index)}
	switch {
	case p.idx > 0:
		n.Idx--
	case p.seq > 0:
		n.Seq--
		n.Idx = lastIdx
	}
	return n
}

// bound says how much a read takes.
type bound struct {
	records int
	bytes   int
	since   int64 // unix milliseconds: what arrived before is expired
}

// page is what a read gives.
type page struct {
	records []Record
	bytes   int
	next    place
	behind  time.Duration // MillisBehindLatest, before rounding
	end     bool          // the shard is closed, and this was its rest
}

// read reads from a place. It gives at least one record if there is one.
func (sh *shard) read(ctx context.Context, from place, b bound) (p page, err error) {
	if err := sh.ready(ctx); err != nil {
		return p, err
	}
	sh.mu.Lock()
	tip, closed := sh.tip, !sh.row.Open()
	sh.mu.Unlock()
	p.next = from
	full := false
	if from.seq < tip {
		for r, err := range sh.log.Read(ctx, from.seq) {
			if err != nil {
				return p, err
			}
			if r.Seq >= tip {
				break
			}
			if full, err = sh.unpack(ctx, r, from, b, &p); err != nil {
				return p, err
			}
			if full {
				break
			}
		}
		if !full {
			p.next = place{seq: tip}
		}
	}
	switch {
	case full:
		p.behind = max(0, sh.now().Sub(p.records[len(p.records)-1].Arrival))
	case closed:
		p.end = true
	}
	return p, nil
}

// unpack adds a chunk's records to the page; full reports that there was no
// room for one.
func (sh *shard) unpack(ctx context.Context, r journal.Record, from place, b bound, p *page) (full bool, err error) {
	flags, arrival, err := head(r.Data)
	if err != nil {
		return false, fmt.Errorf("%w: number %d of %s", err, r.Seq, sh.name)
	}
	if flags&flagPart != 0 || arrival < b.since {
		return false, nil
	}
	body := r.Data[chunkHead:]
	if flags&flagList != 0 {
		if body, err = sh.join(ctx, body); err != nil {
			return false, err
		}
	}
	if body, err = openBody(flags, body, sh.name, sh.keys.reading()); err != nil {
		return false, err
	}
	when := time.UnixMilli(arrival).UTC()
	err = eachEntry(body, func(idx int, key string, data []byte) bool {
		if r.Seq == from.seq && uint32(idx) < from.idx {
			return true
		}
		size := len(key) + len(data)
		if len(p.records) == b.records || len(p.records) > 0 && p.bytes+size > b.bytes {
			p.next, full = place{r.Seq, uint32(idx)}, true
			return false
		}
		p.bytes += size
		p.records = append(p.records, Record{
			Sequence: SequenceNumber{sh.row.Epoch, uint64(r.Seq), uint32(idx), uint32(sh.row.Index)},
			Arrival:  when, PartitionKey: key, Data: data, Encrypted: flags&flagSealed != 0,
		})
		return true
	})
	if err != nil {
		return false, fmt.Errorf("%w: number %d of %s", err, r.Seq, sh.name)
	}
	return full, nil
}

// join puts the parts of a large chunk's body together.
func (sh *shard) join(ctx context.Context, listing []byte) ([]byte, error) {
	seqs, err := listed(listing)
	if err != nil {
		return nil, err
	}
	parts, err := sh.log.Get(ctx, seqs...)
	if err != nil {
		return nil, err
	}
	var body []byte
	for _, part := range parts {
		flags, _, err := head(part.Data)
		if err != nil || flags&flagPart == 0 {
			return nil, errChunk
		}
		body = append(body, part.Data[chunkHead:]...)
	}
	return body, nil
}

// seek returns the first number in the journal whose record arrived at that
// time or later, the tip if there is none.
func (sh *shard) seek(ctx context.Context, since int64) (journal.Seq, error) {
	if err := sh.ready(ctx); err != nil {
		return 0, err
	}
	sh.mu.Lock()
	low, tip := sh.low, sh.tip
	sh.mu.Unlock()
	var failure error
	found := sort.Search(int(tip-low), func(i int) bool {
		arrival, ok, err := sh.arrival(ctx, low+journal.Seq(i))
		if err != nil {
			failure = err
		}
		return err != nil || !ok || arrival >= since
	})
	return low + journal.Seq(found), failure
}

// trim removes the records that arrived before a time.
func (sh *shard) trim(ctx context.Context, since int64) error {
	if err := sh.ready(ctx); err != nil {
		return err
	}
	sh.mu.Lock()
	low := sh.low
	sh.mu.Unlock()
	if oldest, ok, err := sh.arrival(ctx, low); err != nil || !ok || oldest >= since {
		return err
	}
	seq, err := sh.seek(ctx, since)
	if err != nil {
		return err
	}
	sh.mu.Lock()
	sh.low = seq
	sh.mu.Unlock()
	return sh.log.Trim(ctx, seq)
}

// arrival is when the first record from that number on came.
func (sh *shard) arrival(ctx context.Context, from journal.Seq) (when int64, ok bool, err error) {
	// Most numbers have a record, and one record costs less than a read, which
	// fetches more than it is asked for.
	if rs, err := sh.log.Get(ctx, from); err == nil {
		_, when, err = head(rs[0].Data)
		return when, err == nil, err
	} else if !errors.Is(err, journal.ErrNotFound) {
		return 0, false, err
	}
	for r, err := range sh.log.Read(ctx, from) {
		if err != nil {
			return 0, false, err
		}
		_, when, err = head(r.Data)
		return when, err == nil, err
	}
	return 0, false, nil
}
