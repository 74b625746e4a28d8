package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// From the API reference of SubscribeToShard.
const (
	subscriptionLife = 5 * time.Minute
	// takeover is how long a subscription is safe from another of the same
	// consumer to the same shard.
	takeover = 5 * time.Second
	// heartbeat is how often a subscription that has nothing to say says so.
	heartbeat = 5 * time.Second
)

// Event is what a subscription pushes.
type Event struct {
	Records []Record
	// Continuation is where the next subscription goes on, with
	// AFTER_SEQUENCE_NUMBER; "" at the end of a closed shard.
	Continuation string
	Behind       time.Duration
	Children     []Shard // at the end of a closed shard
}

// Subscription is a consumer's to a shard.
type Subscription struct {
	sh       *shard
	from     place
	since    func() int64   // expired before, unix milliseconds
	children func() []Shard // of the shard
	consumer string         // ARN
	started  time.Time
	reign    context.Context

	once  sync.Once
	ended chan struct{} // closed when another took over, or the consumer is gone
	cause error
}

func newSubscription(sh *shard, from place, reign context.Context) *Subscription {
	return &Subscription{sh: sh, from: from, reign: reign, started: sh.now(), ended: make(chan struct{})}
}

// end ends the subscription from without.
func (s *Subscription) end(cause error) {
	s.once.Do(func() {
		s.cause = cause
		close(s.ended)
	})
}

// Subscribe registers a subscription of an ACTIVE consumer. It takes over from
// an earlier one to the same shard that is five seconds old or more, and is
// refused (InUse) by a younger one. Its Run must be called.
func (e *Engine) Subscribe(ctx context.Context, consumer, shard string, start Start) (*Subscription, error) {
	c, err := e.ConsumerOf(consumer)
	if err != nil {
		return nil, err
	}
	if c.Status != types.ConsumerStatusActive {
		return nil, inactive(c)
	}
	ref := Ref{c.Scope, c.Stream}
	r, _, sh, err := e.reach(ctx, ref, shard)
	if err != nil {
		return nil, err
	}
	from, err := sh.resolve(ctx, ref, start)
	if err != nil {
		return nil, err
	}
	s := newSubscription(sh, from, r.ctx)
	s.consumer = consumer
	s.children = func() []Shard { return e.children(ref, sh.row.Index) }
	s.since = func() int64 {
		row, err := e.Describe(ref)
		if err != nil {
			return 0
		}
		return e.Horizon(row).UnixMilli()
	}
	return s, r.subscribe(s, fmt.Sprintf("%s:%s:%s:%s", ref.Account, ref.Name, shard, c.Name))
}

// subscribe makes s the one subscription of its consumer to its shard.
func (r *reign) subscribe(s *Subscription, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := s.consumer + "|" + s.sh.id
	taken := refuse(InUse, "Another active subscription exists for this consumer: %s", name)
	if old := r.subs[key]; old != nil {
		if s.started.Sub(old.started) < takeover {
			return taken
		}
		old.end(taken)
	}
	r.subs[key] = s
	return nil
}

// unsubscribe ends the subscriptions that are of the consumer.
func (r *reign) unsubscribe(consumer string, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, s := range r.subs {
		if s.consumer == consumer {
			s.end(cause)
			delete(r.subs, key)
		}
	}
}

// forget drops subscriptions that can be neither taken over nor in the way.
func (r *reign) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, s := range r.subs {
		if now.Sub(s.started) > subscriptionLife+takeover {
			delete(r.subs, key)
		}
	}
}

// Run pushes events by send as records come, at most 2 MiB a second, until five
// minutes are over, the shard has ended, ctx ends or send fails; none of these
// is an error but the last. It returns an *Error if another subscription took
// over (InUse) or the consumer was removed (NotFound).
func (s *Subscription) Run(ctx context.Context, send func(Event) error) error {
	life, beat := time.NewTimer(subscriptionLife), time.NewTicker(heartbeat)
	defer life.Stop()
	defer beat.Stop()
	at, pace := s.from, newBucket(shardOutBytes, shardOutBytes)
	var quiet <-chan time.Time // runs while the pace says to wait
	for {
		tip, closed, more := s.sh.watch()
		if quiet == nil && (at.seq < tip || closed) {
			p, err := s.sh.read(ctx, at, bound{maxEventRecords, maxEventBytes, s.since()})
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return failed(err)
			}
			at = p.next
			beat.Reset(heartbeat)
			if len(p.records) > 0 || p.end {
				if err := send(s.event(p)); err != nil || p.end {
					return err
				}
			}
			pace.fill(time.Now())
			pace.take(float64(p.bytes))
			if wait := pace.wait(time.Now()); wait > 0 {
				quiet = time.After(wait)
			}
			continue
		}
		if quiet != nil {
			more = nil
		}
		select {
		case <-more:
		case <-quiet:
			quiet = nil
		case <-beat.C:
			if quiet == nil {
				if err := send(s.event(page{next: at})); err != nil {
					return err
				}
			}
		case <-life.C:
			return nil
		case <-s.ended:
			return s.cause
		case <-ctx.Done():
			return nil
		case <-s.reign.Done():
			return ErrNoOwner
		}
	}
}

func (s *Subscription) event(p page) Event {
	ev := Event{Records: p.records, Behind: p.behind}
	switch n := len(p.records); {
	case p.end:
		ev.Children = s.children()
	case n > 0:
		ev.Continuation = p.records[n-1].Sequence.String()
	default:
		ev.Continuation = p.next.number(s.sh.row).String()
	}
	return ev
}
