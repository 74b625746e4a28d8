package topic

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// patience is how long a call waits for this process to lead.
const patience = 10 * time.Second

// QueueMessage is what a queue gets.
type QueueMessage struct {
	Topic      string // ARN of the topic that it comes from
	Body       string
	Attributes []Attribute // of raw deliveries
	Group      string      // MessageGroupId, "" for none
	Dedup      string      // of FIFO queues
	Trace      string      // AWSTraceHeader
	// Unchecked says that it is no publication on its way to a subscriber, but a
	// confirmation, or a dead letter: then Why is set.
	Unchecked bool
	Why       *delivery.Failure
}

// Config is what the platform tells the engine.
type Config struct {
	DB      *store.DB
	Journal journal.Journal
	Log     *slog.Logger
	// Queue sends to the queue of that ARN; the message is durable when it
	// returns. Errors are told apart as package delivery says; that the queue
	// does not exist is a permanent one.
	Queue func(ctx context.Context, queueARN string, m QueueMessage) error
	// Function is the URL that stands for a function.
	Function func(s cluster.Scope, name string) (url string, ok bool)
	// Status takes a line of a delivery status log, into the group of that name.
	// nil keeps none.
	Status func(ctx context.Context, s cluster.Scope, group, line string) error
	// HTTP makes the calls; nil is a client that refuses addresses which machines
	// and tasks find metadata at.
	HTTP http.RoundTripper
	// Base is SCHEME://HOST of the platform for messages of subscriptions that do
	// not tell by which they were made.
	Base func() string
}

// Engine carries messages. Its calls work while Run runs and this process holds
// the lease; before that they wait a while.
type Engine struct {
	cfg    Config
	log    *slog.Logger
	routes *routes
	stop   []func()
	sign   struct {
		sync.Mutex
		s *signer
	}

	mu      sync.RWMutex
	reign   *reign        // nil while another process leads
	leading chan struct{} // closed while reign is not nil
}

// reign is a term of this process's lead.
type reign struct {
	term     int64
	deliver  *delivery.Engine
	sequence atomic.Int64 // the last SequenceNumber
	mu       sync.Mutex
	fifos    map[string]*fifo   // by Topic.ID
	outboxes map[string]*outbox // by account
	work     sync.WaitGroup
}

// sequences keeps that numbers of FIFO messages rise over restarts: each term
// takes a range of its own.
type sequences struct {
	Name string
	Next int64
}

var sequencesTable = store.NewTable("topic.sequences", func(s sequences) string { return s.Name })

// span is how many numbers a term has.
const span = 1 << 40

// New returns an engine that knows the subscriptions; Run makes it work, Close
// lets go of the store.
func New(c Config) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.HTTP == nil {
		c.HTTP = guarded()
	}
	if c.Base == nil {
		c.Base = func() string { return "http://127.0.0.1:4566" }
	}
	e := &Engine{cfg: c, log: c.Log, routes: newRoutes(), leading: make(chan struct{})}
	e.stop = append(e.stop, Topics.Follow(c.DB, e.routes.putTopic), Subscriptions.Follow(c.DB, e.routes.putSubscription))
	return e, c.DB.View(func(r store.Reader) error {
		for t := range Topics.List(r, "") {
			e.routes.putTopic(store.Change[Topic]{Key: t.RowKey(), New: &t})
		}
		for s := range Subscriptions.List(r, "") {
			e.routes.putSubscription(store.Change[Subscription]{Key: s.RowKey(), New: &s})
		}
		return nil
	})
}

// Close lets go of the store.
func (e *Engine) Close() {
	for _, f := range e.stop {
		f()
	}
}

// Run takes the lease and works until ctx ends.
func (e *Engine) Run(ctx context.Context) error { return e.cfg.DB.Lead(ctx, "topics", e.lead) }

// lead serves one term.
func (e *Engine) lead(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := e.begin(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.log.Error("messages of topics are not delivered, will retry", "err", err)
		}
		return
	}
	e.mu.Lock()
	e.reign = r
	close(e.leading)
	e.mu.Unlock()
	for _, loop := range []func(context.Context, *reign){e.runReplays, e.tend} {
		r.work.Go(func() { loop(ctx, r) })
	}
	if err := r.deliver.Run(ctx); err != nil && ctx.Err() == nil {
		e.log.Error("messages of topics are not delivered any more, will retry", "err", err)
	}
	cancel()
	e.mu.Lock()
	e.reign, e.leading = nil, make(chan struct{})
	e.mu.Unlock()
	r.work.Wait()
}

