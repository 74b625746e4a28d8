package sim

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

func TestContract(t *testing.T) {
	drivertest.Run(t, func(t *testing.T, dir string) driver.Driver {
		d, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

// launch pulls, creates and starts a container and returns its driver.
func launch(t *testing.T, d *Driver, s driver.Spec) {
	t.Helper()
	if _, err := d.Pull(t.Context(), driver.Pull{Ref: s.Image}, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
}

func TestTimings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Pull: 2 * time.Second, Create: 5 * time.Millisecond, Start: 50 * time.Millisecond, Stop: 3 * time.Second, Delete: 40 * time.Millisecond}
		d := New(cfg)
		defer d.Close()
		took := func(want time.Duration, what string, fn func() error) {
			t.Helper()
			begin := time.Now()
			if err := fn(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if got := time.Since(begin); got != want {
				t.Errorf("%s took %v, want %v", what, got, want)
			}
		}
		pull := func(ref string) func() error {
			return func() error { _, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, nil); return err }
		}
		took(2*time.Second, "a pull", pull("app:1"))
		took(0, "a second pull", pull("app:1"))
		took(7*time.Second, "a slow image", pull("x/sim/pull-7s:1"))
		took(5*time.Millisecond, "a create", func() error { return d.Create(t.Context(), driver.Spec{ID: "a", Image: "app:1"}) })
		took(50*time.Millisecond, "a start", func() error { _, err := d.Start(t.Context(), "a"); return err })
		if err := d.Signal(t.Context(), "a", syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		took(3*time.Second, "an exit after TERM", func() error {
			if e := <-d.Exits(); e.Code != 143 {
				t.Errorf("exit %+v", e)
			}
			return nil
		})
		took(40*time.Millisecond, "a delete", func() error { return d.Delete(t.Context(), "a") })
	})
}

func TestBehaviours(t *testing.T) {
	for _, c := range []struct {
		image   string
		command []string
		after   time.Duration
		want    driver.Exit
	}{
		{"sim/exit-3:1", nil, 0, driver.Exit{Code: 3}},
		{"reg.example:5000/team/sim/exit-1-after-5s:v1", nil, 5 * time.Second, driver.Exit{Code: 1}},
		{"sim/after-1m30s", nil, 90 * time.Second, driver.Exit{}},
		{"sim/oom-10s@sha256:00", nil, 10 * time.Second, driver.Exit{Code: 137, OOMKilled: true}},
		{"sim/exit-1", sh("sleep 2; exit 9"), 2 * time.Second, driver.Exit{Code: 9}},
		{"nginx", sh("echo hi && sleep 1m"), time.Minute, driver.Exit{}},
		{"nginx", []string{"/bin/false"}, 0, driver.Exit{Code: 1}},
		{"nginx", []string{"sleep", "0.5"}, 500 * time.Millisecond, driver.Exit{}},
		{"nginx", sh("true\nexit 4\nsleep 9"), 0, driver.Exit{Code: 4}},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := New(Config{})
			defer d.Close()
			launch(t, d, driver.Spec{ID: "c", Image: c.image, Command: c.command})
			begin := time.Now()
			e := <-d.Exits()
			if e.Code != c.want.Code || e.OOMKilled != c.want.OOMKilled || time.Since(begin) != c.after {
				t.Errorf("%s %v ended with %+v after %v, want %+v after %v", c.image, c.command, e, time.Since(begin), c.want, c.after)
			}
		})
	}
}

func sh(script string) []string { return []string{"sh", "-c", script} }

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		image, script string
		signal        syscall.Signal
		want          int // -1: it runs on
	}{
		{"app", "serve", syscall.SIGTERM, 143},
		{"app", "serve", syscall.SIGINT, 130},
		{"app", "serve", syscall.SIGUSR1, -1},
		{"app", "serve", syscall.SIGKILL, 137},
		{"app", `trap "exit 7" TERM; sleep infinity`, syscall.SIGTERM, 7},
		{"app", `trap '' TERM; sleep infinity`, syscall.SIGTERM, -1},
		{"sim/stop-never", "serve", syscall.SIGTERM, -1},
		{"sim/stop-never", "serve", syscall.SIGKILL, 137},
		{"sim/stop-4s", "serve", syscall.SIGTERM, 143},
		{"sim/stop-4s", "sleep 1", syscall.SIGTERM, 0}, // ends by itself before
	} {
		synctest.Test(t, func(t *testing.T) {
			d := New(Config{})
			defer d.Close()
			launch(t, d, driver.Spec{ID: "c", Image: c.image, Command: sh(c.script)})
			if err := d.Signal(t.Context(), "c", c.signal); err != nil {
				t.Fatal(err)
			}
			got := -1
			select {
			case e := <-d.Exits():
				got = e.Code
			case <-time.After(time.Hour):
			}
			if got != c.want {
				t.Errorf("%s %q after signal %d: %d, want %d", c.image, c.script, c.signal, got, c.want)
			}
		})
	}
}

func TestStatsAndExec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Config{})
		defer d.Close()
		launch(t, d, driver.Spec{ID: "c", Image: "sim/cpu-50-mem-64-exec-1", Memory: 1 << 30})
		time.Sleep(10 * time.Second)
		s, err := d.Stats(t.Context(), "c")
		if err != nil || s.CPUNanos != uint64(5*time.Second) || s.MemoryBytes != 64<<20 || s.MemoryLimit != 1<<30 {
			t.Errorf("stats %+v, %v", s, err)
		}
		for _, e := range []struct {
			command []string
			code    int
			out     string
		}{
			{[]string{"curl", "-f", "http://localhost/"}, 1, ""},
			{sh("curl -f http://localhost/ || exit 1"), 1, ""},
			{sh("echo hi; exit 4"), 4, "hi\n"},
		} {
			var out bytes.Buffer
			code, err := d.Exec(t.Context(), "c", driver.Exec{Command: e.command, Stdout: &out})
			if err != nil || code != e.code || out.String() != e.out {
				t.Errorf("%v: %d, %q, %v", e.command, code, out.String(), err)
			}
		}
	})
}

