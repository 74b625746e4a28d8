package containerd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// needContainers skips where containers cannot run, and fails there under CI
// if the programs are installed.
func needContainers(t testing.TB) {
	t.Helper()
	problems := Check()
	if len(problems) == 0 {
		return
	}
	if os.Getenv("CI") == "true" && lookPath("containerd") != "" && lookPath("runc") != "" {
		t.Fatal(problems[0])
	}
	t.Skip("containers cannot run here: ", problems[0])
}

// openTest opens a Driver over a private containerd and purges it after the
// test.
func openTest(t testing.TB, cfg Config) *Driver {
	t.Helper()
	needContainers(t)
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	cfg.Private = true
	claimDir(t, cfg.DataDir)
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reopenAndPurge(t, cfg.DataDir) })
	t.Cleanup(func() { d.Close() })
	return d
}

func claimDir(t testing.TB, dir string) {
	t.Helper()
	if _, err := Claim(dir); err != nil {
		t.Fatal(err)
	}
}

// reopenAndPurge removes all of a data directory, whatever state its last
// Driver is in, and checks that nothing is left on the machine.
func reopenAndPurge(t testing.TB, dataDir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := Open(ctx, Config{DataDir: dataDir, Private: true})
	if err != nil {
		t.Errorf("open to purge: %v", err)
		return
	}
	if err := d.Purge(ctx); err != nil {
		t.Errorf("purge: %v", err)
	}
	for _, left := range leftovers(d.paths, d.host.cgroups) {
		t.Errorf("left after Purge: %s", left)
	}
}

// leftovers looks for mounts, processes, cgroups and directories of a data
// directory.
func leftovers(p paths, c cgroups) (out []string) {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, p.hash) || strings.Contains(line, p.data) {
			out = append(out, "mount "+line)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range procs {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), "dhow-"+p.hash) {
			out = append(out, "process "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	for _, dir := range append(c.dirs(p.cgroup()), p.run, p.data) {
		if _, err := os.Stat(dir); err == nil {
			out = append(out, dir)
		}
	}
	return out
}
