package main

import (
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{nil, 0.5, 0},
		{[]float64{3}, 0.99, 3},
		{[]float64{5, 1, 3}, 0.5, 3},
		{[]float64{4, 3, 2, 1}, 1, 4},
		{[]float64{4, 3, 2, 1}, 0, 1},
	} {
		if got := quantile(c.values, c.q); got != c.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.values, c.q, got, c.want)
		}
	}
	if got := ratios([]time.Duration{30, 8}, []time.Duration{20, 16}); got[0] != 1.5 || got[1] != 0.5 {
		t.Errorf("ratios are %v", got)
	}
}

// TestWrkOutput reads what wrk prints; calls that failed must not count as fast.
func TestWrkOutput(t *testing.T) {
	const good = "Running 3s test @ http://127.0.0.1:4700/\n  43110 requests in 3.01s, 60.12MB read\nRequests/sec:  14322.52\nTransfer/sec:     19.97MB\n"
	if got, err := parseWrk(good); err != nil || got != 14322.52 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{
		"unable to connect to 127.0.0.1:4700 Connection refused\n",
		strings.Replace(good, "Requests/sec", "  Non-2xx or 3xx responses: 43110\nRequests/sec", 1),
		strings.Replace(good, "Requests/sec", "  Socket errors: connect 0, read 4, write 0, timeout 0\nRequests/sec", 1),
		strings.Replace(good, "14322.52", "0.00", 1),
	} {
		if got, err := parseWrk(bad); err == nil {
			t.Errorf("took %v from %q", got, bad)
		}
	}
}

// TestStoreOutput reads the line of `go test -bench`.
func TestStoreOutput(t *testing.T) {
	const line = "BenchmarkUpdate-2   \t1\t 0 ns/op\t 18.02 raw-cpu-µs\t 0.93 ratio\t 51234 raw/s\t 20.1 update-cpu-µs\t 30.5 updates/batch\t 47700 updates/s\n"
	got := metricsOf("goos: linux\n"+line+"PASS\n", "BenchmarkUpdate")
	if got["ratio"] != 0.93 || got["updates/s"] != 47700 || got["raw/s"] != 51234 {
		t.Errorf("got %v", got)
	}
	if got := metricsOf(line, "BenchmarkOther"); len(got) != 0 {
		t.Errorf("got %v of another benchmark", got)
	}
}

// TestStat reads a process whose name is made to mislead.
func TestStat(t *testing.T) {
	got, err := parseStat("42 (a) R 9 (b) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 7 8 20 0 9 0 100 1000 10\n")
	if err != nil || got != 1750*time.Millisecond {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "42 (a) S 1 2", "42 (a) S 1 42 42 0 -1 4194560 100 0 0 0 x 25 7 8"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

// TestOrders holds that messages are of their size, differ, and are the same ones
// in each run.
func TestOrders(t *testing.T) {
	list, again := orders(200, 1024), orders(200, 1024)
	seen := map[string]bool{}
	for i, text := range list {
		if len(text) != 1024 || text != again[i] || seen[text] {
			t.Errorf("message %d: %q", i, text)
		}
		seen[text] = true
	}
}
