package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// claim says which process a data directory belongs to. A pid may be another
// process's by now, which has begun at another time, and means nothing in
// another pid namespace.
type claim struct {
	Pid       int
	Began     string // as in /proc/PID/stat
	Namespace string
	DataDir   string // absolute
}

func (p paths) claim() string { return filepath.Join(p.run, "claim") }

// Claim is for tests and benchmarks, before they open a Driver or run dhow over
// a data directory. A private containerd outlives its Driver on purpose, so
// that a test run that is killed leaves it behind, with nobody to purge it.
// Claim marks the directory as this process's, until a Purge, and removes what
// claimers that are dead have left: daemon, shims, containers, mounts, control
// groups and files. It returns their data directories, for what others than
// the Driver have left of them. What was not claimed it does not touch.
func Claim(dataDir string) (dead []string, err error) {
	dead, err = sweepClaims()
	if err != nil {
		return dead, err
	}
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return dead, err
	}
	p, err := pathsOf(dataDir)
	if err != nil {
		return dead, err
	}
	if err := os.MkdirAll(p.run, 0o711); err != nil {
		return dead, err
	}
	c := claim{Pid: os.Getpid(), DataDir: filepath.Dir(p.data)}
	if c.Began, err = began(c.Pid); err != nil {
		return dead, err
	}
	if c.Namespace, err = os.Readlink("/proc/self/ns/pid"); err != nil {
		return dead, err
	}
	b, err := json.Marshal(c)
	if err != nil {
		return dead, err
	}
	return dead, os.WriteFile(p.claim(), b, 0o600)
}

// began is when a process began, in the kernel's own measure.
func began(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name, in parentheses, may have anything in it.
	_, after, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat is %q", pid, b)
	}
	return fields[19], nil
}

// dead reports whether the claimer has ended.
func (c claim) dead() bool {
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != c.Namespace {
		return false
	}
	at, err := began(c.Pid)
	return errors.Is(err, os.ErrNotExist) || err == nil && at != c.Began
}

func sweepClaims() (dead []string, err error) {
	files, err := filepath.Glob("/run/dhow-*/d/claim")
	for _, file := range files {
		dir, serr := sweepClaim(file)
		if err = errors.Join(err, serr); dir != "" {
			dead = append(dead, dir)
		}
	}
	return dead, err
}

// sweepClaim removes what is left of a claim's directory if its claimer is
// dead, and returns the directory.
func sweepClaim(file string) (dir string, err error) {
	c, ok := readClaim(file)
	if !ok || !c.dead() {
		return "", nil
	}
	p, err := pathsOf(c.DataDir)
	if err != nil || p.claim() != file { // a directory above it may have been a link
		return "", err
	}
	lock, err := lockFile(filepath.Join(p.run, "lock"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // somebody was quicker
	}
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if c, ok := readClaim(file); !ok || !c.dead() {
		return "", nil
	}
	if err := p.sweep(); err != nil {
		return "", fmt.Errorf("remove what a killed test run has left of %s: %w", c.DataDir, err)
	}
	return c.DataDir, nil
}

func readClaim(file string) (c claim, ok bool) {
	b, err := os.ReadFile(file)
	return c, err == nil && json.Unmarshal(b, &c) == nil && c.Pid > 0 && filepath.IsAbs(c.DataDir)
}

// sweep is Purge without a containerd to ask: first the daemon, that it starts
// nothing any more, then all processes, then what they held.
func (p paths) sweep() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	groups, err := findCgroups()
	if err != nil {
		return err
	}
	if pid, ok := privatePid(p); ok {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	for _, pid := range p.shims() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	// Containers are in the group too, and go when nobody can start them again.
	if err := groups.purge(ctx, p.cgroup()); err != nil {
		return err
	}
	return errors.Join(p.endShims(ctx), p.unloadApparmor(), p.removeAll())
}
