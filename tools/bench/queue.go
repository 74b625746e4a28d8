package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func sqsClient(url string) *sqs.Client { return sqs.NewFromConfig(awsConfig(url)) }

// queue is a queue of the platform, or of a peer, and what is said to it.
type queue struct {
	endpoint, url, arn string
	removal            string // the head of a DeleteMessageBatch
}

// makeQueue makes one; a name that ends in .fifo says which kind.
func makeQueue(ctx context.Context, endpoint, name string) (*queue, error) {
	in := &sqs.CreateQueueInput{QueueName: &name}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	out, err := sqsClient(endpoint).CreateQueue(ctx, in)
	if err != nil {
		return nil, err
	}
	q := &queue{endpoint: endpoint, url: *out.QueueUrl, removal: sqsAPI.head("DeleteMessageBatch")}
	attrs, err := q.attributes(ctx, types.QueueAttributeNameQueueArn)
	q.arn = attrs["QueueArn"]
	return q, err
}

func (q *queue) attributes(ctx context.Context, names ...types.QueueAttributeName) (map[string]string, error) {
	out, err := sqsClient(q.endpoint).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// delete deletes the queue: what waits in it must not be the next row's load.
func (q *queue) delete(ctx context.Context) error {
	_, err := sqsClient(q.endpoint).DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &q.url})
	return err
}

// sendBody is the body of a SendMessage, batchBody of a SendMessageBatch of ten.
func (q *queue) sendBody(text string) string {
	return fmt.Sprintf(`{"QueueUrl":"%s","MessageBody":%s}`, q.url, quoted(text))
}

func (q *queue) batchBody(texts ...string) string {
	var entries []string
	for i := range 10 {
		entries = append(entries, fmt.Sprintf(`{"Id":"%d","MessageBody":%s}`, i, quoted(texts[i%len(texts)])))
	}
	return fmt.Sprintf(`{"QueueUrl":"%s","Entries":[%s]}`, q.url, strings.Join(entries, ","))
}

func (q *queue) send(text string) []byte { return sqsAPI.request("SendMessage", q.sendBody(text)) }

func (q *queue) batch(text string) []byte {
	return sqsAPI.request("SendMessageBatch", q.batchBody(text))
}

// receive asks for ten; it waits so many seconds if there is nothing.
func (q *queue) receive(wait int) []byte {
	return sqsAPI.request("ReceiveMessage", fmt.Sprintf(`{"QueueUrl":"%s","MaxNumberOfMessages":10,"WaitTimeSeconds":%d}`, q.url, wait))
}

// remove is the request that deletes what an answer of ReceiveMessage has, and
// how many these are; nil when there are none.
func (q *queue) remove(answer []byte) (request []byte, n int) {
	body := fmt.Appendf(make([]byte, 0, 2048), `{"QueueUrl":"%s","Entries":[`, q.url)
	for {
		_, rest, found := bytes.Cut(answer, []byte(`"ReceiptHandle":`))
		if !found {
			break
		}
		handle := rest[bytes.IndexByte(rest, '"')+1:]
		end := bytes.IndexByte(handle, '"')
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"Id":"`...)
		body = append(body, byte('a'+n))
		body = append(body, `","ReceiptHandle":"`...)
		body = append(body, handle[:end]...)
		body = append(body, `"}`...)
		answer = handle[end:]
		n++
	}
	if n == 0 {
		return nil, 0
	}
	return fmt.Appendf(make([]byte, 0, 2048+len(body)), "%s%d\r\n\r\n%s]}", q.removal, len(body)+2, body), n
}

// inbox polls the queue and deletes what it gets.
func (q *queue) inbox(ctx context.Context) *inbox {
	return openInbox(ctx, q.endpoint, q.receive(20), func(answer []byte) []byte {
		request, _ := q.remove(answer)
		return request
	})
}

// fill sends n messages in batches and says how far it is.
func (q *queue) fill(ctx context.Context, n int, text string) error {
	conns, request := dial(ctx, q.endpoint, connections), q.batch(text)
	defer hangUp(conns)
	var sent atomic.Int64
	stop := progress(func() string { return fmt.Sprintf("filling: %d of %d messages", min(sent.Load(), int64(n)), n) })
	defer stop()
	return together(connections, func(i int) error {
		for ctx.Err() == nil && sent.Add(10) <= int64(n) {
			answer, err := conns[i].do(request)
			if err != nil {
				return err
			}
			if bytes.Contains(answer, []byte(`"Code"`)) {
				return fmt.Errorf("SendMessageBatch: %s", answer)
			}
		}
		return ctx.Err()
	})
}

// progress says every few seconds how far something is, until it is stopped.
func progress(say func() string) (stop func()) {
	ticks := time.NewTicker(3 * time.Second)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ticks.C:
				fmt.Fprintln(os.Stderr, " ", say())
			case <-done:
				return
			}
		}
	}()
	return func() { ticks.Stop(); close(done) }
}

// waiting is how many messages wait in queues.
func waiting(ctx context.Context, queues ...*queue) (n int, err error) {
	for _, q := range queues {
		a, err := q.attributes(ctx, types.QueueAttributeNameApproximateNumberOfMessages)
		if err != nil {
			return 0, err
		}
		one := 0
		if _, err := fmt.Sscan(a["ApproximateNumberOfMessages"], &one); err != nil {
			return 0, err
		}
		n += one
	}
	return n, nil
}
