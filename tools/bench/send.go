package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// kilobyte is a body whose content does not matter.
var kilobyte = strings.Repeat("x", 1024)

// singles are calls of SendMessage for orders of 1 KB.
func singles(q *queue) (bodies []string) {
	for _, text := range orders(variety, 1024) {
		bodies = append(bodies, q.sendBody(text))
	}
	return bodies
}

// tens are calls of SendMessageBatch, each with other orders.
func tens(q *queue) (bodies []string) {
	for texts := range slices.Chunk(orders(10*variety, 1024), 10) {
		bodies = append(bodies, q.batchBody(texts...))
	}
	return bodies
}

// measureSend measures SendMessage and SendMessageBatch with bodies of 1 KB,
// against a handler that sets in Pebble the same requests.
func measureSend(ctx context.Context, b *bench) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("%w: no wrk (apt-get install wrk)", errSkipped)
	}
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	set, err := startSet(filepath.Join(b.dir, "send"))
	if err != nil {
		return err
	}
	defer set.stop()
	q, err := makeQueue(ctx, p.url, "send")
	if err != nil {
		return err
	}
	s := sends{b: b, q: q, set: set}
	if err := s.single(ctx); err != nil {
		return err
	}
	if err := s.batch(ctx); err != nil {
		return err
	}
	return q.delete(ctx)
}

type sends struct {
	b   *bench
	q   *queue
	set *set
}

func (s *sends) single(ctx context.Context) error {
	const bar = 0.8
	ours, floor, err := s.race(ctx, "SendMessage", singles(s.q), func() error { return nil })
	if err != nil {
		return err
	}
	ratio := shares(ratios(ours.rates, floor.rates))
	peer := s.moto(ctx, "SendMessage", 1, singles)
	s.b.table.add("SendMessage, 1 KB, 16 connections", fmt.Sprintf("%.0f messages/s, %.0f µs processor a call", median(ours.rates), median(ours.costs)),
		fmt.Sprintf("net/http and Pebble Set(Sync) %.0f/s, %.0f µs; %s", median(floor.rates), median(floor.costs), peer),
		ratio.String(), fmt.Sprintf("≥ %.1f ×", bar), verdict(median(ratio) >= bar))
	return nil
}

// batch has raw Pebble as its floor; the handler over Pebble is shown for what
// HTTP costs.
func (s *sends) batch(ctx context.Context) error {
	const bar, perSecond = 0.5, 100_000.0
	var raw []float64
	ours, handler, err := s.race(ctx, "SendMessageBatch", tens(s.q), func() error {
		r, err := s.set.raw(ctx, 10, len(kilobyte), 2*time.Second)
		raw = append(raw, r/10)
		return err
	})
	if err != nil {
		return err
	}
	ratio := shares(ratios(ours.rates, raw[1:]))
	rate := 10 * median(ours.rates)
	peer := s.moto(ctx, "SendMessageBatch", 10, tens)
	s.b.table.add("SendMessageBatch of 10", fmt.Sprintf("%.0f messages/s, %.0f µs processor a call", rate, median(ours.costs)),
		fmt.Sprintf("raw Pebble batches %.0f/s, net/http and one Set(Sync) %.0f/s, %.0f µs; %s", 10*median(raw[1:]), 10*median(handler.rates), median(handler.costs), peer),
		ratio.String(), fmt.Sprintf("≥ %.0f/s or %.1f ×", perSecond, bar), verdict(rate >= perSecond || median(ratio) >= bar))
	return nil
}

// race lets dhow, the handler and what else there is take turns.
func (s *sends) race(ctx context.Context, op string, bodies []string, also func() error) (ours, floor *served, err error) {
	script, err := s.script(op, bodies)
	if err != nil {
		return nil, nil, err
	}
	ours, floor = &served{url: s.q.endpoint, pid: s.b.p.pid()}, &served{url: s.set.url, pid: s.set.pid()}
	sides := [2]*served{ours, floor}
	const turns = 6 // after one that warms
	for n := range turns + 1 {
		for i := range sides {
			if err := sides[(i+n)%2].measure(ctx, script, n > 0); err != nil {
				return nil, nil, err
			}
		}
		if err := also(); err != nil {
			return nil, nil, err
		}
	}
	return ours, floor, nil
}

func (s *sends) script(op string, bodies []string) (string, error) {
	path := filepath.Join(s.b.dir, op+".lua")
	return path, os.WriteFile(path, []byte(sqsAPI.script(strings.TrimPrefix(op, "moto-"), bodies)), 0o600)
}

// moto is how many messages a second it takes.
func (s *sends) moto(ctx context.Context, op string, messages float64, bodies func(q *queue) []string) string {
	return askMoto(ctx, func(m *moto) (string, error) {
		q, err := makeQueue(ctx, m.url, "send")
		if err != nil {
			return "", err
		}
		script, err := s.script("moto-"+op, bodies(q))
		if err != nil {
			return "", err
		}
		rate, err := wrk(ctx, script, m.url, 5*time.Second)
		return fmt.Sprintf("%.0f/s", messages*rate), err
	})
}
