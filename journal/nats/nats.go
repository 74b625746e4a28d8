// Package nats keeps journals on a NATS JetStream cluster.
//
// All logs share one stream, as a cluster holds thousands of subjects at the
// price of one stream, but not thousands of replicated streams. A log has two
// subjects: r.NAME for its records, one message each, whose sequence in the
// stream is their number; and m.NAME, whose last message tells the log's term.
// As sequences are never used twice, neither are numbers.
//
// An append of several records is an atomic batch of JetStream's. It goes through
// only if the last message of r.NAME is the one that its owner expects. An owner
// that takes the log leaves a message there, a mark, so that its predecessor's
// appends fail from then on; the last message is never removed, but another mark
// comes first.
//
// The servers must be of version 2.12 or newer and must be told "sync_interval:
// always" in their jetstream block, or what they acknowledge is not on disk;
// a client cannot see whether they were. They must also take messages of
// journal.MaxRecord: "max_payload: 4MB".
package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dhowhq/dhow/journal"
)

// Options are those of Open.
type Options struct {
	// Replicas is how many servers have each record; 0 is 1. It is 3 for a
	// cluster that is to survive the loss of one.
	Replicas int
	// Stream is the name of the stream, made if it is not there; "" is
	// DHOW_JOURNAL.
	Stream string
	// Credentials is a file of them, "" for none or those in the URL.
	Credentials string
	// MaxBytes bounds the stream's size, 0 for what the servers allow.
	MaxBytes int64
}

// Journal is a journal on a cluster.
type Journal struct {
	nc     *client.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	prefix string // of subjects

	failed chan error
	link   atomic.Pointer[link]
	use    sync.RWMutex
	closed bool

	mu   sync.Mutex
	logs map[string]*state
}

// link is a connection to one server; its context ends when that is lost.
type link struct {
	ctx context.Context
	end context.CancelFunc
}

// relink ends what waits for an answer over the former connection: there it
// will not come any more.
func (j *Journal) relink() {
	l := &link{}
	l.ctx, l.end = context.WithCancel(context.Background())
	if old := j.link.Swap(l); old != nil {
		old.end()
	}
}

// ask does what may be done twice, and again when no answer came: around the
// election of a leader and the loss of a connection requests get lost.
func (j *Journal) ask(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	for {
		once, stop := context.WithTimeout(ctx, askTimeout)
		unlink := context.AfterFunc(j.link.Load().ctx, stop)
		err := do(once)
		unlink()
		stop()
		if !unanswered(err) || j.nc.IsClosed() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(askPause):
		}
	}
}

// unanswered tells whether a request got no answer, so that another may; that a
// leader is being elected is none.
func unanswered(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode == codeNoSystem || api.ErrorCode == codeNotLeader
	}
	for _, lost := range []error{context.DeadlineExceeded, context.Canceled, client.ErrTimeout, client.ErrNoResponders, jetstream.ErrNoStreamResponse} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

