package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measurePolls measures what long polls take while nothing happens: one at each
// of 1,000 queues. The floor is a handler of net/http that holds as many.
func measurePolls(ctx context.Context, b *bench) error {
	const (
		polls = 1000
		cpu   = 0.01 // of a core
		kib   = 32.0
	)
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	set, err := startSet(filepath.Join(b.dir, "polls"))
	if err != nil {
		return err
	}
	defer set.stop()
	queues := make([]*queue, polls)
	conns := dial(ctx, p.url, connections)
	if err := together(connections, func(w int) (err error) {
		for i := w; i < polls; i += connections {
			if queues[i], err = makeQueue(ctx, p.url, fmt.Sprint("polled-", i)); err != nil {
				return err
			}
			if _, err = conns[w].do(queues[i].receive(0)); err != nil { // opens its logs
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	hangUp(conns)
	ours, err := holdPolls(ctx, held{p.url, p.pid(), p.live}, polls, func(i int) []byte { return queues[i].receive(20) })
	if err != nil {
		return err
	}
	floor, err := holdPolls(ctx, held{set.url, set.pid(), set.live}, polls, func(int) []byte { return plain("/hold", kilobyte[:200]) })
	if err != nil {
		return err
	}
	b.table.add("1,000 idle queues, a long poll each", fmt.Sprintf("%.2f %% of a core, %.2f %% before the polls", ours.busy*100, ours.idle*100), fmt.Sprintf("net/http that holds them %.2f %%", floor.busy*100),
		fmt.Sprintf("%.2f %%", ours.busy*100), fmt.Sprintf("≤ %.0f %%", cpu*100), verdict(ours.busy <= cpu))
	b.table.add("memory of a poll", fmt.Sprintf("%.1f KiB in use, %.1f KiB resident", ours.kib, ours.resident), fmt.Sprintf("net/http %.1f KiB in use, %.1f KiB resident", floor.kib, floor.resident), fmt.Sprintf("%.1f KiB", ours.kib), fmt.Sprintf("≤ %.0f KiB", kib), verdict(ours.kib <= kib))
	return together(connections, func(w int) error {
		for i := w; i < polls; i += connections {
			if err := queues[i].delete(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// held is a program that holds polls.
type held struct {
	url  string
	pid  int
	live func(context.Context) (float64, error) // MiB in use
}

// holding is what polls take: shares of a core without and with them, and KiB
// for one: in use, and resident with what garbage may take.
type holding struct{ idle, busy, kib, resident float64 }

func holdPolls(ctx context.Context, h held, n int, poll func(i int) []byte) (took holding, err error) {
	const span = 20 * time.Second                     // as long as a poll
	if err := sleep(ctx, 5*time.Second); err != nil { // what went before left work
		return took, err
	}
	before, residentBefore, err := h.memory(ctx)
	if err != nil {
		return took, err
	}
	if took.idle, err = share(ctx, h.pid, span); err != nil {
		return took, err
	}
	polling, end := context.WithCancel(ctx)
	conns := dial(polling, h.url, n)
	ended := make(chan error, 1)
	go func() {
		ended <- together(n, func(i int) error {
			request := poll(i)
			for {
				if _, err := conns[i].do(request); err != nil {
					end()
					return err
				}
			}
		})
	}()
	defer func() { end(); <-ended; hangUp(conns) }()
	if err := sleep(ctx, 3*time.Second); err != nil {
		return took, err
	}
	if took.busy, err = share(ctx, h.pid, span+5*time.Second); err != nil {
		return took, err
	}
	after, residentAfter, err := h.memory(ctx)
	took.kib, took.resident = (after-before)*1024/float64(n), (residentAfter-residentBefore)*1024/float64(n)
	if polling.Err() != nil && ctx.Err() == nil {
		err = errors.New("a poll failed")
	}
	return took, err
}

func (h held) memory(ctx context.Context) (live, all float64, err error) {
	if live, err = h.live(ctx); err != nil {
		return 0, 0, err
	}
	all, err = resident(h.pid)
	return live, all, err
}

// share is what a process takes of a core during a time.
func share(ctx context.Context, pid int, span time.Duration) (float64, error) {
	before, err := cpuTime(pid)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := sleep(ctx, span); err != nil {
		return 0, err
	}
	after, err := cpuTime(pid)
	return (after - before).Seconds() / time.Since(began).Seconds(), err
}

// live is the heap and stacks in MiB that the platform has in use without garbage:
// memory that waits to be collected is no poll's. It makes small calls until it
// was collected twice. The runtime tells what it found alive by the size at which
// it collects next: as much again by GOGC of the heap and the stacks.
func (p *platform) live(ctx context.Context) (float64, error) {
	first := -1.0
	for began := time.Now(); time.Since(began) < time.Minute; {
		m, err := p.metrics(ctx)
		if err != nil {
			return 0, err
		}
		cycles := m["go_gc_duration_seconds_count"]
		if first < 0 {
			first = cycles
		}
		if cycles >= first+2 {
			share, stacks := m["go_gc_gogc_percent"]/100, m["go_memstats_stack_inuse_bytes"]
			heap := (m["go_memstats_next_gc_bytes"] - share*stacks) / (1 + share)
			return (heap + stacks) / (1 << 20), nil
		}
	}
	return 0, errors.New("no collection of garbage in a minute")
}

// metrics are those of /_dhow/metrics that have no labels.
func (p *platform) metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/_dhow/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	m := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			m[name] = v
		}
	}
	return m, lines.Err()
}
