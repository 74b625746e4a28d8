package test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/journal/nats/natstest"
)

const (
	queueKills      = 20
	queueWorkers    = 8 // producers, and as many consumers
	queueVisibility = 2 * time.Second
)

// TestQueueKill9 kills the platform twenty times while eight producers and eight
// consumers are at a standard and a FIFO queue: nothing that was acknowledged is
// lost, what was deleted stays deleted, no message is given out twice within its
// visibility, and a group of the FIFO queue has each message once and in order.
// Of three NATS servers that hold the journal, the one that leads goes away, for a
// third of the time.
func TestQueueKill9(t *testing.T) {
	t.Run("Pebble", func(t *testing.T) { queueKill9(t, nil) })
	t.Run("NATS", func(t *testing.T) { queueKill9(t, natstest.StartCluster(t)) })
}

// queueKill9 has the journal on servers, or in the data directory without any.
func queueKill9(t *testing.T, servers *natstest.Cluster) {
	var args []string
	if servers != nil {
		args = append(args, "--journal", servers.URL(), "--journal-replicas", strconv.Itoa(servers.Size()))
	}
	p := ownPlatform(t, args...)
	address := p.address()
	l := newLedger(t, p)
	away := -1
	for round := range queueKills {
		ctx, cancel := context.WithCancel(t.Context())
		var workers sync.WaitGroup
		for w := range queueWorkers {
			workers.Go(func() { l.produce(ctx, w, round) })
			workers.Go(func() { l.consume(ctx, w) })
		}
		time.Sleep(time.Duration(200+37*round%300) * time.Millisecond) // the moment of the kill, nothing waits for it
		switch {
		case servers == nil:
		case round == queueKills/3:
			if away = servers.Leader("DHOW_JOURNAL"); away < 0 {
				t.Fatal("no server leads the journal's stream")
			}
			servers.Stop(away)
			l.more(t) // the others go on
		case round == 2*queueKills/3:
			servers.Start(t, away)
		}
		p.kill()
		cancel()
		workers.Wait()
		if err := p.start(address); err != nil {
			t.Fatal(err)
		}
	}
	l.drain(t)
	l.verdict(t)
}

// ledger is what producers and consumers were told, kept outside of what is
// killed.
type ledger struct {
	t              *testing.T
	c              *sqs.Client
	standard, fifo *string // URLs

	mu       sync.Mutex
	sent     map[string]bool         // acknowledged
	next     [queueWorkers]int       // by group: what is to be sent, or sent again
	received map[string]receipt      // by body
	deleted  map[string]time.Time    // when it was acknowledged
	let      map[string]map[int]bool // by group: whose deletion was asked for
}

// receipt is a message's last one: its id, and when it was asked for.
type receipt struct {
	id    string
	asked time.Time
}

func newLedger(t *testing.T, p *platform) *ledger {
	t.Helper()
	l := &ledger{t: t, sent: map[string]bool{}, received: map[string]receipt{}, deleted: map[string]time.Time{}, let: map[string]map[int]bool{},
		c: sqs.NewFromConfig(p.config("111111111111"))}
	create := func(name string, attributes map[string]string) *string {
		attributes["VisibilityTimeout"] = fmt.Sprint(int(queueVisibility.Seconds()))
		out, err := l.c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		return out.QueueUrl
	}
	l.standard = create("killed", map[string]string{})
	l.fifo = create("killed.fifo", map[string]string{"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"})
	return l
}

// produce sends to both queues in turn, to the FIFO queue in a group of its own.
// What nobody acknowledged it sends again there, and not to the standard queue.
func (l *ledger) produce(ctx context.Context, w, round int) {
	for i := 0; ctx.Err() == nil; i++ {
		body := fmt.Sprintf("%d-%d-%d", round, w, i)
		_, err := l.c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: l.standard, MessageBody: &body})
		l.acknowledged(body, err)
		group := strconv.Itoa(w)
		body = fmt.Sprintf("%s/%d", group, l.next[w])
		_, err = l.c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: l.fifo, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: aws.String(strconv.Itoa(l.next[w]))})
		if l.acknowledged(body, err) {
			l.next[w]++
		}
	}
}

