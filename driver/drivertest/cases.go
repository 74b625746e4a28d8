package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
)

func (s *suite) pull(t *testing.T) {
	if _, err := s.d.Image(t.Context(), s.ref); !errors.Is(err, driver.ErrImageNotFound) {
		t.Fatalf("Image before the pull: %v, want ErrImageNotFound", err)
	}
	var mu sync.Mutex
	var done, total int64
	im, err := s.d.Pull(t.Context(), driver.Pull{Ref: s.ref, PlainHTTP: true}, func(d, n int64) {
		mu.Lock()
		defer mu.Unlock()
		if d < done || d > n {
			t.Errorf("progress went from %d to %d of %d", done, d, n)
		}
		done, total = d, n
	})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if done == 0 || done != total {
		t.Errorf("the last progress was %d of %d", done, total)
	}
	mu.Unlock()
	if im.Ref != s.ref || !strings.HasPrefix(im.Digest, "sha256:") || im.Size <= 0 {
		t.Errorf("image %+v", im)
	}
	again, err := s.d.Image(t.Context(), s.ref)
	if err != nil || again.Digest != im.Digest {
		t.Errorf("Image after the pull: %+v, %v", again, err)
	}
	if _, err := s.d.Pull(t.Context(), driver.Pull{Ref: s.ref, PlainHTTP: true, Always: true}, nil); err != nil {
		t.Errorf("second pull: %v", err)
	}
	if _, err := s.d.Pull(t.Context(), driver.Pull{Ref: s.broken, PlainHTTP: true}, nil); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) removeImage(t *testing.T) {
	ref := s.reg.Push(t, "contract/removed:1", Busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}}))
	if _, err := s.d.Pull(t.Context(), driver.Pull{Ref: ref, PlainHTTP: true}, nil); err != nil {
		t.Fatal(err)
	}
	has := func() bool {
		list, err := s.d.Images(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list, func(im driver.Image) bool { return im.Ref == ref && im.Digest != "" })
	}
	if !has() {
		t.Error("a pulled image is not in Images")
	}
	s.create(t, driver.Spec{ID: "keeps", Image: ref})
	s.start(t, "keeps")
	for range 2 {
		if err := s.d.RemoveImage(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.d.Image(t.Context(), ref); !errors.Is(err, driver.ErrImageNotFound) || has() {
		t.Errorf("a removed image: %v", err)
	}
	if err := s.d.Create(t.Context(), driver.Spec{ID: "late", Image: ref}); !errors.Is(err, driver.ErrImageNotFound) {
		t.Errorf("create of a removed image: %v", err)
	}
	if c := s.must(t, "keeps"); c.State != driver.Running {
		t.Errorf("the container of a removed image: %+v", c)
	}
}

func (s *suite) pullErrors(t *testing.T) {
	for _, c := range []struct {
		ref  string
		want error
	}{
		{s.reg.Host + "/sim/fail-notfound:1", driver.ErrImageNotFound},
		{s.reg.Host + "/sim/fail-auth:1", driver.ErrAuth},
		{"127.0.0.1:1/sim/fail-unreachable:1", driver.ErrUnreachable},
	} {
		_, err := s.d.Pull(t.Context(), driver.Pull{Ref: c.ref, PlainHTTP: true}, nil)
		if !errors.Is(err, c.want) {
			t.Errorf("pull %s: %v, want %v", c.ref, err, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.ref) {
			t.Errorf("the error does not name %s: %v", c.ref, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.d.Pull(ctx, driver.Pull{Ref: s.reg.Host + "/sim/pull-1m:1", PlainHTTP: true}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled pull: %v", err)
	}
}

func (s *suite) lifecycle(t *testing.T) {
	begin := time.Now().Add(-time.Second)
	log := filepath.Join(t.TempDir(), "logs", "out.log")
	s.create(t, driver.Spec{
		ID: "life.cycle--1", Labels: map[string]string{"task": "t1", "long": strings.Repeat("x", 5000)},
		Command: []string{"sh", "-c", "sleep 0.2; exit 3"}, LogPath: log, CgroupParent: "task1",
	})
	c := s.must(t, "life.cycle--1")
	if c.State != driver.Created || c.Pid != 0 || c.Labels["task"] != "t1" || len(c.Labels["long"]) != 5000 || c.Image != s.ref || c.LogPath != log {
		t.Errorf("created: %+v", c)
	}
	if c.CreatedAt.Before(begin) || !c.StartedAt.IsZero() || !c.FinishedAt.IsZero() {
		t.Errorf("times of a created container: %+v", c)
	}
	pid := s.start(t, "life.cycle--1")
	if c = s.must(t, "life.cycle--1"); pid <= 0 || c.State == driver.Running && c.Pid != pid || c.StartedAt.Before(c.CreatedAt.Add(-time.Second)) {
		t.Errorf("started with pid %d: %+v", pid, c)
	}
	e := s.exits.wait(t, "life.cycle--1")
	if e.Code != 3 || e.OOMKilled || e.At.Before(c.StartedAt) {
		t.Errorf("exit: %+v of %+v", e, c)
	}
	c = s.must(t, "life.cycle--1")
	if c.State != driver.Exited || c.ExitCode != 3 || c.Pid != 0 || c.FinishedAt.Before(c.StartedAt) {
		t.Errorf("exited: %+v", c)
	}
	if err := s.d.Delete(t.Context(), "life.cycle--1"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.get(t, "life.cycle--1"); ok {
		t.Error("a deleted container is in List")
	}
	if err := s.d.Delete(t.Context(), "life.cycle--1"); err != nil {
		t.Errorf("second delete: %v", err)
	}
	if n := len(s.exits.of("life.cycle--1")); n != 1 {
		t.Errorf("%d exits were delivered", n)
	}
}

func (s *suite) exitCodes(t *testing.T) {
	for i, c := range []struct {
		script string
		signal syscall.Signal
		want   int
	}{
		{"exit 0", 0, 0},
		{"sleep 0.1; exit 42", 0, 42},
		{"sleep 3600", syscall.SIGKILL, 137},
		{`trap "exit 7" TERM; sleep 3600 & wait`, syscall.SIGTERM, 7},
	} {
		id := fmt.Sprintf("exit-code-%d", i)
		s.run(t, id, c.script)
		if c.signal != 0 {
			// A shell needs a moment to set its trap; until then TERM is
			// ignored, because it is the first process.
			Eventually(t, "the end of "+id, func() bool {
				if err := s.d.Signal(t.Context(), id, c.signal); err != nil && !errors.Is(err, driver.ErrNotFound) {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
				return len(s.exits.of(id)) > 0
			})
		}
		if e := s.exits.wait(t, id); e.Code != c.want {
			t.Errorf("%q with signal %d: exit code %d, want %d", c.script, c.signal, e.Code, c.want)
		}
	}
}

func (s *suite) misuse(t *testing.T) {
	ctx := t.Context()
	want := func(what string, err, kind error) {
		t.Helper()
		if err == nil || kind != nil && !errors.Is(err, kind) {
			t.Errorf("%s: %v, want %v", what, err, kind)
		}
	}
	_, err := s.d.Start(ctx, "nobody")
	want("start of a missing container", err, driver.ErrNotFound)
	want("signal to a missing container", s.d.Signal(ctx, "nobody", syscall.SIGTERM), driver.ErrNotFound)
	_, err = s.d.Stats(ctx, "nobody")
	want("stats of a missing container", err, driver.ErrNotFound)
	_, err = s.d.Exec(ctx, "nobody", driver.Exec{Command: []string{"true"}})
	want("exec in a missing container", err, driver.ErrNotFound)
	want("create without image", s.d.Create(ctx, driver.Spec{ID: "x", Image: s.reg.Host + "/none/none:1"}), driver.ErrImageNotFound)
	for _, id := range []string{"", "a/b", "..", "a b", strings.Repeat("x", 77)} {
		want(fmt.Sprintf("create with id %q", id), s.d.Create(ctx, driver.Spec{ID: id, Image: s.ref}), nil)
	}

	s.create(t, driver.Spec{ID: "misused", Command: []string{"sleep", "3600"}})
	want("second create", s.d.Create(ctx, driver.Spec{ID: "misused", Image: s.ref}), nil)
	want("signal to a created container", s.d.Signal(ctx, "misused", syscall.SIGTERM), driver.ErrNotFound)
	_, err = s.d.Exec(ctx, "misused", driver.Exec{Command: []string{"true"}})
	want("exec in a created container", err, driver.ErrNotFound)
	s.start(t, "misused")
	_, err = s.d.Start(ctx, "misused")
	want("second start", err, nil)
	if err := s.d.Signal(ctx, "misused", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.exits.wait(t, "misused")
	want("signal to an ended container", s.d.Signal(ctx, "misused", syscall.SIGTERM), driver.ErrNotFound)
	_, err = s.d.Start(ctx, "misused")
	want("start of an ended container", err, nil)
}

func (s *suite) brokenCommand(t *testing.T) {
	s.create(t, driver.Spec{ID: "broken", Image: s.broken})
	for range 2 { // a failed start leaves it created
		if _, err := s.d.Start(t.Context(), "broken"); !errors.Is(err, driver.ErrCommand) {
			t.Fatalf("start: %v, want ErrCommand", err)
		}
		if c := s.must(t, "broken"); c.State != driver.Created || !c.StartedAt.IsZero() {
			t.Errorf("after a failed start: %+v", c)
		}
	}
	if n := len(s.exits.of("broken")); n != 0 {
		t.Errorf("%d exits of a container that never ran", n)
	}
}

func (s *suite) deleteKills(t *testing.T) {
	s.run(t, "doomed", "sleep 3600")
	if err := s.d.Delete(t.Context(), "doomed"); err != nil {
		t.Fatal(err)
	}
	if e := s.exits.wait(t, "doomed"); e.Code != 137 {
		t.Errorf("exit %+v, want 137", e)
	}
	s.run(t, "doomed", "exit 5") // the name is free again
	Eventually(t, "the second exit", func() bool { return len(s.exits.of("doomed")) == 2 })
	if e := s.exits.of("doomed")[1]; e.Code != 5 {
		t.Errorf("exit %+v, want 5", e)
	}
}

func (s *suite) logFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "out.log")
	s.create(t, driver.Spec{ID: "talker", Command: []string{"sh", "-c", "echo hello; exit 0"}, LogPath: log})
	if b, err := os.ReadFile(log); err != nil || len(b) != 0 {
		t.Errorf("log file of a created container: %q, %v", b, err)
	}
	s.start(t, "talker")
	s.exits.wait(t, "talker")
	Eventually(t, "the output", func() bool {
		b, _ := os.ReadFile(log)
		return string(b) == "hello\n"
	})
	if err := s.d.Delete(t.Context(), "talker"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(log); err != nil {
		t.Errorf("the log file belongs to the caller: %v", err)
	}
}

func (s *suite) stats(t *testing.T) {
	s.create(t, driver.Spec{ID: "measured", Command: []string{"sleep", "3600"}, Memory: 64 << 20, CPUShares: 256})
	s.start(t, "measured")
	st, err := s.d.Stats(t.Context(), "measured")
	if err != nil {
		t.Fatal(err)
	}
	if time.Since(st.At) > time.Minute || st.MemoryLimit != 64<<20 || st.MemoryBytes > st.MemoryLimit || st.Pids != 1 {
		t.Errorf("stats %+v", st)
	}
}

func (s *suite) exec(t *testing.T) {
	s.run(t, "host", "sleep 3600")
	var out bytes.Buffer
	code, err := s.d.Exec(t.Context(), "host", driver.Exec{Command: []string{"sh", "-c", "echo inside; exit 9"}, Stdout: &out})
	if err != nil || code != 9 || out.String() != "inside\n" {
		t.Errorf("exec: code %d, %v, output %q", code, err, out.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := s.d.Exec(ctx, "host", driver.Exec{Command: []string{"sleep", "60"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("exec past its deadline: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a cancelled exec took %v", took)
	}
	if c := s.must(t, "host"); c.State != driver.Running {
		t.Errorf("after exec: %+v", c)
	}
	if len(s.exits.of("host")) != 0 {
		t.Error("the end of an exec was told as the container's")
	}
}

func (s *suite) atOnce(t *testing.T) {
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := fmt.Sprintf("many-%d", i)
			if _, err := s.d.Pull(t.Context(), driver.Pull{Ref: s.ref, PlainHTTP: true, Always: true}, nil); err != nil {
				t.Error(err)
			}
			err := s.d.Create(t.Context(), driver.Spec{ID: id, Image: s.ref, Command: []string{"sh", "-c", fmt.Sprintf("exit %d", i)}, CgroupParent: "shared", ParentMemory: 512 << 20, ParentCPUQuota: 1024})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.d.Start(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range n {
		id := fmt.Sprintf("many-%d", i)
		if e := s.exits.wait(t, id); e.Code != i {
			t.Errorf("%s: exit %+v", id, e)
		}
		wg.Go(func() {
			if err := s.d.Delete(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := s.d.List(t.Context())
	if err != nil || slices.ContainsFunc(list, func(c driver.Container) bool { return strings.HasPrefix(c.ID, "many-") }) {
		t.Errorf("after deletion: %v, %v", list, err)
	}
}

func (s *suite) reopened(t *testing.T) {
	s.create(t, driver.Spec{ID: "waiting", Command: []string{"sh", "-c", "exit 11"}})
	s.run(t, "ended", "exit 12")
	s.exits.wait(t, "ended")
	s.run(t, "short", "sleep 0.6; exit 13")
	s.run(t, "long", `sleep 1.5; exit 14`)
	before := s.must(t, "long")
	if err := s.d.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(900 * time.Millisecond) // "short" ends while nobody is there
	s.reopen(t)

	if c := s.must(t, "waiting"); c.State != driver.Created {
		t.Errorf("created: %+v", c)
	}
	if c := s.must(t, "ended"); c.State != driver.Exited || c.ExitCode != 12 || c.FinishedAt.IsZero() {
		t.Errorf("ended before: %+v", c)
	}
	if c := s.must(t, "short"); c.State != driver.Exited || c.ExitCode != 13 || c.FinishedAt.Before(c.StartedAt) {
		t.Errorf("ended while away: %+v", c)
	}
	if c := s.must(t, "long"); c.State == driver.Running && (c.Pid != before.Pid || !c.StartedAt.Equal(before.StartedAt)) {
		t.Errorf("running: %+v, was %+v", c, before)
	}
	if e := s.exits.wait(t, "long"); e.Code != 14 {
		t.Errorf("exit %+v, want 14", e)
	}
	s.start(t, "waiting")
	if e := s.exits.wait(t, "waiting"); e.Code != 11 {
		t.Errorf("exit %+v, want 11", e)
	}
	for _, id := range []string{"ended", "short"} {
		if n := len(s.exits.of(id)); n != 0 {
			t.Errorf("%d exits of %s, which is in List", n, id)
		}
	}
	if _, err := s.d.Image(t.Context(), s.ref); err != nil {
		t.Errorf("the image is gone: %v", err)
	}
}

func (s *suite) close(t *testing.T) {
	if err := s.d.Close(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "Exits to be closed", func() bool {
		s.exits.mu.Lock()
		defer s.exits.mu.Unlock()
		return s.exits.closed
	})
	if err := s.d.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	s.reopen(t) // for the cleanups
}