// last returns the last message of a subject, nil if there is none.
func (j *Journal) last(ctx context.Context, subject string) (msg *jetstream.RawStreamMsg, err error) {
	err = j.ask(ctx, func(ctx context.Context) (err error) {
		msg, err = j.stream.GetLastMsgForSubject(ctx, subject)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return msg, err
}

// purge removes the messages of a subject, as the options say.
func (j *Journal) purge(ctx context.Context, subject string, o ...jetstream.StreamPurgeOpt) error {
	return j.ask(ctx, func(ctx context.Context) error {
		return j.stream.Purge(ctx, append(o, jetstream.WithPurgeSubject(subject))...)
	})
}

// needPayload is how big a message must be allowed to be.
const needPayload = journal.MaxRecord + 64<<10

// setupTimeout bounds what Open does.
const setupTimeout = 15 * time.Second

// ackTimeout bounds the wait for an acknowledgement, during which the log takes
// nothing else. The leader that was to give it may be gone.
const ackTimeout = 5 * time.Second

const (
	// askTimeout is how long an answer may take before another is asked for.
	askTimeout = 2 * time.Second
	askPause   = 50 * time.Millisecond
)

// Open connects to the servers of a URL "nats://host:port[,host…]".
func Open(url string, o Options) (*Journal, error) {
	if o.Stream == "" {
		o.Stream = "DHOW_JOURNAL"
	}
	o.Replicas = max(o.Replicas, 1)
	opts := []client.Option{client.Name("dhow journal"), client.MaxReconnects(-1), client.ReconnectWait(200 * time.Millisecond)}
	if o.Credentials != "" {
		opts = append(opts, client.UserCredentials(o.Credentials))
	}
	j := &Journal{prefix: strings.ToLower(o.Stream), failed: make(chan error, 1), logs: map[string]*state{}}
	j.relink()
	nc, err := client.Connect(url, append(opts, client.DisconnectErrHandler(func(*client.Conn, error) { j.relink() }))...)
	if err != nil {
		return nil, fmt.Errorf("journal: no NATS server answers at %s: %w", url, err)
	}
	j.nc = nc
	if err := j.setUp(o); err != nil {
		nc.Close()
		return nil, fmt.Errorf("journal on %s: %w", url, err)
	}
	return j, nil
}

func (j *Journal) setUp(o Options) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	if n := j.nc.MaxPayload(); n < needPayload {
		return fmt.Errorf("the server takes messages of %d bytes at most, %d are needed: set max_payload to 4MB", n, needPayload)
	}
	if j.js, err = jetstream.New(j.nc); err != nil {
		return err
	}
	if err := j.ask(ctx, func(ctx context.Context) error {
		_, err := j.js.AccountInfo(ctx)
		return err
	}); err != nil {
		if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return fmt.Errorf("JetStream is off there: start the server with -js, or enable it for the account: %w", err)
		}
		return fmt.Errorf("JetStream does not answer: %w", err)
	}
	if err := j.ask(ctx, func(ctx context.Context) (err error) {
		j.stream, err = j.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: o.Stream, Subjects: []string{j.prefix + ".>"}, Storage: jetstream.FileStorage, Replicas: o.Replicas,
			MaxBytes: o.MaxBytes, Discard: jetstream.DiscardNew, AllowAtomicPublish: true, MaxMsgs: -1,
		})
		return err
	}); err != nil {
		return fmt.Errorf("stream %s with %d replicas: %w", o.Stream, o.Replicas, err)
	}
	if !j.stream.CachedInfo().Config.AllowAtomicPublish {
		return errors.New("the server cannot publish batches atomically: version 2.12 or newer is needed")
	}
	return nil
}

// token is a log's name in a subject, where dots separate.
func token(name string) string { return strings.ReplaceAll(name, ".", "=") }

func (j *Journal) subject(kind, name string) string { return j.prefix + "." + kind + "." + token(name) }

// enter begins a call; leave ends it.
func (j *Journal) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.use.RLock()
	if j.closed {
		j.use.RUnlock()
		return nil, journal.ErrClosed
	}
	return j.use.RUnlock, nil
}

// meta is what the last message of m.NAME says.
type meta struct {
	Term    int64
	Dropped bool   `json:",omitempty"`
	seq     uint64 // 0 if there is none
}

func (j *Journal) meta(ctx context.Context, name string) (m meta, err error) {
	msg, err := j.last(ctx, j.subject("m", name))
	if err != nil || msg == nil {
		return m, err
	}
	m.seq = msg.Sequence
	return m, json.Unmarshal(msg.Data, &m)
}

// setMeta replaces what old says.
func (j *Journal) setMeta(ctx context.Context, name string, old, m meta) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ack, err := j.js.Publish(ctx, j.subject("m", name), data, jetstream.WithExpectLastSequencePerSubject(old.seq))
	if err != nil {
		return wording(err)
	}
	return j.purge(ctx, j.subject("m", name), jetstream.WithPurgeSequence(ack.Sequence))
}

