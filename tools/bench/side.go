package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// connections is how many clients load at once.
const connections = 16

// side is one of those that take turns.
type side struct {
	pid    int                         // of who does the work
	do     func(conn int) (int, error) // one step of a connection: how many units it did
	before func(context.Context) error // what comes before a turn and is not timed; may be nil
	limit  int64                       // units after which a turn ends; 0: when its time is over
	rates  []float64                   // of each turn: units a second
	units  float64                     // of all turns, and the processor time for them
	cpu    time.Duration
}

// turn loads for a while, or until its limit, and notes rate and cost.
func (s *side) turn(ctx context.Context, span time.Duration) error {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return err
		}
	}
	used, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	var done atomic.Int64
	began := time.Now()
	err = together(connections, func(i int) error {
		for ctx.Err() == nil && time.Since(began) < span && (s.limit == 0 || done.Load() < s.limit) {
			n, err := s.do(i)
			if err != nil {
				return err
			}
			done.Add(int64(n))
		}
		return ctx.Err()
	})
	took := time.Since(began)
	if err != nil {
		return err
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	n := float64(done.Load())
	if n == 0 {
		return fmt.Errorf("nothing was done in %s", span)
	}
	s.rates = append(s.rates, n/took.Seconds())
	s.units, s.cpu = s.units+n, s.cpu+after-used
	return nil
}

// race lets sides take turns, each turn begun by another. What the first turn
// of each measures is forgotten: it warms.
func race(ctx context.Context, turns int, span time.Duration, sides ...*side) error {
	for n := range turns + 1 {
		if n == 1 {
			for _, s := range sides {
				s.rates, s.units, s.cpu = nil, 0, 0
			}
		}
		for i := range sides {
			if err := sides[(i+n)%len(sides)].turn(ctx, span); err != nil {
				return err
			}
		}
	}
	return nil
}

// per is the first side's rates as shares of the second's, turn by turn.
func (s *side) per(other *side) shares { return ratios(s.rates, other.rates) }

// shares prints as its median and range.
type shares []float64

func (s shares) String() string {
	return fmt.Sprintf("%.2f × (%.2f–%.2f)", median(s), quantile(s, 0), quantile(s, 1))
}

// count prints a rate as its median and range.
func (s *side) count(unit string) string {
	return fmt.Sprintf("%.0f %s/s (%.0f–%.0f), %.1f µs processor", median(s.rates), unit, quantile(s.rates, 0), quantile(s.rates, 1), float64(s.cpu.Microseconds())/s.units)
}
