package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// measureStart measures single starts, ours and containerd's in turns.
func measureStart(ctx context.Context, b *bench) error {
	const bar = 1.5
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	f, err := newFloor(ctx, p)
	if err != nil {
		return err
	}
	defer f.close()
	ours, floor, err := turns(ctx, b.runs, func(int) (time.Duration, error) {
		arn, took, err := p.startTask(ctx)
		if err != nil {
			return 0, err
		}
		return took, errors.Join(p.stopTasks(ctx, arn), f.settle(ctx, 100*time.Millisecond))
	}, func(n int) (time.Duration, error) {
		took, err := f.startAll(ctx, fmt.Sprint("one-", n), 1)
		return took, errors.Join(err, f.settle(ctx, 100*time.Millisecond))
	})
	if err != nil {
		return err
	}
	ratio := float64(median(ours)) / float64(median(floor))
	b.table.add("RunTask → RUNNING, awsvpc", fmt.Sprintf("p50 %s, p95 %s (n=%d)", ms(median(ours)), ms(quantile(ours, 0.95)), b.runs),
		fmt.Sprintf("containerd p50 %s, p95 %s", ms(median(floor)), ms(quantile(floor, 0.95))),
		fmt.Sprintf("%.2f ×", ratio), fmt.Sprintf("≤ %.1f ×", bar), verdict(ratio <= bar))
	return nil
}

// burst is how many tasks start at once.
const burst = 20

// measureBurst measures when the last of twenty runs.
func measureBurst(ctx context.Context, b *bench) error {
	const bar = 1.3
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	f, err := newFloor(ctx, p)
	if err != nil {
		return err
	}
	defer f.close()
	ours, floor, err := turns(ctx, b.bursts, func(int) (time.Duration, error) {
		arns, last, err := p.startTasks(ctx, burst)
		if err != nil {
			return 0, err
		}
		return last, errors.Join(p.stopTasks(ctx, arns...), f.settle(ctx, time.Second))
	}, func(n int) (time.Duration, error) {
		last, err := f.startAll(ctx, fmt.Sprint("burst-", n), burst)
		return last, errors.Join(err, f.settle(ctx, time.Second))
	})
	if err != nil {
		return err
	}
	per := ratios(ours, floor)
	ratio := median(per)
	b.table.add(fmt.Sprintf("%d RunTasks at once, the last RUNNING", burst), fmt.Sprintf("%s (n=%d)", ms(median(ours)), b.bursts),
		"containerd "+ms(median(floor)), fmt.Sprintf("%.2f × (%.2f–%.2f)", ratio, quantile(per, 0), quantile(per, 1)), fmt.Sprintf("≤ %.1f ×", bar), verdict(ratio <= bar))
	return nil
}

// turns measures n turns of each side after one that warms both. Who is first
// alternates: the second of a turn meets what the first has left behind.
func turns(ctx context.Context, n int, ours, floor func(turn int) (time.Duration, error)) (o, f []time.Duration, err error) {
	for i := range n + 1 {
		var a, b time.Duration
		var errA, errB error
		if i%2 == 0 {
			a, errA = ours(i)
			b, errB = floor(i)
		} else {
			b, errB = floor(i)
			a, errA = ours(i)
		}
		if err := errors.Join(errA, errB, ctx.Err()); err != nil {
			return nil, nil, err
		}
		if i > 0 {
			o, f = append(o, a), append(f, b)
		}
	}
	return o, f, nil
}

// startTasks makes n calls at once and returns how long it took until the last
// task ran.
func (p *platform) startTasks(ctx context.Context, n int) (arns []string, last time.Duration, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for range n {
		all.Go(func() {
			arn, _, e := p.startTask(ctx)
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			arns, last, err = append(arns, arn), max(last, took), errors.Join(err, e)
		})
	}
	all.Wait()
	return arns, last, err
}
