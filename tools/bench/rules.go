package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// measureRules runs the benchmarks of package pattern: an event against 10,000
// rules, and putting a rule among as many.
func measureRules(ctx context.Context, b *bench) error {
	const (
		match, put = 5 * time.Microsecond, time.Millisecond
		runs       = "5"
	)
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("%w: no go", errSkipped)
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^(BenchmarkMatch|BenchmarkPut|BenchmarkFloor)$", "-benchtime", "300ms", "-count", runs, "./bus/pattern").CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmarks of bus/pattern: %w\n%s", err, out)
	}
	took := func(name string) (all []time.Duration) {
		for _, m := range allMetricsOf(string(out), name) {
			all = append(all, time.Duration(m["ns/op"]))
		}
		return all
	}
	matches, puts, reads, plain := took("BenchmarkMatch/10000"), took("BenchmarkPut"), took("BenchmarkFloor/skip"), took("BenchmarkFloor/json.Unmarshal")
	if len(matches) == 0 || len(puts) == 0 || len(reads) == 0 || len(plain) == 0 {
		return fmt.Errorf("benchmarks of bus/pattern say no times:\n%s", out)
	}
	row := func(what string, ours []time.Duration, other, value string, bar time.Duration) {
		b.table.add(what, fmt.Sprintf("%s (%s–%s)", micro(median(ours)), micro(quantile(ours, 0)), micro(quantile(ours, 1))), other, value, "≤ "+micro(bar), verdict(median(ours) <= bar))
	}
	row("event against 10,000 rules", matches, fmt.Sprintf("reading it alone %s, json.Unmarshal %s", micro(median(reads)), micro(median(plain))),
		fmt.Sprintf("%s, %.1f × reading", micro(median(matches)), float64(median(matches))/float64(median(reads))), match)
	row("putting a rule among 10,000", puts, "", micro(median(puts)), put)
	return nil
}

// micro prints a duration in microseconds.
func micro(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1000) }
