package broker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/store"
)

// Usage is what came to a resource in one version of a schema from one sender.
type Usage struct {
	cluster.Scope // of the schema
	Registry      string
	Schema        string
	Version       string // semantic version; "" of messages that were of none that there is
	Number        int64  // of the version; 0 where Version is ""
	ID            string // UUID of the version, "" where Version is
	Resource      string // ARN
	Sender        string // ARN of a user or role, or of the topic or rule that was delivered for; OtherSenders
	Accepted      int64  // messages of the schema
	Refused       int64  // messages that were not, whatever became of them
	First, Last   time.Time
}

// OtherSenders are those beyond the first hundred of a version.
const OtherSenders = "others"

const maxSenders = 100

// Name is the schema.
func (u Usage) Name() registry.Name {
	return registry.Name{Scope: u.Scope, Registry: u.Registry, Schema: u.Schema}
}

// Key is the row's key.
func (u Usage) Key() string {
	sum := sha256.Sum256([]byte(u.ID + "\x00" + u.Resource + "\x00" + u.Sender))
	return rowsOfVersion(u.Name(), u.Number) + hex.EncodeToString(sum[:12])
}

// rowsOf is what the keys of a schema's rows begin with.
func rowsOf(n registry.Name) string {
	return registry.Schema{Scope: n.Scope, Registry: n.Registry, Name: n.Schema}.Key() + "/"
}

// rowsOfVersion is what the keys of a version's rows begin with.
func rowsOfVersion(n registry.Name, number int64) string {
	return fmt.Sprintf("%s%010d/", rowsOf(n), number)
}

// Usages is keyed ACCOUNT/REGION/REGISTRY/NAME/NUMBER/HASH.
var Usages = store.NewTable("contract.usage", Usage.Key)

// useKey is what is counted for itself.
type useKey struct {
	resource Resource
	schema   registry.Name
	id       string // of the version
	sender   string
}

// use counts since the process started.
type use struct {
	useKey
	semver string
	number int64
	first  time.Time

	accepted, refused atomic.Int64
	last              atomic.Int64 // milliseconds
	gone              atomic.Bool  // it is counted no more; look the key up anew

	stored [2]int64 // how much of accepted and refused the store has; uses.flushing guards it
}

// uses are the counters of this process.
type uses struct {
	mu       sync.Mutex
	all      map[useKey]*use
	past     map[Count][2]int64 // what counters came to that are gone, by Counts without numbers
	flushing sync.Mutex
}

// of is the counter of a sender, made if need be.
func (s *uses) of(v *version, sender string, now time.Time) *use {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := useKey{v.resource, v.schema, v.ID, sender}
	u := s.all[k]
	if u == nil {
		if s.all == nil {
			s.all = map[useKey]*use{}
		}
		u = &use{useKey: k, semver: v.Semver, number: v.Number, first: now.UTC().Truncate(time.Millisecond)}
		s.all[k] = u
	}
	return u
}

func (s *uses) list() []*use {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*use, 0, len(s.all))
	for _, u := range s.all {
		list = append(list, u)
	}
	return list
}

// count counts a message of the version.
func (v *version) count(s *uses, sender string, accepted bool, now time.Time) {
	u := v.use(s, roleOf(sender), now)
	if accepted {
		u.accepted.Add(1)
	} else {
		u.refused.Add(1)
	}
	u.last.Store(now.UnixMilli())
}

