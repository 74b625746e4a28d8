package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// measureStore runs the benchmark of package store, which has raw etcd beside
// it. The bar is the lesser of a number and a ratio.
func measureStore(ctx context.Context, b *bench) error {
	const perSecond, share = 50_000.0, 0.8
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("%w: no go", errSkipped)
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkUpdate$", "-benchtime", "1x", "./store").CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmark of store: %w\n%s", err, out)
	}
	m := metricsOf(string(out), "BenchmarkUpdate")
	if m["raw/s"] == 0 || m["updates/s"] == 0 {
		return fmt.Errorf("benchmark of store says no rates:\n%s", out)
	}
	b.table.add("durable updates, 64 writers", fmt.Sprintf("%.0f/s (n=5×1 s)", m["updates/s"]), fmt.Sprintf("raw embedded etcd %.0f/s", m["raw/s"]),
		fmt.Sprintf("%.2f ×", m["ratio"]), fmt.Sprintf("≥ %.0f/s or %.1f ×", perSecond, share), verdict(m["updates/s"] >= perSecond || m["ratio"] >= share))
	return nil
}

// metricsOf reads the figures of a benchmark from the output of `go test`.
func metricsOf(out, name string) map[string]float64 {
	if all := allMetricsOf(out, name); len(all) > 0 {
		return all[0]
	}
	return nil
}

// allMetricsOf reads those of each of its runs.
func allMetricsOf(out, name string) (all []map[string]float64) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != name && !strings.HasPrefix(fields[0], name+"-") {
			continue
		}
		m := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				m[fields[i+1]] = v
			}
		}
		all = append(all, m)
	}
	return all
}
