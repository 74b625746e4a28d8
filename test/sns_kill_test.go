package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// TestSNSKill9 kills the platform ten times under publishers. Every message that
// was acknowledged is in every queue that its filter lets it into; of a FIFO
// topic, whose publishers try again until they are told, each is in the FIFO
// queue once and in the order of its group.
func TestSNSKill9(t *testing.T) {
	need(t)
	p := ownPlatform(t)
	address := p.address()
	ctx := t.Context()
	config := p.config("111111111111")
	topics := sns.NewFromConfig(config)
	queues := sqs.NewFromConfig(config)
	check := failing(t)
	queue := func(name string, attributes map[string]string) *string {
		t.Helper()
		out, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		check(err)
		return out.QueueUrl
	}
	all, even := queue("all", nil), queue("even", nil)
	ordered := queue("ordered.fifo", map[string]string{"FifoQueue": "true"})
	topic := func(name string, attributes map[string]string) *string {
		t.Helper()
		out, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Attributes: attributes})
		check(err)
		return out.TopicArn
	}
	subscribe := func(topic *string, queue, filter string) {
		t.Helper()
		in := &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:us-east-1:111111111111:" + queue), Attributes: map[string]string{"RawMessageDelivery": "true"}}
		if filter != "" {
			in.Attributes["FilterPolicy"] = filter
		}
		_, err := topics.Subscribe(ctx, in)
		check(err)
	}
	plain, fifo := topic("plain", nil), topic("t.fifo", map[string]string{"FifoTopic": "true", "FifoThroughputScope": "MessageGroup"})
	subscribe(plain, "all", "")
	subscribe(plain, "even", `{"parity": ["even"]}`)
	subscribe(fifo, "ordered.fifo", "")

	var mu sync.Mutex
	told := map[string]bool{} // of the plain topic
	publish := func(ctx context.Context, producer, round int) {
		for i := 0; ctx.Err() == nil; i++ {
			body, parity := fmt.Sprintf("%d-%d-%d", producer, round, i), []string{"even", "odd"}[i%2]
			_, err := topics.Publish(ctx, &sns.PublishInput{TopicArn: plain, Message: &body, MessageAttributes: map[string]snstypes.MessageAttributeValue{"parity": {DataType: aws.String("String"), StringValue: &parity}}})
			if err != nil {
				return // killed: nobody knows what became of it
			}
			mu.Lock()
			told[body] = true
			mu.Unlock()
		}
	}
	next := make([]int, 4) // of each group's publisher: what it has to say
	publishInOrder := func(ctx context.Context, group int) {
		for ctx.Err() == nil {
			body := strconv.Itoa(next[group])
			_, err := topics.Publish(ctx, &sns.PublishInput{TopicArn: fifo, Message: &body, MessageGroupId: aws.String(strconv.Itoa(group)), MessageDeduplicationId: aws.String(fmt.Sprintf("%d-%s", group, body))})
			if err != nil {
				return // the same again after the restart
			}
			next[group]++
		}
	}
	for round := range 10 {
		run, stop := context.WithCancel(ctx)
		var producers sync.WaitGroup
		for n := range 4 {
			producers.Go(func() { publish(run, n, round) })
			producers.Go(func() { publishInOrder(run, n) })
		}
		time.Sleep(time.Duration(100+round*23) * time.Millisecond) // load, before the kill in the midst of it
		p.kill()
		producers.Wait()
		stop()
		check(p.start(address))
	}

	for name, url := range map[string]*string{"all": all, "even": even} {
		got, twice := map[string]bool{}, 0
		drain(t, p.url, url, func(body, _ string) {
			if got[body] {
				twice++
			}
			got[body] = true
		})
		lost := 0
		for body := range told {
			i, err := strconv.Atoi(body[strings.LastIndexByte(body, '-')+1:])
			check(err)
			if (name == "all" || i%2 == 0) && !got[body] {
				lost++
			}
		}
		for body := range got {
			if i, err := strconv.Atoi(body[strings.LastIndexByte(body, '-')+1:]); err != nil || name == "even" && i%2 != 0 {
				t.Fatalf("%s got %s", name, body)
			}
		}
		t.Logf("%s: %d messages, %d twice; %d were acknowledged to the topic", name, len(got), twice, len(told))
		if lost > 0 || len(told) == 0 {
			t.Errorf("%s: %d messages are lost", name, lost)
		}
	}
	want := make([]int, len(next))
	drain(t, p.url, ordered, func(body, in string) {
		group, err := strconv.Atoi(in)
		check(err)
		if body != strconv.Itoa(want[group]) {
			t.Fatalf("group %d: %s came, %d was to come", group, body, want[group])
		}
		want[group]++
	})
	for group := range next {
		// What was not acknowledged at the last kill may have been published.
		if want[group] != next[group] && want[group] != next[group]+1 || next[group] == 0 {
			t.Errorf("group %d: %d messages came, %d were acknowledged", group, want[group], next[group])
		}
	}
	t.Logf("in order: %v", want)
}

// drain takes what a queue has until nothing comes any more.
func drain(t *testing.T, base string, queueURL *string, take func(body, group string)) {
	t.Helper()
	for {
		var out struct {
			Messages []struct {
				Body, ReceiptHandle string
				Attributes          map[string]string
			}
		}
		if err := call(t.Context(), base, "ReceiveMessage", map[string]any{"QueueUrl": *queueURL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 3, "MessageSystemAttributeNames": []string{"All"}}, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return
		}
		var done []map[string]string
		for i, m := range out.Messages {
			take(m.Body, m.Attributes["MessageGroupId"])
			done = append(done, map[string]string{"Id": strconv.Itoa(i), "ReceiptHandle": m.ReceiptHandle})
		}
		if err := call(t.Context(), base, "DeleteMessageBatch", map[string]any{"QueueUrl": *queueURL, "Entries": done}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// call asks SQS in its JSON protocol.
func call(ctx context.Context, base, op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Target", "AmazonSQS."+op)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=111111111111/20240101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=x")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", op, res.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}
