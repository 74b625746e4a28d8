package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measureIdle measures what the platform's process takes while 20 tasks run
// and nobody calls.
func measureIdle(ctx context.Context, b *bench) error {
	const (
		span     = 20 * time.Second
		memory   = 150.0 // MiB
		cpuShare = 0.02  // of a core
	)
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	arns, _, err := p.startTasks(ctx, burst)
	if err != nil {
		return err
	}
	if err := sleep(ctx, 5*time.Second); err != nil { // what the starts left to do is not idleness
		return err
	}
	pid := p.cmd.Process.Pid
	before, err := cpuTime(pid)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := sleep(ctx, span); err != nil {
		return err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return err
	}
	used := (after - before).Seconds() / time.Since(began).Seconds()
	mib, err := resident(pid)
	if err != nil {
		return err
	}
	b.table.add(fmt.Sprintf("resident, %d tasks", burst), fmt.Sprintf("%.0f MiB", mib), "containerd and shims: "+containerdMemory(p.dir), fmt.Sprintf("%.0f MiB", mib), fmt.Sprintf("≤ %.0f MiB", memory), verdict(mib <= memory))
	b.table.add(fmt.Sprintf("processor, %d idle tasks", burst), fmt.Sprintf("%.2f %% of a core (over %.0f s)", used*100, span.Seconds()), "", fmt.Sprintf("%.2f %%", used*100), fmt.Sprintf("≤ %.0f %%", cpuShare*100), verdict(used <= cpuShare))
	return p.stopTasks(ctx, arns...)
}

// cpuTime is the processor time that a process has used, ended threads
// included, from /proc/PID/stat. Linux counts it in ticks of 10 ms there.
func cpuTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(data))
}

func parseStat(stat string) (time.Duration, error) {
	// The name, in parentheses, may hold spaces and parentheses itself.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has an unknown form: %q", stat)
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime, the 14th and 15th of all
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// resident is VmRSS in MiB.
func resident(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS: it has ended", pid)
}

// containerdMemory is what the private containerd and its shims have resident;
// pages that they share are counted for each.
func containerdMemory(dir string) string {
	socket, err := os.ReadFile(filepath.Join(dir, "driver", "runtime"))
	if err != nil {
		return "unknown"
	}
	run := filepath.Dir(strings.TrimSpace(string(socket)))
	var sum float64
	n := 0
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range all {
		args, err := os.ReadFile(f)
		if err != nil || !strings.Contains(string(args), run) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			continue
		}
		if mib, err := resident(pid); err == nil {
			sum, n = sum+mib, n+1
		}
	}
	return fmt.Sprintf("%.0f MiB in %d processes", sum, n)
}
