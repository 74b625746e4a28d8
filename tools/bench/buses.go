package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func eventsClient(url string) *eventbridge.Client { return eventbridge.NewFromConfig(awsConfig(url)) }

// rule is a rule of the default bus with one target.
type rule struct {
	c    *eventbridge.Client
	name string
}

// makeRule takes events whose source is the rule's name to a target.
func makeRule(ctx context.Context, url, name string, t types.Target) (*rule, error) {
	c := eventsClient(url)
	if _, err := c.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventPattern: aws.String(fmt.Sprintf(`{"source":["%s"]}`, name))}); err != nil {
		return nil, err
	}
	t.Id = aws.String("t")
	out, err := c.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, Targets: []types.Target{t}})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("PutTargets: %s", aws.ToString(out.FailedEntries[0].ErrorMessage))
	}
	return &rule{c, name}, err
}

func (r *rule) delete(ctx context.Context) error {
	if _, err := r.c.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &r.name, Ids: []string{"t"}}); err != nil {
		return err
	}
	_, err := r.c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &r.name})
	return err
}

// put is a PutEvents of n such events.
func (r *rule) put(n int, note string) []byte {
	one := fmt.Sprintf(`{"Source":"%s","DetailType":"Order Placed","Detail":"{\"customer\":\"c-1234567890\",\"amount\":12.5,\"items\":[{\"sku\":\"a-1\",\"count\":2}],\"note\":\"%s\"}"}`, r.name, note)
	return eventsAPI.request("PutEvents", `{"Entries":[`+strings.Repeat(one+",", n-1)+one+`]}`)
}

// measureEvents measures how long an event is on its way to a receiver of the
// queue that a rule has as its target, and how many a second arrive there.
func measureEvents(ctx context.Context, b *bench) error {
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	q, err := makeQueue(ctx, p.url, "events")
	if err != nil {
		return err
	}
	r, err := makeRule(ctx, p.url, "bench", types.Target{Arn: &q.arn})
	if err != nil {
		return err
	}
	if err := eventLatency(ctx, b, q, r); err != nil {
		return err
	}
	if err := eventRate(ctx, b, r); err != nil {
		return err
	}
	if err := r.delete(ctx); err != nil {
		return err
	}
	return q.delete(ctx)
}

// eventLatency has beside it the same queue's own, and a handler that hands over.
func eventLatency(ctx context.Context, b *bench, q *queue, r *rule) error {
	const (
		rate = 300
		bar  = 1500 * time.Microsecond
	)
	set, err := startSet(filepath.Join(b.dir, "events"))
	if err != nil {
		return err
	}
	defer set.stop()
	in, floorIn := q.inbox(ctx), set.inbox(ctx)
	event := &post{in: in, url: q.endpoint, letter: r.put(1, stamp)}
	send := &post{in: in, url: q.endpoint, letter: q.send(stamp)}
	floor := &post{in: floorIn, url: set.url, letter: plain("/hand", stamp)}
	if err := exchange(ctx, 5, 3*rate, rate, event, send, floor); err != nil {
		return err
	}
	p50 := median(event.trips)
	b.table.add(fmt.Sprintf("PutEvents → SQS target → receiver, %d/s", rate), event.took(),
		"SendMessage → receiver "+send.took()+"; net/http, Pebble Set(Sync), a channel: "+floor.took(), fine(p50), "p50 ≤ "+ms(bar), verdict(p50 <= bar))
	floorIn.close()
	return in.close()
}

// eventRate puts events for a while and counts those that are at their target,
// until the last is. Beside it the same queue is sent as many messages.
func eventRate(ctx context.Context, b *bench, r *rule) error {
	const (
		bar   = 20_000.0
		turns = 5
		span  = 4 * time.Second
	)
	var events, sends []float64
	var behind []time.Duration
	for turn := range turns + 1 {
		q, err := makeQueue(ctx, b.p.url, fmt.Sprint("events-", turn))
		if err != nil {
			return err
		}
		if _, err := r.c.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &r.name, Targets: []types.Target{{Id: aws.String("t"), Arn: &q.arn}}}); err != nil {
			return err
		}
		put := repeat(ctx, b.p, 10, r.put(10, kilobyte[:100]), `"ErrorCode"`)
		took, lag, err := put.arrivals(ctx, span, q)
		if err != nil {
			return err
		}
		send := repeat(ctx, b.p, 10, q.batch(kilobyte[:400]), `"Code"`) // as large as an event
		if err := send.turn(ctx, span); err != nil {
			return err
		}
		if err := q.delete(ctx); err != nil {
			return err
		}
		if turn > 0 {
			events, sends, behind = append(events, put.units/took.Seconds()), append(sends, send.rates[0]), append(behind, lag)
		}
	}
	rate := median(events)
	b.table.add("PutEvents of 10 → SQS target, 16 connections", fmt.Sprintf("%.0f events/s at the target (%.0f–%.0f), the last %s after its put", rate, quantile(events, 0), quantile(events, 1), ms(median(behind))),
		fmt.Sprintf("SendMessageBatch of 10 as large %.0f/s", median(sends)), fmt.Sprintf("%.0f/s, %s", rate, shares(ratios(events, sends))), fmt.Sprintf("≥ %.0f/s", bar), verdict(rate >= bar))
	return nil
}

// repeat says one request that does n, over and over; an answer with the word
// has failed.
func repeat(ctx context.Context, p *platform, n int, request []byte, failure string) *side {
	conns := dial(ctx, p.url, connections)
	return &side{pid: p.pid(), do: func(i int) (int, error) {
		answer, err := conns[i].do(request)
		if err == nil && bytes.Contains(answer, []byte(failure)) {
			err = fmt.Errorf("refused: %s", answer)
		}
		return n, err
	}}
}

// arrivals makes one turn and returns how long it took until all was in queues
// that get a copy each, and how much of that came after the turn.
func (s *side) arrivals(ctx context.Context, span time.Duration, queues ...*queue) (took, lag time.Duration, err error) {
	before, err := waiting(ctx, queues...)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := s.turn(ctx, span); err != nil {
		return 0, 0, err
	}
	sent, want := time.Now(), before+int(s.units)*len(queues)
	for {
		n, err := waiting(ctx, queues...)
		if err != nil {
			return 0, 0, err
		}
		if n == want {
			return time.Since(began), time.Since(sent), nil
		}
		if time.Since(sent) > time.Minute {
			return 0, 0, fmt.Errorf("%d messages are in the queues instead of %d, a minute after the last call", n, want)
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return 0, 0, err
		}
	}
}
