package agent

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
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
// other one gets.
type schemas struct {
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
	flights map[schemaKey]*schemaFlight
}

// schemaCaller is the task on whose behalf the agent asks.
type schemaCaller struct {
	account, region, role string
	keys                  aws.Credentials // of the role, or what names the account where there is none
}

type schemaKey struct{ account, region, role, path string }

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
	client := &http.Client{Transport: transport(e.cfg)}
	return &schemas{
		ask: func(ctx context.Context, who schemaCaller, path string) (int, []byte, error) {
			return askSchema(ctx, client, e.cfg.Endpoint, who, path)
		},
		now: time.Now, end: client.CloseIdleConnections, ctx: func() context.Context { return e.ctx }, places: make(chan struct{}, schemaAsks),
		entries: make(map[schemaKey]*list.Element), recent: list.New(), flights: make(map[schemaKey]*schemaFlight),
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
		s.settle(key, f)
		s.mu.Unlock()
		close(f.done)
	})
	return f
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
	case status >= 500 || status == http.StatusTooManyRequests,
		status == http.StatusUnauthorized: // the keys have expired, and others are on their way
		return nil, fmt.Errorf("the control plane answers %d", status)
	case status != http.StatusOK:
		return nil, &schemaRefusal{status, strings.TrimSpace(string(body[:min(len(body), 4096)]))}
	}
	e := &schemaEntry{key: key, cost: len(body) + 512, at: s.now(), until: s.now().Add(good)}
	if err := json.Unmarshal(body, &e.schema); err != nil || e.schema.ID == "" || e.schema.Text == "" {
		return nil, fmt.Errorf("the control plane's answer is no schema: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	return e, nil
}

// settle keeps what came; s.mu is held.
func (s *schemas) settle(key schemaKey, f *schemaFlight) {
	el := s.entries[key]
	refused := (*schemaRefusal)(nil)
	if f.err != nil && !errors.As(f.err, &refused) {
		if el != nil {
			el.Value.(*schemaEntry).retryAt = s.now().Add(schemaPause)
		}
		return
	}
	if el != nil {
		s.drop(el)
	}
	if f.err != nil {
		return // it is gone, or no more for this role
	}
	s.entries[key] = s.recent.PushFront(f.entry)
	s.bytes += f.entry.cost
	for (s.bytes > schemaBytes || len(s.entries) > schemaEntries) && s.recent.Len() > 1 {
		s.drop(s.recent.Back())
	}
}

func (s *schemas) drop(el *list.Element) {
	e := s.recent.Remove(el).(*schemaEntry)
	delete(s.entries, e.key)
	s.bytes -= e.cost
}