// Open implements journal.Journal.
func (j *Journal) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := journal.CheckName(name); err != nil {
		return nil, err
	}
	for {
		err := j.take(ctx, name, term)
		if isConflict(err) {
			continue // another owner was faster: look again
		}
		if err != nil {
			return nil, err
		}
		break
	}
	return j.handle(ctx, name, term)
}

func (j *Journal) take(ctx context.Context, name string, term int64) error {
	m, err := j.meta(ctx, name)
	switch {
	case err != nil:
		return err
	case m.seq != 0 && term < m.Term:
		return journal.ErrFenced
	case m.seq != 0 && term == m.Term && !m.Dropped:
		return nil
	}
	return j.setMeta(ctx, name, m, meta{Term: term})
}

// handle returns the log in the hands of the term, which has been written down.
func (j *Journal) handle(ctx context.Context, name string, term int64) (journal.Log, error) {
	j.mu.Lock()
	s := j.logs[name]
	if s == nil || s.term != term || s.dropped.Load() {
		s = &state{name: name, term: term, turn: make(chan struct{}, 1)}
		j.logs[name] = s
	}
	j.mu.Unlock()
	l := &log{j: j, s: s}
	return l, l.begin(ctx)
}

// Names implements journal.Journal.
func (j *Journal) Names(ctx context.Context, prefix string) ([]string, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var info *jetstream.StreamInfo
	err = j.ask(ctx, func(ctx context.Context) (err error) {
		info, err = j.stream.Info(ctx, jetstream.WithSubjectFilter(j.prefix+".m.>"))
		return err
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for subject := range info.State.Subjects {
		name := strings.ReplaceAll(strings.TrimPrefix(subject, j.prefix+".m."), "=", ".")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		m, err := j.meta(ctx, name)
		if err != nil {
			return nil, err
		}
		if m.seq != 0 && !m.Dropped {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Drop implements journal.Journal.
func (j *Journal) Drop(ctx context.Context, name string, term int64) error {
	leave, err := j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := journal.CheckName(name); err != nil {
		return nil // there is none of that name
	}
	m, err := j.meta(ctx, name)
	switch {
	case err != nil:
		return err
	case m.seq == 0 || m.Dropped:
		return nil
	case term < m.Term:
		return journal.ErrFenced
	}
	if err := j.setMeta(ctx, name, m, meta{Term: term, Dropped: true}); err != nil {
		return err
	}
	j.mu.Lock()
	if s := j.logs[name]; s != nil {
		s.dropped.Store(true)
		delete(j.logs, name)
	}
	j.mu.Unlock()
	return j.purge(ctx, j.subject("r", name))
}

// Failed implements journal.Journal: a cluster may always come back.
func (j *Journal) Failed() <-chan error { return j.failed }

// Close implements journal.Journal.
func (j *Journal) Close() error {
	j.use.Lock()
	defer j.use.Unlock()
	if !j.closed {
		j.closed = true
		j.nc.Close()
	}
	return nil
}

// isConflict tells whether the last message of a subject was not the one that
// was expected.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}

// Codes of the server that say that there is no room.
const (
	codeNoResources    = 10023
	codeNoMemory       = 10028
	codeNoStorage      = 10047
	codeStreamRejected = 10077
)

// Codes of the server that say that there is no leader at the moment.
const (
	codeNoSystem  = 10008
	codeNotLeader = 10009
)

// wording gives an answer of the server its name in the contract.
func wording(err error) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
		switch api.ErrorCode {
		case codeNoResources, codeNoMemory, codeNoStorage, codeStreamRejected:
			return fmt.Errorf("%w: %w", journal.ErrFull, err)
		}
		return err
	case errors.Is(err, client.ErrMaxPayload):
		return fmt.Errorf("%w: %w", journal.ErrTooBig, err)
	case err != nil:
		return fmt.Errorf("%w: %w", journal.ErrUnknown, err)
	}
	return nil
}