func (e *Engine) begin(ctx context.Context) (*reign, error) {
	r := &reign{term: store.Term(ctx), fifos: map[string]*fifo{}, outboxes: map[string]*outbox{}}
	if err := e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		row, _ := sequencesTable.Get(tx, "fifo")
		r.sequence.Store(row.Next)
		return sequencesTable.Put(tx, sequences{"fifo", row.Next + span})
	}); err != nil {
		return nil, err
	}
	var err error
	r.deliver, err = delivery.Open(ctx, delivery.Config{Journal: e.cfg.Journal, Name: "topics", Term: r.term, Log: e.log,
		Send: func(ctx context.Context, m delivery.Message) error { return e.send(ctx, r, m) }, Policy: e.policy,
		Dead: func(ctx context.Context, m delivery.Message, f delivery.Failure) error { return e.bury(ctx, m, f) }})
	return r, err
}

// current returns the reign once this process leads.
func (e *Engine) current(ctx context.Context) (*reign, error) {
	e.mu.RLock()
	r, leading := e.reign, e.leading
	e.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-leading:
		e.mu.RLock()
		defer e.mu.RUnlock()
		if e.reign != nil {
			return e.reign, nil
		}
	case <-ctx.Done():
	}
	return nil, ErrUnavailable
}

// signer returns the platform's signer.
func (e *Engine) signer() (*signer, error) {
	e.sign.Lock()
	defer e.sign.Unlock()
	if e.sign.s != nil {
		return e.sign.s, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := loadSigner(ctx, e.cfg.DB)
	if err != nil {
		return nil, err
	}
	e.sign.s = s
	return s, nil
}

// ServeCertificate answers for the certificate that signatures name.
func (e *Engine) ServeCertificate(w http.ResponseWriter, r *http.Request) {
	s, err := e.signer()
	if err != nil {
		http.Error(w, "the certificate cannot be read", http.StatusServiceUnavailable)
		return
	}
	s.ServeHTTP(w, r)
}

// Stats returns what was counted since this process leads.
func (e *Engine) Stats() delivery.Stats {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.reign == nil {
		return delivery.Stats{}
	}
	return e.reign.deliver.Stats()
}

// Counts are the numbers of a topic's subscriptions that are confirmed and that
// wait for it.
func (e *Engine) Counts(t *Topic) (confirmed, pending int) { return e.routes.counts(t.RowKey()) }

// logPrefix is what the engine's logs, but for those of deliveries, begin with.
const logPrefix = "topic/"

func dedupLog(id string) string       { return logPrefix + "dedup/" + id }
func archiveLog(id string) string     { return logPrefix + "archive/" + id }
func outboxLog(account string) string { return logPrefix + "outbox/" + account }

// tend drops what is not needed any more: now and then.
func (e *Engine) tend(ctx context.Context, r *reign) {
	every := time.NewTicker(time.Minute)
	defer every.Stop()
	for {
		if err := e.tendOnce(ctx, r, time.Now()); err != nil && ctx.Err() == nil {
			e.log.Warn("topics are not tended, will retry", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

func (e *Engine) tendOnce(ctx context.Context, r *reign, now time.Time) error {
	return errors.Join(e.dropOrphans(ctx, now), e.tendLogs(ctx, r, now))
}

const (
	// ConfirmTime is how long a token is good (Subscribe in the API reference).
	ConfirmTime = 48 * time.Hour
	// pendingTime is how long a subscription waits for its confirmation, and one
	// that was cancelled, or whose topic is gone, can still be seen.
	pendingTime = 72 * time.Hour
)

// dropOrphans removes subscriptions that were not confirmed in time, or whose
// topic is gone.
func (e *Engine) dropOrphans(ctx context.Context, now time.Time) error {
	return Subscriptions.Prune(ctx, e.cfg.DB, "", func(rd store.Reader, s Subscription) bool {
		t, ok := Topics.Get(rd, s.Scope.Key(s.Topic))
		orphan := !ok || t.ID != s.TopicID
		since := s.Asked
		if since.Before(s.Created) {
			since = s.Created
		}
		return (orphan || s.Pending || s.Cancelled) && now.Sub(since) > pendingTime
	})
}

// Reset removes everything of an account.
func (e *Engine) Reset(ctx context.Context, account string) error {
	for _, clear := range []func(context.Context, *store.DB, string) error{Subscriptions.Clear, Topics.Clear,
		PlatformEndpoints.Clear, PlatformApplications.Clear, SandboxPhones.Clear, OptOuts.Clear, SMSSettingsTable.Clear} {
		if err := clear(ctx, e.cfg.DB, account+"/"); err != nil {
			return err
		}
	}
	return e.clearOutbox(ctx, account)
}
