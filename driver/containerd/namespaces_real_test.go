package containerd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

// start creates and starts a container that is deleted after the test.
func start(t testing.TB, d *Driver, s driver.Spec) int {
	t.Helper()
	if err := d.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	pid, err := d.Start(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func nsOf(t testing.TB, pid int, kind string) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func TestNamespaces(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}})
	self := os.Getpid()
	first := start(t, d, driver.Spec{ID: "first", Image: ref, IpcNS: "shareable", NetNS: fmt.Sprintf("/proc/%d/ns/net", self)})
	second := start(t, d, driver.Spec{ID: "second", Image: ref, PidNS: "container:first", IpcNS: "container:first"})
	hosted := start(t, d, driver.Spec{ID: "hosted", Image: ref, PidNS: "host", IpcNS: "host", UTSNS: "host"})
	for _, c := range []struct {
		what string
		a, b int
		kind string
		same bool
	}{
		{"own pid", first, self, "pid", false},
		{"own ipc", first, self, "ipc", false},
		{"own uts", first, self, "uts", false},
		{"own mnt", first, self, "mnt", false},
		{"given net", first, self, "net", true},
		{"the host's net", second, self, "net", true},
		{"joined pid", second, first, "pid", true},
		{"joined ipc", second, first, "ipc", true},
		{"the host's pid", hosted, self, "pid", true},
		{"the host's ipc", hosted, self, "ipc", true},
		{"the host's uts", hosted, self, "uts", true},
	} {
		if same := nsOf(t, c.a, c.kind) == nsOf(t, c.b, c.kind); same != c.same {
			t.Errorf("%s: same %v, want %v", c.what, same, c.same)
		}
	}
	if _, err := d.Exec(t.Context(), "first", driver.Exec{Command: sh("echo shared > /dev/shm/x")}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code, err := d.Exec(t.Context(), "second", driver.Exec{Command: []string{"cat", "/dev/shm/x"}, Stdout: &out}); code != 0 || err != nil || out.String() != "shared\n" {
		t.Errorf("/dev/shm of a joined IPC namespace: %q, code %d, %v", out.String(), code, err)
	}
	// A container with a shared pid namespace has more processes than its
	// first one dies with.
	if _, err := d.Exec(t.Context(), "hosted", driver.Exec{Command: sh("sleep 4000 >/dev/null 2>&1 &")}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"hosted", "second", "first"} {
		if err := d.Delete(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(d.paths.shm("first")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the shared /dev/shm is left: %v", err)
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range procs {
		if b, _ := os.ReadFile(f); string(b) == "sleep\x004000\x00" {
			t.Errorf("a process of a deleted container is left: %s", f)
		}
	}
}

func TestImageVolumes(t *testing.T) {
	d, ref := busybox(t, v1.Config{
		Volumes: map[string]struct{}{"/var/data": {}, "/home/app": {}, "/mounted": {}},
		Cmd:     sh("cat /var/data/seed /mounted/x; stat -c %u /home/app; echo more > /var/data/new"), User: "app",
	}, drivertest.File{Path: "var/data", Dir: true, Mode: 0o777, UID: 1000}, drivertest.File{Path: "var/data/seed", Mode: 0o644, Body: []byte("seeded\n"), UID: 1000})
	own := t.TempDir()
	if err := os.WriteFile(filepath.Join(own, "x"), []byte("own\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each container has volumes of its own
		out, e := result(t, d, driver.Spec{Image: ref, Mounts: []driver.Mount{{Type: "bind", Source: own, Target: "/mounted/"}}})
		if out != "seeded\nown\n1000\n" || e.Code != 0 {
			t.Errorf("output %q, exit %+v", out, e)
		}
	}
	if left := entries(filepath.Join(d.paths.data, "volumes")); len(left) != 0 {
		t.Errorf("volumes left: %v", left)
	}
}

// An empty volume gets what the image has at its place; one with something in
// it, and one of which nobody asks it, stay as they are.
func TestFilledVolumes(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: sh("cd /data && cat seed sub/deep; stat -c '%u %a' . seed; id -u > mine; ls -a"), User: "app"},
		drivertest.File{Path: "data", Dir: true, Mode: 0o750, UID: 1000}, drivertest.File{Path: "data/seed", Mode: 0o640, Body: []byte("seeded\n"), UID: 1000},
		drivertest.File{Path: "data/sub", Dir: true, Mode: 0o755, UID: 1000}, drivertest.File{Path: "data/sub/deep", Mode: 0o644, Body: []byte("deep\n")})
	dir := t.TempDir()
	for _, c := range []struct {
		name    string
		prepare func(dir string) error
		plain   bool // without Fill
		want    string
	}{
		{"new", func(dir string) error { return os.Remove(dir) }, false, "seeded\ndeep\n1000 750\n1000 640\n.\n..\nmine\nseed\nsub\n"},
		{"empty", func(dir string) error { return nil }, false, "seeded\ndeep\n1000 750\n1000 640\n.\n..\nmine\nseed\nsub\n"},
		{"broken off", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/half", nil, 0o644), os.WriteFile(filling(dir), nil, 0o644))
		}, false, "seeded\ndeep\n1000 750\n1000 640\n.\n..\nmine\nseed\nsub\n"},
		{"in use", func(dir string) error { return os.WriteFile(dir+"/other", nil, 0o644) }, false, ".\n..\nmine\nother\n"},
		{"plain", func(dir string) error { return nil }, true, ".\n..\nmine\n"},
	} {
		source := filepath.Join(dir, c.name)
		if err := errors.Join(os.Mkdir(source, 0o777), os.Chmod(source, 0o777), c.prepare(source)); err != nil {
			t.Fatal(err)
		}
		cmd := sh("cd /data && cat seed sub/deep 2>/dev/null && stat -c '%u %a' . seed; id -u > mine; ls -a")
		out, e := result(t, d, driver.Spec{Image: ref, Command: cmd, Mounts: []driver.Mount{{Type: "bind", Source: source, Target: "/data", Fill: !c.plain}}})
		if out != c.want || e.Code != 0 {
			t.Errorf("%s: output %q, exit %+v, want %q", c.name, out, e, c.want)
		}
	}
	if left, _ := filepath.Glob(dir + "/*~*"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	err := d.Create(t.Context(), driver.Spec{ID: "file", Image: ref, Mounts: []driver.Mount{{Type: "bind", Source: t.TempDir(), Target: "/data/seed", Fill: true}}})
	if err == nil || !strings.Contains(err.Error(), "/data/seed") {
		t.Errorf("a volume over a file: %v", err)
	}
}

// Containers that share a volume and start at once all find it filled.
func TestFilledOnce(t *testing.T) {
	var files []drivertest.File
	files = append(files, drivertest.File{Path: "data", Dir: true, Mode: 0o755})
	for i := range 200 {
		files = append(files, drivertest.File{Path: fmt.Sprintf("data/f%d", i), Mode: 0o644, Body: []byte("x")})
	}
	d, ref := busybox(t, v1.Config{Cmd: sh("ls /data | wc -l")}, files...)
	source := t.TempDir()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if err := d.Create(t.Context(), driver.Spec{ID: fmt.Sprint("c", i), Image: ref, LogPath: filepath.Join(t.TempDir(), "log"),
				Mounts: []driver.Mount{{Type: "bind", Source: source, Target: "/data", Fill: true}}}); err != nil {
				t.Error(err)
			}
			if n := len(entries(source)); n != 200 {
				t.Errorf("container %d sees %d files", i, n)
			}
		})
	}
	all.Wait()
}