// use is the counter of a sender.
func (v *version) use(s *uses, sender string, now time.Time) *use {
	if u := v.last.Load(); u != nil && u.sender == sender && !u.gone.Load() {
		return u
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	u := v.users[sender]
	if u == nil || u.gone.Load() {
		name := sender
		if u == nil && len(v.users) >= maxSenders {
			name = OtherSenders
		}
		if u = v.users[name]; u == nil || u.gone.Load() {
			u = s.of(v, name, now)
		}
		if v.users == nil {
			v.users = map[string]*use{}
		}
		v.users[name] = u
	}
	v.last.Store(u)
	return u
}

// roleOf is a principal without the name of its session, for each task has one
// of its own.
func roleOf(sender string) string {
	if !strings.HasPrefix(sender, "arn:aws:sts:") {
		return sender
	}
	if i := strings.LastIndexByte(sender, '/'); i > strings.IndexByte(sender, '/') {
		return sender[:i]
	}
	return sender
}

// row is the counter as a row, without its counts.
func (u *use) row() Usage {
	return Usage{Scope: u.schema.Scope, Registry: u.schema.Registry, Schema: u.schema.Schema, Version: u.semver, Number: u.number, ID: u.id,
		Resource: u.resource.ARN(), Sender: u.sender, First: u.first}
}

// batch is how many rows are written at once: a transaction is bounded.
const batch = 90

// flush adds what was counted to the rows, and returns when they are written.
func (e *Engine) flush(ctx context.Context) error {
	e.uses.flushing.Lock()
	defer e.uses.flushing.Unlock()
	var changed []*use
	for _, u := range e.uses.list() {
		if u.stored != [2]int64{u.accepted.Load(), u.refused.Load()} {
			changed = append(changed, u)
		}
	}
	for some := range slices.Chunk(changed, batch) {
		if err := e.write(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) write(ctx context.Context, some []*use) error {
	now := make([][2]int64, len(some))
	for i, u := range some {
		now[i] = [2]int64{u.accepted.Load(), u.refused.Load()}
	}
	err := e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		for i, u := range some {
			row := u.row()
			if have, ok := Usages.Get(tx, row.Key()); ok {
				row = have
			}
			row.Accepted += now[i][0] - u.stored[0]
			row.Refused += now[i][1] - u.stored[1]
			if last := time.UnixMilli(u.last.Load()).UTC(); last.After(row.Last) {
				row.Last = last
			}
			if err := Usages.Put(tx, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for i, u := range some {
			u.stored = now[i]
		}
	}
	return err
}

// Usage is who sent what version of a schema where, by version, resource and
// sender, up to this moment.
func (e *Engine) Usage(ctx context.Context, n registry.Name) (list []Usage, err error) {
	if err := e.flush(ctx); err != nil {
		return nil, err
	}
	e.cfg.DB.View(func(r store.Reader) error {
		list = slices.Collect(Usages.List(r, rowsOf(n)))
		return nil
	})
	slices.SortFunc(list, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Sender, b.Sender))
	})
	return list, nil
}

// Count is what came to a resource in one version since the process started.
type Count struct {
	Schema, Version, Resource string // REGISTRY/NAME, semantic version or "", ARN
	Accepted, Refused         int64
}

// of is the counter's without its numbers.
func (u *use) of() Count {
	return Count{Schema: u.schema.Registry + "/" + u.schema.Schema, Version: u.semver, Resource: u.resource.ARN()}
}

// Counts are what metrics show; of all accounts and regions.
func (e *Engine) Counts() (list []Count) {
	s := &e.uses
	s.mu.Lock()
	sums := maps.Clone(s.past)
	if sums == nil {
		sums = map[Count][2]int64{}
	}
	for _, u := range s.all {
		n := sums[u.of()]
		sums[u.of()] = [2]int64{n[0] + u.accepted.Load(), n[1] + u.refused.Load()}
	}
	s.mu.Unlock()
	for c, n := range sums {
		c.Accepted, c.Refused = n[0], n[1]
		list = append(list, c)
	}
	return list
}

// drop lets a counter go.
func (s *uses) drop(u *use) {
	u.gone.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.past == nil {
		s.past = map[Count][2]int64{}
	}
	n := s.past[u.of()]
	s.past[u.of()] = [2]int64{n[0] + u.stored[0], n[1] + u.stored[1]}
	delete(s.all, u.useKey)
}
