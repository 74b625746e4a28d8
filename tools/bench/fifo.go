package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// measureFIFO measures sends, receives and deletes in batches of ten on a FIFO
// queue with 1,000 groups, and the same on a standard queue.
func measureFIFO(ctx context.Context, b *bench) error {
	const bar, turns = 0.5, 8
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	var sides []*side
	for _, name := range []string{"fifo.fifo", "fifo-standard"} {
		q, err := makeQueue(ctx, p.url, name)
		if err != nil {
			return err
		}
		defer q.delete(ctx)
		s, err := throughSide(ctx, q, p.pid(), name == "fifo.fifo")
		if err != nil {
			return err
		}
		sides = append(sides, s)
	}
	ours, standard := sides[0], sides[1]
	if err := race(ctx, turns, 2*time.Second, ours, standard); err != nil {
		return err
	}
	ratio := ours.per(standard)
	b.table.add("FIFO, 1,000 groups: send, receive, delete", ours.count("messages"), "a standard queue "+standard.count("messages"),
		ratio.String(), fmt.Sprintf("≥ %.1f ×", bar), verdict(median(ratio) >= bar))
	return nil
}

// throughSide sends ten messages to ten groups, receives ten and deletes them;
// two messages a group wait all the while.
func throughSide(ctx context.Context, q *queue, pid int, fifo bool) (*side, error) {
	const groups = 1000
	conns, drain := dial(ctx, q.endpoint, connections), drainSide(ctx, q, pid)
	head, text := sqsAPI.head("SendMessageBatch"), kilobyte[:100]
	var next atomic.Int64
	send := func(c *conn) error {
		body := fmt.Appendf(make([]byte, 0, 4096), `{"QueueUrl":"%s","Entries":[`, q.url)
		for i := range 10 {
			k := next.Add(1)
			body = fmt.Appendf(body, `{"Id":"%d","MessageBody":"%s"`, i, text)
			if fifo {
				body = fmt.Appendf(body, `,"MessageGroupId":"g%d","MessageDeduplicationId":"d%d"`, k%groups, k)
			}
			body = append(body, "},"...)
		}
		body[len(body)-1] = ']'
		body = append(body, '}')
		_, err := c.do(fmt.Appendf(make([]byte, 0, len(body)+2048), "%s%d\r\n\r\n%s", head, len(body), body))
		return err
	}
	for range 2 * groups / 10 {
		if err := send(conns[0]); err != nil {
			return nil, err
		}
	}
	return &side{pid: pid, do: func(i int) (int, error) {
		if err := send(conns[i]); err != nil {
			return 0, err
		}
		return drain.do(i)
	}}, nil
}
