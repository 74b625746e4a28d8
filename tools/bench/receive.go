package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// measureReceive measures ReceiveMessage and DeleteMessageBatch of ten, with
// few messages waiting and with many. A queue is filled up again, untimed,
// before each turn, so that the number that waits hardly changes.
func measureReceive(ctx context.Context, b *bench) error {
	const (
		few, many = 1_000, 1_000_000
		a         = 2_000 // messages a turn
		turns     = 40
		perSecond = 50_000.0
		bar       = 0.9
	)
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	set, err := startSet(filepath.Join(b.dir, "receive"))
	if err != nil {
		return err
	}
	defer set.stop()
	var sides []*side
	for _, depth := range []int{few, many} {
		q, err := makeQueue(ctx, p.url, fmt.Sprint("receive-", depth))
		if err != nil {
			return err
		}
		defer q.delete(ctx)
		if err := q.fill(ctx, depth, kilobyte[:100]); err != nil {
			return err
		}
		s := drainSide(ctx, q, p.pid())
		s.limit, s.before = a, func(ctx context.Context) error { return q.fill(ctx, a, kilobyte[:100]) }
		sides = append(sides, s)
	}
	shallow, deep, floor := sides[0], sides[1], receiveFloor(ctx, set, a)
	if err := race(ctx, turns, time.Minute, shallow, deep, floor); err != nil {
		return err
	}
	peer := askMoto(ctx, func(m *moto) (string, error) {
		q, err := makeQueue(ctx, m.url, "receive")
		if err != nil {
			return "", err
		}
		s := drainSide(ctx, q, m.pid())
		s.limit = few
		if err := q.fill(ctx, 2*few, kilobyte[:100]); err != nil {
			return "", err
		}
		err = s.turn(ctx, 10*time.Second)
		return fmt.Sprintf("%.0f/s", quantile(s.rates, 0)), err
	})
	rate := median(shallow.rates)
	b.table.add("ReceiveMessage and DeleteMessageBatch of 10, 1,000 wait", shallow.count("messages"),
		"net/http and Pebble Set(Sync) per batch "+floor.count("messages")+"; "+peer, fmt.Sprintf("%.0f/s, %s", rate, shallow.per(floor)),
		fmt.Sprintf("≥ %.0f/s", perSecond), verdict(rate >= perSecond))
	ratio := deep.per(shallow)
	b.table.add("the same, 1,000,000 wait", deep.count("messages"), fmt.Sprintf("1,000 wait %.0f/s", rate), ratio.String(),
		fmt.Sprintf("≥ %.1f ×", bar), verdict(median(ratio) >= bar))
	return nil
}

// drainSide receives and deletes.
func drainSide(ctx context.Context, q *queue, pid int) *side {
	conns, receive := dial(ctx, q.endpoint, connections), q.receive(0)
	return &side{pid: pid, do: func(i int) (int, error) {
		answer, err := conns[i].do(receive)
		if err != nil {
			return 0, err
		}
		request, n := q.remove(answer)
		if n > 0 {
			_, err = conns[i].do(request)
		}
		return n, err
	}}
}

// receiveFloor is asked for as many bytes as a receive answers, and sets what
// says which messages to delete.
func receiveFloor(ctx context.Context, s *set, limit int64) *side {
	conns := dial(ctx, s.url, connections)
	receive, remove := plain("/answer?bytes=3000", kilobyte), plain("/", kilobyte)
	return &side{pid: s.pid(), limit: limit, do: func(i int) (int, error) {
		if _, err := conns[i].do(receive); err != nil {
			return 0, err
		}
		_, err := conns[i].do(remove)
		return 10, err
	}}
}
