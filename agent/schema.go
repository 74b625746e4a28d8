package agent

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/dhowhq/dhow/contract"
)

// Schema is a version of a schema of messages, as the control plane answers
// agents.
type Schema struct {
	ID         string // UUID of the version
	Registry   string
	Name       string
	Number     int64
	Version    string // semantic
	Format     string // AVRO, JSON or PROTOBUF
	Text       string
	References []SchemaReference `json:",omitempty"`
}

// SchemaReference is another schema that a text needs.
type SchemaReference struct {
	As      string // what the text calls it
	ID      string // UUID of the version
	Name    string
	Version string
}

// Bounds of the schemas that an agent keeps. A version does not change, but it
// may be deleted, and a role may lose the right to it.
const (
	schemaBytes    = 16 << 20         // of texts, and what is around them
	schemaEntries  = 4096             //
	schemaAround   = 512              // what an entry costs beside its text
	schemaAnswer   = 8 << 20          // the longest answer that is read
	schemaAsks     = 16               // at a time
	schemaAsk      = 5 * time.Second  // how long one may take
	schemaPatience = time.Second      // how long a task waits for news of what is here already
	schemaPinned   = 5 * time.Minute  // how long a version is good
	schemaRanged   = 10 * time.Second // how long what a range, or latest, came to is good
	schemaPause    = 2 * time.Second  // after a failure, until the control plane is asked again
)

// schemas are the schemas that this node's tasks asked for, with what was last
// good while the control plane does not answer. What one role was given, no
// other one gets. Memory and disk have the same.
type schemas struct {
	disk schemaDisk
	take sync.Once // what an earlier agent left

	ask func(ctx context.Context, who schemaCaller, path string) (status int, body []byte, err error)
	now func() time.Time
	ctx func() context.Context // the agent's life
	end func()                 // lets go of the connections

	places  chan struct{}
	work    sync.WaitGroup // flights
	mu      sync.Mutex
	entries map[schemaKey]*list.Element // of *schemaEntry
	recent  *list.List                  // the last used first
	bytes   int
	shares  map[schemaOwner]schemaShare
	flights map[schemaKey]*schemaFlight
}

// schemaOwner is who shares what is kept with others.
type schemaOwner struct{ account, role string }

// schemaShare is what is kept for one of them.
type schemaShare struct{ entries, bytes int }

// schemaCaller is the task on whose behalf the agent asks.
type schemaCaller struct {
	account, region, role string
	keys                  aws.Credentials // of the role, or what names the account where there is none
}

type schemaKey struct{ account, region, role, path string }

func (k schemaKey) owner() schemaOwner { return schemaOwner{k.account, k.role} }

type schemaEntry struct {
	key     schemaKey
	schema  Schema
	cost    int
	at      time.Time // when the control plane last said it
	until   time.Time // it is good
	retryAt time.Time // not asked again before
}

type schemaFlight struct {
	done  chan struct{}
	entry *schemaEntry
	err   error
}

// schemaRefusal is what the control plane says against a request.
type schemaRefusal struct {
	status int
	text   string
}

func (r *schemaRefusal) Error() string { return r.text }

// errNoKeys is a role whose keys the control plane has not sent yet.
var errNoKeys = errors.New("the credentials of the task's role are not here yet")

func newSchemas(e *engine) *schemas {
	client := &http.Client{Transport: transport(e.cfg), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // what was asked for is nowhere else
	}}
	return &schemas{
		ask: func(ctx context.Context, who schemaCaller, path string) (int, []byte, error) {
			return askSchema(ctx, client, e.cfg.Endpoint, who, path)
		},
		now: time.Now, end: client.CloseIdleConnections, ctx: func() context.Context { return e.ctx }, places: make(chan struct{}, schemaAsks),
		entries: make(map[schemaKey]*list.Element), recent: list.New(), flights: make(map[schemaKey]*schemaFlight),
		shares: make(map[schemaOwner]schemaShare),
		disk:   schemaDisk{dir: filepath.Join(e.cfg.DataDir, "schemas"), log: e.log, sums: make(map[schemaKey][sha256.Size]byte)},
	}
}