func TestStdinStaysOpen(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"cat"}})
	start(t, d, driver.Spec{ID: "open", Image: ref, Stdin: true})
	start(t, d, driver.Spec{ID: "closed", Image: ref})
	if e := <-d.Exits(); e.ID != "closed" {
		t.Fatalf("%s ended, its input is not open", e.ID)
	}
	list, _ := d.List(t.Context())
	for _, c := range list {
		if c.ID == "open" && c.State != driver.Running {
			t.Errorf("%+v", c)
		}
	}
	if err := d.Delete(t.Context(), "open"); err != nil {
		t.Fatal(err)
	}
	if left := entries(filepath.Join(d.paths.run, "io")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestOOM(t *testing.T) {
	d, ref := busybox(t, v1.Config{})
	_, e := result(t, d, driver.Spec{Image: ref, Memory: 16 << 20, Command: []string{"awk", `BEGIN { s = "x"; while (1) s = s s }`}})
	if e.Code != 137 || !e.OOMKilled {
		t.Errorf("killed by its own limit: %+v", e)
	}
	_, e = result(t, d, driver.Spec{Image: ref, CgroupParent: "task-oom", ParentMemory: 16 << 20, Command: []string{"awk", `BEGIN { s = "x"; while (1) s = s s }`}})
	if e.Code != 137 || !e.OOMKilled {
		t.Errorf("killed by the task's limit: %+v", e)
	}
	_, e = result(t, d, driver.Spec{Image: ref, Memory: 16 << 20, Command: sh("kill -9 $$; sleep 9 & kill -9 $!; exit 137")})
	if e.Code != 137 || e.OOMKilled {
		t.Errorf("killed by a signal: %+v", e)
	}
}

func TestTaskCgroup(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}})
	for _, id := range []string{"a", "b"} {
		start(t, d, driver.Spec{ID: id, Image: ref, CPUShares: 128, CgroupParent: "0123abcd", ParentCPUQuota: 512, ParentMemory: 128 << 20})
	}
	parent := d.paths.cgroup() + "/0123abcd"
	if c := d.host.cgroups; c.unified == "" {
		if q := readInt(filepath.Join(c.v1["cpu"], parent, "cpu.cfs_quota_us")); q != 50_000 {
			t.Errorf("the task's quota is %d µs", q)
		}
		if m := readInt(filepath.Join(c.v1["memory"], parent, "memory.limit_in_bytes")); m != 128<<20 {
			t.Errorf("the task's memory limit is %d", m)
		}
		if s := readInt(filepath.Join(c.v1["cpu"], parent, "a", "cpu.shares")); s != 128 {
			t.Errorf("the container's shares are %d", s)
		}
	} else if m := readInt(filepath.Join(c.unified, parent, "memory.max")); m != 128<<20 {
		t.Errorf("the task's memory limit is %d", m)
	}
	st, err := d.Stats(t.Context(), "a")
	if err != nil || st.MemoryLimit != 128<<20 {
		t.Errorf("a container without limit shows its task's: %+v, %v", st, err)
	}
	exists := func() (n int) {
		for _, dir := range d.host.cgroups.dirs(parent) {
			if _, err := os.Stat(dir); err == nil {
				n++
			}
		}
		return n
	}
	if err := d.Delete(t.Context(), "a"); err != nil || exists() == 0 {
		t.Errorf("after the first delete: %v, %d cgroups", err, exists())
	}
	if err := d.Delete(t.Context(), "b"); err != nil || exists() != 0 {
		t.Errorf("after the last delete: %v, %d cgroups", err, exists())
	}
}

