// Package drivertest is the contract that every driver.Driver passes, and the
// images that its tests need: built here from the machine's busybox and
// served from this process, so that no test needs the internet.
package drivertest

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
)

const goarch = runtime.GOARCH

// Open opens the driver under test over a directory. Opening a directory
// again after Close must find its containers. What it leaves behind must be
// removed by a cleanup of t.
type Open func(t *testing.T, dir string) driver.Driver

// Run checks a Driver against the contract.
func Run(t *testing.T, open Open) {
	s := &suite{open: open, dir: t.TempDir(), reg: NewRegistry(t)}
	s.reg.Guard(func(r *http.Request) bool { return !strings.Contains(r.URL.Path, "/sim/fail-auth/") })
	s.ref = s.reg.Push(t, "contract/busybox:1", Busybox(t, v1.Config{Env: []string{"PATH=/bin", "IMAGE=yes"}}))
	s.broken = s.reg.Push(t, "sim/fail-command:1", Busybox(t, v1.Config{Entrypoint: []string{"/not-there"}}))
	s.reopen(t)
	t.Cleanup(func() { s.d.Close() })

	t.Run("pull", s.pull)
	t.Run("pull errors", s.pullErrors)
	t.Run("remove image", s.removeImage)
	t.Run("lifecycle", s.lifecycle)
	t.Run("exit codes", s.exitCodes)
	t.Run("misuse", s.misuse)
	t.Run("broken command", s.brokenCommand)
	t.Run("delete kills", s.deleteKills)
	t.Run("log file", s.logFile)
	t.Run("stats", s.stats)
	t.Run("exec", s.exec)
	t.Run("at once", s.atOnce)
	t.Run("reopen", s.reopened)
	t.Run("close", s.close)
}

type suite struct {
	open   Open
	dir    string
	reg    *Registry
	ref    string // busybox
	broken string // an image whose entry point is not there

	d     driver.Driver
	exits *exits
}

func (s *suite) reopen(t *testing.T) {
	t.Helper()
	s.d = s.open(t, s.dir)
	s.exits = collect(s.d)
}

// exits gathers a Driver's exits by container.
type exits struct {
	mu     sync.Mutex
	byID   map[string][]driver.Exit
	closed bool
}

func collect(d driver.Driver) *exits {
	e := &exits{byID: map[string][]driver.Exit{}}
	go func() {
		for x := range d.Exits() {
			e.mu.Lock()
			e.byID[x.ID] = append(e.byID[x.ID], x)
			e.mu.Unlock()
		}
		e.mu.Lock()
		e.closed = true
		e.mu.Unlock()
	}()
	return e
}

func (e *exits) of(id string) []driver.Exit {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byID[id]
}

// wait returns the one exit of a container.
func (e *exits) wait(t *testing.T, id string) driver.Exit {
	t.Helper()
	Eventually(t, "an exit of "+id, func() bool { return len(e.of(id)) > 0 })
	return e.of(id)[0]
}

// Eventually polls until ok, and fails the test after a minute.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// create creates a container of the busybox image that is deleted after t.
func (s *suite) create(t *testing.T, spec driver.Spec) {
	t.Helper()
	if spec.Image == "" {
		spec.Image = s.ref
	}
	if err := s.d.Create(t.Context(), spec); err != nil {
		t.Fatalf("create %s: %v", spec.ID, err)
	}
	t.Cleanup(func() {
		if err := s.d.Delete(context.Background(), spec.ID); err != nil {
			t.Errorf("delete %s: %v", spec.ID, err)
		}
	})
}

func (s *suite) start(t *testing.T, id string) int {
	t.Helper()
	pid, err := s.d.Start(t.Context(), id)
	if err != nil {
		t.Fatalf("start %s: %v", id, err)
	}
	return pid
}

// run creates and starts a shell script.
func (s *suite) run(t *testing.T, id, script string) {
	t.Helper()
	s.create(t, driver.Spec{ID: id, Command: []string{"sh", "-c", script}})
	s.start(t, id)
}

// get finds a container in List.
func (s *suite) get(t *testing.T, id string) (driver.Container, bool) {
	t.Helper()
	list, err := s.d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.ID == id {
			return c, true
		}
	}
	return driver.Container{}, false
}

func (s *suite) must(t *testing.T, id string) driver.Container {
	t.Helper()
	c, ok := s.get(t, id)
	if !ok {
		t.Fatalf("container %s is not in List", id)
	}
	return c
}
