package pebble

import (
	"context"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
)

// keepDropped is how long it is known of a dropped log which term its last owner
// had. Afterwards nothing is left of it: new logs get numbers above those of all
// that were forgotten.
const keepDropped = 24 * time.Hour

// sweepDrops is after how many drops those of long ago are forgotten.
const sweepDrops = 10000

func (j *Journal) countDrop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.drops++; j.drops%sweepDrops == 0 {
		j.flushes.Go(j.sweep)
	}
}

// sweep forgets the logs that were dropped long ago.
func (j *Journal) sweep() {
	for from := []byte{prefixDropped}; from != nil; {
		var err error
		if from, err = j.sweepSome(from, time.Now().Add(-keepDropped).Unix()); err != nil {
			j.log.Warn("journal: dropped logs are not forgotten", "err", err)
			return
		}
	}
}

// sweepSome looks at some of the dropped logs and returns where to go on.
func (j *Journal) sweepSome(from []byte, before int64) (next []byte, err error) {
	leave, err := j.enter(context.Background())
	if err != nil {
		return nil, nil // the journal is closing
	}
	defer leave()
	names, next, err := j.droppedBefore(from, before)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := j.forgetLog(name, before); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func (j *Journal) droppedBefore(from []byte, before int64) (names []string, next []byte, err error) {
	it, err := j.db.NewIter(&pdb.IterOptions{LowerBound: from, UpperBound: []byte{prefixDropped + 1}})
	if err != nil {
		return nil, nil, err
	}
	ok := it.First()
	for n := 0; ok && n < 1000; n++ {
		if h, err := decodeHead(it.Value()); err == nil && h.dropped < before {
			names = append(names, string(it.Key()[1:]))
		}
		ok = it.Next()
	}
	if ok {
		next = append(next, it.Key()...)
	}
	return names, next, it.Close()
}

// forgetLog forgets a log if it is still dropped.
func (j *Journal) forgetLog(name string, before int64) error {
	s, err := j.lookup(context.Background(), name)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if !s.absent {
		return nil
	}
	defer j.discard(s)
	if s.head.id == 0 || s.head.dropped >= before {
		return nil
	}
	ch := newChange(journal.Written, 0)
	ch.remove(nameKey(prefixDropped, name))
	ch.remove(idKey(prefixNumbers, s.head.id))
	j.raise(s.next, ch)
	return j.commit.wait(context.Background(), ch)
}

// raise lets new logs begin at floor and submits the change with that.
func (j *Journal) raise(floor journal.Seq, ch *change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.floor = max(j.floor, floor)
	j.setGlobal(ch)
	j.commit.submit(ch)
}