// close ends asking; the agent's life has ended before.
func (s *schemas) close() {
	s.work.Wait()
	s.end()
}

// askSchema asks the control plane as the task: by the keys of its role.
func askSchema(ctx context.Context, client *http.Client, endpoint string, who schemaCaller, path string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/_dhow/schema"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	if err := v4.NewSigner().SignHTTP(ctx, who.keys, req, emptyHash, "dhow", who.region, time.Now()); err != nil {
		return 0, nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, schemaAnswer+1))
	if err == nil && len(body) > schemaAnswer {
		err = fmt.Errorf("the answer is longer than %d MiB", schemaAnswer>>20)
	}
	return res.StatusCode, body, err
}

// get returns what path is for who. stale says that the control plane was asked
// whether that is still so and has not said. Errors: *schemaRefusal, or why it
// cannot be asked.
func (s *schemas) get(ctx context.Context, who schemaCaller, path string, good time.Duration) (e schemaEntry, stale bool, err error) {
	s.take.Do(s.restore)
	key := schemaKey{who.account, who.region, who.role, path}
	kept, fresh := s.kept(key)
	if fresh {
		return *kept, false, nil
	}
	if kept != nil && s.now().Before(kept.retryAt) {
		return *kept, true, nil
	}
	f := s.fly(key, who, good)
	var patience <-chan time.Time
	if kept != nil {
		t := time.NewTimer(schemaPatience)
		defer t.Stop()
		patience = t.C
	}
	select {
	case <-f.done:
	case <-patience:
		return *kept, true, nil
	case <-ctx.Done():
		return e, false, ctx.Err()
	}
	refused := (*schemaRefusal)(nil)
	switch {
	case f.err == nil:
		return *f.entry, false, nil
	case kept != nil && !errors.As(f.err, &refused):
		return *kept, true, nil
	}
	return e, false, f.err
}

// kept is a copy of what is here for key, nil if nothing is.
func (s *schemas) kept(key schemaKey) (e *schemaEntry, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	el := s.entries[key]
	if el == nil {
		return nil, false
	}
	s.recent.MoveToFront(el)
	found := *el.Value.(*schemaEntry)
	return &found, s.now().Before(found.until)
}

// fly asks the control plane, once for all who want the same.
func (s *schemas) fly(key schemaKey, who schemaCaller, good time.Duration) *schemaFlight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[key]; f != nil {
		return f
	}
	f := &schemaFlight{done: make(chan struct{})}
	s.flights[key] = f
	s.work.Go(func() {
		f.entry, f.err = s.fetch(key, who, good)
		s.mu.Lock()
		delete(s.flights, key)
		changed := s.settle(key, f)
		s.mu.Unlock()
		close(f.done)
		s.save(changed)
	})
	return f
}

// restore takes up what an earlier agent left. All of it is stale: the control
// plane is asked first.
func (s *schemas) restore() {
	list := s.disk.load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list {
		s.keep(e)
	}
}

// save brings disk up to memory. Whoever comes last writes what is there by then,
// so that several at once do no harm.
func (s *schemas) save(keys []schemaKey) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	for _, key := range keys {
		var e *schemaEntry
		s.mu.Lock()
		if el := s.entries[key]; el != nil {
			e = el.Value.(*schemaEntry)
		}
		s.mu.Unlock()
		s.disk.put(key, e)
	}
}

