package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// measureLatency measures how long a message is on its way to a receiver that
// polls, and what a send takes while the journal is trimmed.
func measureLatency(ctx context.Context, b *bench) error {
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	set, err := startSet(filepath.Join(b.dir, "latency"))
	if err != nil {
		return err
	}
	defer set.stop()
	q, err := makeQueue(ctx, p.url, "latency")
	if err != nil {
		return err
	}
	ours, floor := q.inbox(ctx), set.inbox(ctx)
	if err := pollLatency(ctx, b, q, ours, set, floor); err != nil {
		return err
	}
	if err := trimLatency(ctx, b, q, ours, set); err != nil {
		return err
	}
	ours.close() // ends with what it was told
	floor.close()
	return q.delete(ctx)
}

// inbox polls what is handed over.
func (s *set) inbox(ctx context.Context) *inbox {
	gone := plain("/", kilobyte[:100])
	return openInbox(ctx, s.url, plain("/poll", ""), func([]byte) []byte { return gone })
}

// post is one that sends letters to an inbox, by turns with others.
type post struct {
	in           *inbox
	url          string
	letter       []byte
	calls, trips []time.Duration
	p50s         []float64 // of each turn, in ms
}

// exchange lets posts take turns of n letters at a rate, after one that warms.
func exchange(ctx context.Context, turns, n int, rate float64, posts ...*post) error {
	for turn := range turns + 1 {
		for i := range posts {
			s := posts[(i+turn)%len(posts)]
			calls, trips, err := s.in.measure(ctx, s.url, rate, n, s.letter)
			if err != nil {
				return err
			}
			if turn > 0 {
				s.calls, s.trips = append(s.calls, calls...), append(s.trips, trips...)
				s.p50s = append(s.p50s, median(trips).Seconds()*1000)
			}
		}
	}
	return nil
}

// took prints the times of all turns, and the range of their medians.
func (s *post) took() string {
	return fmt.Sprintf("p50 %s (%.2f–%.2f), p99 %s", fine(median(s.trips)), quantile(s.p50s, 0), quantile(s.p50s, 1), fine(quantile(s.trips, 0.99)))
}

// fine prints milliseconds to the hundredth.
func fine(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

func pollLatency(ctx context.Context, b *bench, q *queue, in *inbox, set *set, floorIn *inbox) error {
	const (
		rate      = 500
		half, all = 800 * time.Microsecond, 5 * time.Millisecond
	)
	ours := &post{in: in, url: q.endpoint, letter: q.send(stamp)}
	floor := &post{in: floorIn, url: set.url, letter: plain("/hand", stamp)}
	if err := exchange(ctx, 5, 4*rate, rate, ours, floor); err != nil {
		return err
	}
	p50, p99 := median(ours.trips), quantile(ours.trips, 0.99)
	b.table.add(fmt.Sprintf("send → long-polling receiver, %d/s", rate), ours.took(), "net/http, Pebble Set(Sync), a channel: "+floor.took(),
		fmt.Sprintf("%s, %s", fine(p50), fine(p99)), fmt.Sprintf("≤ %s, %s", ms(half), ms(all)), verdict(p50 <= half && p99 <= all))
	return nil
}

// trimLatency sends at half of what one core can, while receivers delete all of
// it: each message is three changes, and every 50,000 the queue trims its logs.
func trimLatency(ctx context.Context, b *bench, q *queue, in *inbox, set *set) error {
	const (
		rate, n = 5000, 50_000
		bar     = 10 * time.Millisecond
	)
	var ours, floor []time.Duration
	text := orders(1, 1024)[0]
	letter, same := q.send(stamp+text), plain("/", string(q.send(text)))
	for range 2 {
		calls, _, err := in.measure(ctx, q.endpoint, rate, n, letter)
		if err != nil {
			return err
		}
		bare, err := openLoop(ctx, set.url, rate, n/2, same, func(int, time.Time) int { return 0 })
		if err != nil {
			return err
		}
		ours, floor = append(ours, calls...), append(floor, bare...)
	}
	p99 := quantile(ours, 0.99)
	b.table.add(fmt.Sprintf("SendMessage, 1 KB, %d/s, while the journal trims", rate),
		fmt.Sprintf("p50 %s, p99 %s, worst %s", fine(median(ours)), fine(p99), fine(quantile(ours, 1))),
		fmt.Sprintf("net/http and Pebble Set(Sync) p50 %s, p99 %s, worst %s", fine(median(floor)), fine(quantile(floor, 0.99)), fine(quantile(floor, 1))),
		fine(p99), "≤ "+ms(bar), verdict(p99 <= bar))
	return nil
}
