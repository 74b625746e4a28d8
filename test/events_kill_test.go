package test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// TestEventsKill9 kills the platform ten times while events are put on a bus.
// Each event that was acknowledged, and that the rule matches, comes to the
// queues that are the rule's targets, into the FIFO queue once. The bus's archive
// has them too: a replay, which is killed as well, brings them all again.
func TestEventsKill9(t *testing.T) {
	need(t)
	p := ownPlatform(t)
	address := p.address()
	ctx := t.Context()
	config := p.config("111111111111")
	events := eventbridge.NewFromConfig(config)
	queues := sqs.NewFromConfig(config)
	check := failing(t)
	queue := func(name string, attributes map[string]string) *string {
		t.Helper()
		out, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		check(err)
		return out.QueueUrl
	}
	plain := queue("plain", nil)
	ordered := queue("ordered.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	shop := aws.String("shop")
	made, err := events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: shop})
	check(err)
	archive, err := events.CreateArchive(ctx, &eventbridge.CreateArchiveInput{ArchiveName: shop, EventSourceArn: made.EventBusArn})
	check(err)
	rule, err := events.PutRule(ctx, &eventbridge.PutRuleInput{Name: shop, EventBusName: shop, EventPattern: aws.String(`{"source":["shop"],"detail":{"wanted":[true]}}`)})
	check(err)
	put, err := events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: shop, EventBusName: shop, Targets: []types.Target{
		{Id: aws.String("plain"), Arn: aws.String("arn:aws:sqs:us-east-1:111111111111:plain")},
		{Id: aws.String("ordered"), Arn: aws.String("arn:aws:sqs:us-east-1:111111111111:ordered.fifo"), SqsParameters: &types.SqsParameters{MessageGroupId: aws.String("g")}},
	}})
	check(err)
	if put.FailedEntryCount != 0 {
		t.Fatalf("%+v", put.FailedEntries)
	}

	var mu sync.Mutex
	told, unwanted := map[string]bool{}, map[string]bool{} // ids of acknowledged events
	produce := func(ctx context.Context) {
		for ctx.Err() == nil {
			in := &eventbridge.PutEventsInput{}
			for n := range 5 {
				in.Entries = append(in.Entries, types.PutEventsRequestEntry{EventBusName: shop, Source: shop, DetailType: aws.String("Order"), Detail: aws.String(fmt.Sprintf(`{"wanted":%t}`, n > 0))})
			}
			out, err := events.PutEvents(ctx, in)
			if err != nil {
				return // killed: nobody knows what became of these
			}
			mu.Lock()
			for n, e := range out.Entries {
				switch {
				case e.ErrorCode != nil:
					t.Errorf("an event is refused: %s %s", *e.ErrorCode, *e.ErrorMessage)
				case n > 0:
					told[*e.EventId] = true
				default:
					unwanted[*e.EventId] = true
				}
			}
			mu.Unlock()
		}
	}
	began := time.Now()
	for round := range 10 {
		run, stop := context.WithCancel(ctx)
		var producers sync.WaitGroup
		for range 4 {
			producers.Go(func() { produce(run) })
		}
		time.Sleep(time.Duration(50+round*13) * time.Millisecond) // load, before the kill in the midst of it
		p.kill()
		producers.Wait()
		stop()
		check(p.start(address))
	}

	// come drains a queue and says how often each event was in it.
	come := func(url *string, replay string) map[string]int {
		t.Helper()
		got := map[string]int{}
		drain(t, p.url, url, func(body, _ string) {
			var e struct {
				ID     string `json:"id"`
				Replay string `json:"replay-name"`
			}
			check(json.Unmarshal([]byte(body), &e))
			if e.Replay != replay || unwanted[e.ID] {
				t.Fatalf("there came %s", body)
			}
			got[e.ID]++
		})
		return got
	}
	judge := func(what string, got map[string]int) {
		t.Helper()
		lost, twice := 0, 0
		for id := range told {
			if got[id] == 0 {
				lost++
			}
		}
		for _, n := range got {
			if n > 1 {
				twice++
			}
		}
		t.Logf("%s: %d events, %d twice; %d were acknowledged", what, len(got), twice, len(told))
		if lost > 0 || len(told) < 100 {
			t.Errorf("%s: %d of %d events are lost", what, lost, len(told))
		}
		if what == "FIFO" && twice > 0 {
			t.Errorf("%s: %d events came twice", what, twice)
		}
	}
	judge("plain", come(plain, ""))
	judge("FIFO", come(ordered, ""))

	eventually(t, 20*time.Second, func() error { // what was put last is on its way into the archive
		out, err := events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: shop})
		if err == nil && int(out.EventCount) < len(told)+len(unwanted) {
			err = fmt.Errorf("the archive has %d events, %d were acknowledged", out.EventCount, len(told)+len(unwanted))
		}
		return err
	})
	_, err = events.StartReplay(ctx, &eventbridge.StartReplayInput{ReplayName: aws.String("again"), EventSourceArn: archive.ArchiveArn, EventStartTime: &began, EventEndTime: aws.Time(time.Now()),
		Destination: &types.ReplayDestination{Arn: made.EventBusArn, FilterArns: []string{*rule.RuleArn}}})
	check(err)
	p.kill()
	check(p.start(address))
	eventually(t, 30*time.Second, func() error {
		out, err := events.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: aws.String("again")})
		if err == nil && out.State != types.ReplayStateCompleted {
			err = fmt.Errorf("the replay is %s: %s", out.State, aws.ToString(out.StateReason))
		}
		return err
	})
	judge("replayed", come(plain, "again"))
}