func (s *schemas) fetch(key schemaKey, who schemaCaller, good time.Duration) (*schemaEntry, error) {
	if who.keys.AccessKeyID == "" {
		return nil, errNoKeys
	}
	ctx, cancel := context.WithTimeout(s.ctx(), schemaAsk)
	defer cancel()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return nil, fmt.Errorf("too many tasks ask for schemas: %w", ctx.Err())
	}
	status, body, err := s.ask(ctx, who, key.path)
	switch {
	case err != nil:
		return nil, err
	case status >= 500 || status < 400 && status != http.StatusOK || status == http.StatusTooManyRequests,
		status == http.StatusUnauthorized: // the keys have expired, and others are on their way
		return nil, fmt.Errorf("the control plane answers %d", status)
	case status != http.StatusOK:
		return nil, &schemaRefusal{status, strings.TrimSpace(string(body[:min(len(body), 4096)]))}
	}
	e := &schemaEntry{key: key, cost: len(body) + schemaAround, at: s.now(), until: s.now().Add(good)}
	if err := json.Unmarshal(body, &e.schema); err != nil || e.schema.ID == "" || e.schema.Text == "" {
		return nil, fmt.Errorf("the control plane's answer is no schema: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	if !e.schema.answers(key.path) {
		return nil, fmt.Errorf("the control plane answers with %.300s/%.300s@%.40s, version %.40s, which was not asked for", e.schema.Registry, e.schema.Name, e.schema.Version, e.schema.ID)
	}
	return e, nil
}

// answers reports whether a schema is what a path asks for, as far as that can be
// told: which version a range comes to is the registry's to say.
func (s Schema) answers(path string) bool {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, p := range parts {
		parts[i], _ = url.PathUnescape(p)
	}
	switch {
	case len(parts) == 2 && parts[0] == "ids":
		return strings.EqualFold(parts[1], s.ID)
	case len(parts) == 5 && parts[0] == "schemas":
		if _, err := contract.ParseVersion(parts[4]); err == nil && parts[4] != s.Version {
			return false
		}
		return parts[1] == s.Registry && parts[2] == s.Name
	}
	return false
}

// settle keeps what came, and says for which keys that changes something; s.mu is
// held.
func (s *schemas) settle(key schemaKey, f *schemaFlight) (changed []schemaKey) {
	el := s.entries[key]
	refused := (*schemaRefusal)(nil)
	if f.err != nil && !errors.As(f.err, &refused) {
		if el != nil {
			kept := *el.Value.(*schemaEntry)
			kept.retryAt = s.now().Add(schemaPause)
			el.Value = &kept
		}
		return nil
	}
	if el != nil {
		s.drop(el)
	}
	if f.err != nil {
		return []schemaKey{key} // it is gone, or no more for this role
	}
	return append(s.keep(f.entry), key)
}

// keep adds an entry, and says which ones had to go for it; s.mu is held.
func (s *schemas) keep(e *schemaEntry) (gone []schemaKey) {
	s.entries[e.key] = s.recent.PushFront(e)
	s.account(e, 1)
	for (s.bytes > schemaBytes || len(s.entries) > schemaEntries) && s.recent.Len() > 1 {
		el := s.victim()
		gone = append(gone, el.Value.(*schemaEntry).key)
		s.drop(el)
	}
	return gone
}

// victim is what is let go next: of whoever has most, what was used least
// recently, so that a task that asks for ever other things pushes out its own.
func (s *schemas) victim() *list.Element {
	var most schemaOwner
	for o, share := range s.shares {
		if m := s.shares[most]; s.bytes > schemaBytes && share.bytes > m.bytes || s.bytes <= schemaBytes && share.entries > m.entries {
			most = o
		}
	}
	for el := s.recent.Back(); el != s.recent.Front(); el = el.Prev() {
		if el.Value.(*schemaEntry).key.owner() == most {
			return el
		}
	}
	return s.recent.Back() // what just came is all that it has
}

func (s *schemas) drop(el *list.Element) {
	e := s.recent.Remove(el).(*schemaEntry)
	delete(s.entries, e.key)
	s.account(e, -1)
}

func (s *schemas) account(e *schemaEntry, n int) {
	s.bytes += n * e.cost
	o := e.key.owner()
	share := schemaShare{s.shares[o].entries + n, s.shares[o].bytes + n*e.cost}
	if s.shares[o] = share; share.entries == 0 {
		delete(s.shares, o)
	}
}