func TestStatsCount(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: sh("yes > /dev/null & sleep 3600")})
	start(t, d, driver.Spec{ID: "busy", Image: ref, CPUQuota: 256})
	drivertest.Eventually(t, "CPU time to be counted", func() bool {
		s, err := d.Stats(t.Context(), "busy")
		return err == nil && s.CPUNanos > uint64(20*time.Millisecond) && s.MemoryBytes > 0 && s.Pids == 2
	})
}

func TestSignals(t *testing.T) {
	d, ref := busybox(t, v1.Config{})
	start(t, d, driver.Spec{ID: "s", Image: ref, Command: sh(`trap "exit 33" USR1; touch /ready; sleep 3600 & wait`)})
	drivertest.Eventually(t, "the trap", func() bool {
		code, err := d.Exec(t.Context(), "s", driver.Exec{Command: []string{"test", "-e", "/ready"}})
		return err == nil && code == 0
	})
	if err := d.Signal(t.Context(), "s", syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if e := <-d.Exits(); e.Code != 33 {
		t.Errorf("%+v", e)
	}
}

func TestExecDetails(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}, WorkingDir: "/tmp", Env: []string{"PATH=/bin", "A=1"}})
	start(t, d, driver.Spec{ID: "x", Image: ref, User: "app", Env: []string{"B=2"}})
	for _, c := range []struct {
		name string
		exec driver.Exec
		want string
		code int
	}{
		{"as the container", driver.Exec{Command: sh("id -u; pwd; echo $A $B")}, "1000\n/tmp\n1 2\n", 0},
		{"changed", driver.Exec{Command: sh("id -u; pwd; echo $A"), User: "root", WorkingDir: "/bin", Env: []string{"A=9"}}, "0\n/bin\n9\n", 0},
		{"input", driver.Exec{Command: []string{"cat"}, Stdin: strings.NewReader("typed")}, "typed", 0},
		{"no input", driver.Exec{Command: sh("cat; echo end"), Stdin: strings.NewReader("")}, "end\n", 0},
		{"child keeps the output", driver.Exec{Command: sh("sleep 5 & echo first")}, "first\n", 0},
		{"exit code", driver.Exec{Command: sh("exit 77")}, "", 77},
		{"killed", driver.Exec{Command: sh("kill -9 $$")}, "", 137},
		{"much output", driver.Exec{Command: sh("yes | head -c 3000000 | wc -c; seq 200000 | tail -n 1")}, "3000000\n200000\n", 0},
	} {
		var out bytes.Buffer
		c.exec.Stdout = &out
		code, err := d.Exec(t.Context(), "x", c.exec)
		if err != nil || code != c.code || out.String() != c.want {
			t.Errorf("%s: %q, code %d, %v", c.name, out.String(), code, err)
		}
	}
	var stderr bytes.Buffer
	if _, err := d.Exec(t.Context(), "x", driver.Exec{Command: sh("echo bad >&2"), Stderr: &stderr}); err != nil || stderr.String() != "bad\n" {
		t.Errorf("standard error %q, %v", stderr.String(), err)
	}
	if _, err := d.Exec(t.Context(), "x", driver.Exec{Command: []string{"nope"}}); !errors.Is(err, driver.ErrCommand) {
		t.Errorf("missing program: %v", err)
	}
	sizes := make(chan driver.Size, 1)
	sizes <- driver.Size{Rows: 33, Columns: 101}
	var tty bytes.Buffer
	code, err := d.Exec(t.Context(), "x", driver.Exec{TTY: true, Resize: sizes, Stdout: &tty,
		Command: sh("i=0; while [ $i -lt 500 ]; do [ \"$(stty size)\" = '33 101' ] && echo resized && exit 4; i=$((i+1)); usleep 10000; done")})
	if err != nil || code != 4 || !strings.Contains(tty.String(), "resized") {
		t.Errorf("terminal: %q, code %d, %v", tty.String(), code, err)
	}
	if left := entries(filepath.Join(d.paths.run, "io")); len(left) != 0 {
		t.Errorf("exec left pipes: %v", left)
	}
}