func TestFailures(t *testing.T) {
	d := New(Config{Images: map[string]Behaviour{"mine:1": {Fail: "auth"}}})
	defer d.Close()
	for ref, want := range map[string]error{
		"sim/fail-notfound": driver.ErrImageNotFound, "sim/fail-auth": driver.ErrAuth, "sim/fail-unreachable": driver.ErrUnreachable, "mine:1": driver.ErrAuth,
	} {
		if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", ref, err, want)
		}
	}
	for _, ref := range []string{"sim/exit-999", "sim/after-soon", "sim/exit-1-colour-red", "sim/fail-whale"} {
		if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, nil); err == nil || !strings.Contains(err.Error(), ref) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for _, ref := range []string{"sim/web", "sim/my-app", "sim/a-b-c", "exit-1"} { // plain names
		b, err := parseImage(ref)
		if err != nil || b != (Behaviour{}) {
			t.Errorf("%s: %+v, %v", ref, b, err)
		}
	}
}

func TestParseCommand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want script
	}{
		{nil, script{}},
		{[]string{"nginx", "-g", "daemon off;"}, script{}},
		{[]string{"sleep", "1h"}, script{Known: true, Ends: true, After: time.Hour}},
		{[]string{"sleep", "infinity"}, script{Known: true}},
		{sh("exec nginx"), script{}},
		{sh("sleep 1; nginx"), script{Known: true, After: time.Second}},
		{sh(`echo "a; b" 'c'`), script{Known: true, Ends: true, Output: "a; b c\n"}},
		{sh("false; exit"), script{Known: true, Ends: true, Exit: 1}},
		{sh("trap 'exit 3' TERM INT; sleep 5 & wait"), script{Known: true, Ends: true, After: 5 * time.Second, Trapped: true, Trap: 3}},
	} {
		if got := parseCommand(c.args); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, want %+v", c.args, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("reg/sim/exit-1-after-5s:1", "sleep 1; exit 2")
	f.Add("sim/a-b@sha256:0", "trap '' TERM & 'x\"")
	f.Fuzz(func(t *testing.T, image, command string) {
		b, err := parseImage(image)
		if err == nil && (b.Exit < 0 || b.Exit > 255) {
			t.Errorf("%q exits with %d", image, b.Exit)
		}
		if s := parseCommand(sh(command)); s.Exit < 0 || s.Exit > 255 || s.Ends && !s.Known && s.Output != "" {
			t.Errorf("%q: %+v", command, s)
		}
	})
}

// TestReopenWorksOutThePast closes a driver and opens it hours later.
func TestReopenWorksOutThePast(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		open := func() *Driver {
			d, err := Open(Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		d := open()
		launch(t, d, driver.Spec{ID: "short", Image: "sim/exit-2-after-1m"})
		launch(t, d, driver.Spec{ID: "long", Image: "sim/exit-3-after-9h"})
		begin := time.Now()
		d.Close()
		time.Sleep(8 * time.Hour)
		d = open()
		defer d.Close()
		list, _ := d.List(t.Context())
		if len(list) != 2 || list[1].State != driver.Exited || list[1].ExitCode != 2 || !list[1].FinishedAt.Equal(begin.Add(time.Minute)) || list[0].State != driver.Running {
			t.Errorf("%+v", list)
		}
		if e := <-d.Exits(); e.ID != "long" || e.Code != 3 || !e.At.Equal(begin.Add(9*time.Hour)) || time.Since(begin) != 9*time.Hour {
			t.Errorf("%+v after %v", e, time.Since(begin))
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "containers", "bad.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("a damaged file was taken")
	}
}

// TestScale runs a hundred containers on each of many nodes from one heap,
// and checks that they cost no goroutines.
func TestScale(t *testing.T) {
	nodes := 300
	if testing.Short() {
		nodes = 100
	}
	synctest.Test(t, func(t *testing.T) {
		engine := NewEngine()
		before := runtime.NumGoroutine()
		var ds []*Driver
		for range nodes {
			d := New(Config{Engine: engine})
			ds = append(ds, d)
			for i := range 100 {
				launch(t, d, driver.Spec{ID: fmt.Sprint(i), Image: fmt.Sprintf("sim/exit-0-after-%dm", 1+i%7)})
			}
		}
		if n := runtime.NumGoroutine() - before; n > 2 {
			t.Errorf("%d containers have %d goroutines", nodes*100, n)
		}
		time.Sleep(time.Hour)
		total := 0
		for _, d := range ds {
			for range 100 {
				if e := <-d.Exits(); e.Code != 0 {
					t.Fatalf("%+v", e)
				}
				total++
			}
			d.Close()
		}
		if total != nodes*100 {
			t.Errorf("%d exits", total)
		}
	})
}

// BenchmarkContainer is the whole life of a simulated container.
func BenchmarkContainer(b *testing.B) {
	d := New(Config{})
	defer d.Close()
	go func() {
		for range d.Exits() {
		}
	}()
	if _, err := d.Pull(b.Context(), driver.Pull{Ref: "app"}, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Create(b.Context(), driver.Spec{ID: "c", Image: "app"}); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Start(b.Context(), "c"); err != nil {
			b.Fatal(err)
		}
		if err := d.Delete(b.Context(), "c"); err != nil {
			b.Fatal(err)
		}
	}
}