func (l *ledger) acknowledged(body string, err error) bool {
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[body] = true
	return true
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

// more waits until more is acknowledged than was.
func (l *ledger) more(t *testing.T) {
	t.Helper()
	had := l.count()
	eventually(t, 30*time.Second, func() error {
		if n := l.count(); n < had+100 {
			return fmt.Errorf("%d messages were acknowledged, then %d more", had, n-had)
		}
		return nil
	})
}

func (l *ledger) consume(ctx context.Context, w int) {
	for ctx.Err() == nil {
		l.once(ctx, []*string{l.standard, l.fifo}[w%2])
	}
}

// once receives from a queue and deletes what it got.
func (l *ledger) once(ctx context.Context, q *string) error {
	asked := time.Now()
	got, err := l.c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
	if err != nil {
		return err
	}
	l.look(asked, got.Messages)
	if len(got.Messages) == 0 {
		return nil
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: q}
	for i, m := range got.Messages {
		l.letGo(*m.Body)
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	out, err := l.c.DeleteMessageBatch(ctx, in)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, done := range out.Successful { // others have expired, and come again
		i, err := strconv.Atoi(*done.Id)
		if err != nil {
			return err
		}
		l.deleted[*got.Messages[i].Body] = time.Now()
	}
	return nil
}

// look judges what was received.
func (l *ledger) look(asked time.Time, messages []types.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := map[string]map[int]bool{} // by group: what came before it with the same answer
	for _, m := range messages {
		body := *m.Body
		had, again := l.received[body]
		switch at, deleted := l.deleted[body]; {
		case deleted && asked.After(at):
			l.t.Errorf("%s came back after it was deleted", body)
		case again && time.Since(had.asked) < queueVisibility-time.Millisecond:
			// It began when the message was asked for, or later, by a clock that
			// counts milliseconds.
			l.t.Errorf("%s was given out again %v after it was asked for: within its visibility", body, time.Since(had.asked))
		}
		l.received[body] = receipt{*m.MessageId, asked}
		group, number, ok := inGroup(body)
		if !ok {
			continue
		}
		if again && had.id != *m.MessageId {
			l.t.Errorf("%s is in the queue as %s and as %s", body, had.id, *m.MessageId)
		}
		for n := range number {
			if !l.let[group][n] && !before[group][n] {
				l.t.Errorf("%s came while %d was not deleted", body, n)
				break
			}
		}
		put(before, group, number)
	}
}

// letGo notes that a message's deletion is asked for: from now on the group's
// next may come.
func (l *ledger) letGo(body string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if group, number, ok := inGroup(body); ok {
		put(l.let, group, number)
	}
}

// inGroup takes the body of a message of the FIFO queue apart.
func inGroup(body string) (group string, number int, ok bool) {
	if n, err := fmt.Sscanf(body, "%1s/%d", &group, &number); err != nil || n != 2 {
		return "", 0, false
	}
	return group, number, true
}

func put(sets map[string]map[int]bool, group string, number int) {
	if sets[group] == nil {
		sets[group] = map[int]bool{}
	}
	sets[group][number] = true
}

// drain receives until the queues are empty.
func (l *ledger) drain(t *testing.T) {
	for _, q := range []*string{l.standard, l.fifo} {
		eventually(t, time.Minute, func() error {
			var failed [queueWorkers]error
			var workers sync.WaitGroup
			for w := range failed {
				workers.Go(func() { failed[w] = l.once(t.Context(), q) })
			}
			workers.Wait()
			if err := errors.Join(failed[:]...); err != nil {
				return err
			}
			out, err := l.c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: q, AttributeNames: []types.QueueAttributeName{"All"}})
			if err != nil {
				return err
			}
			if a := out.Attributes; a["ApproximateNumberOfMessages"] != "0" || a["ApproximateNumberOfMessagesNotVisible"] != "0" {
				return fmt.Errorf("%s messages wait, %s are in flight", a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"])
			}
			return nil
		})
	}
}

// verdict says what is missing.
func (l *ledger) verdict(t *testing.T) {
	lost, ordered := 0, 0
	for body := range l.sent {
		if _, ok := l.received[body]; !ok {
			lost++
		}
		if _, _, ok := inGroup(body); ok {
			ordered++
		}
	}
	if lost > 0 || ordered < 100 || len(l.sent)-ordered < 100 {
		t.Errorf("of %d acknowledged messages, %d of them in groups, %d are lost", len(l.sent), ordered, lost)
	}
	t.Logf("%d messages acknowledged, %d of them in groups; %d deletions", len(l.sent), ordered, len(l.deleted))
}
