package containerd

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/typeurl/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dhowhq/dhow/driver"
)

const (
	mountinfoV2 = `30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate
`
	mountinfoV1 = `31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/memory rw shared:1 master:2 - cgroup cgroup rw,memory
35 30 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
`
)

func TestParseCgroups(t *testing.T) {
	v2 := parseCgroups(mountinfoV2)
	if v2.unified != "/sys/fs/cgroup" || len(v2.v1) != 0 || !slices.Equal(v2.dirs("/dhow-1/a"), []string{"/sys/fs/cgroup/dhow-1/a"}) {
		t.Errorf("v2: %+v", v2)
	}
	v1 := parseCgroups(mountinfoV1)
	if v1.unified != "" || v1.v1["cpu"] != "/sys/fs/cgroup/cpu,cpuacct" || v1.v1["cpuacct"] != "/sys/fs/cgroup/cpu,cpuacct" || v1.v1["memory"] != "/sys/fs/cgroup/memory" {
		t.Errorf("hybrid: %+v", v1)
	}
	if len(v1.all) != 5 {
		t.Errorf("a hybrid machine has every hierarchy to clean: %v", v1.all)
	}
	if c := parseCgroups("nonsense\n - \n1 2 - cgroup x\n"); len(c.all) != 0 {
		t.Errorf("nonsense: %+v", c)
	}
}

func FuzzParseCgroups(f *testing.F) {
	f.Add(mountinfoV1)
	f.Add(mountinfoV2)
	f.Fuzz(func(t *testing.T, s string) {
		c := parseCgroups(s)
		for name, at := range c.v1 {
			if !slices.Contains(c.all, at) {
				t.Errorf("%s at %q is in no mount", name, at)
			}
		}
	})
}

// TestCgroupV2 works on plain files in place of the kernel's.
func TestCgroupV2(t *testing.T) {
	root := t.TempDir()
	c := cgroups{unified: root, all: []string{root}}
	if err := c.limitParent("/dhow-1/task", 512, 64<<20); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "dhow-1/task")
	for file, want := range map[string]string{"cpu.max": "50000 100000", "memory.max": "67108864"} {
		if b, _ := os.ReadFile(filepath.Join(dir, file)); string(b) != want {
			t.Errorf("%s is %q, want %q", file, b, want)
		}
	}
	leaf := filepath.Join(dir, "c1")
	for file, text := range map[string]string{
		"cpu.stat": "usage_usec 1500\nuser_usec 1000\n", "memory.current": "5000\n", "memory.max": "max\n",
		"memory.stat": "anon 1\ninactive_file 1000\n", "memory.events": "low 0\noom 1\noom_kill 2\n", "pids.current": "3\n",
		"io.stat": "254:0 rbytes=10 wbytes=20 rios=1\n254:1 rbytes=1 wbytes=2\n",
	} {
		if err := os.MkdirAll(leaf, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(leaf, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, ok := c.stats("/dhow-1/task/c1")
	want := driver.Stats{CPUNanos: 1_500_000, MemoryBytes: 4000, MemoryLimit: 64 << 20, Pids: 3, ReadBytes: 11, WriteBytes: 22}
	if !ok || s != want {
		t.Errorf("stats %+v, want %+v", s, want)
	}
	if n := c.oomKills("/dhow-1/task/c1"); n != 2 {
		t.Errorf("%d processes killed for want of memory", n)
	}
	if _, ok := c.stats("/dhow-1/task/none"); ok {
		t.Error("stats of a cgroup that is not there")
	}
}

// TestCgroupV2Delegates proves that controllers are turned on from the root
// down, one by one.
func TestCgroupV2Delegates(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpu memory\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (cgroups{unified: root}).delegate("/dhow-1/task"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(root, "cgroup.subtree_control")); string(b) != "+memory" { // each is a write of its own
		t.Errorf("subtree_control: %q", b)
	}
	if _, err := os.Stat(filepath.Join(root, "dhow-1/task")); err != nil {
		t.Error(err)
	}
}

func TestForeignCgroupsAreLeftAlone(t *testing.T) {
	root := t.TempDir()
	c := cgroups{unified: root, all: []string{root}}
	if err := os.MkdirAll(filepath.Join(root, "system.slice"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/", "/system.slice", "/dhow-1/../system.slice"} {
		c.remove(path)
	}
	if _, err := os.Stat(filepath.Join(root, "system.slice")); err != nil {
		t.Error("a foreign cgroup was removed")
	}
}

func TestStartError(t *testing.T) {
	const shim = "failed to create shim task: OCI runtime create failed: runc create failed: "
	for _, c := range []struct {
		in, want string
		command  bool
	}{
		{shim + `unable to start container process: exec: "nope": executable file not found in $PATH: unknown`, `exec: "nope": executable file not found in $PATH`, true},
		{shim + `unable to start container process: exec: "/x": permission denied: unknown`, `exec: "/x": permission denied`, true},
		{shim + `unable to start container process: error during container init: error mounting "/a" to rootfs at "/b": mount /a:/b (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown`, `error mounting "/a" to rootfs at "/b": mount /a:/b (via /proc/self/fd/6), flags: 0x5000: not a directory`, true},
		{shim + `unable to start container process: error during container init: error setting rlimit type 7: operation not permitted: unknown`, `error setting rlimit type 7: operation not permitted`, false},
		{"fork/exec /usr/bin/containerd-shim-runc-v2: no such file or directory", "fork/exec /usr/bin/containerd-shim-runc-v2: no such file or directory", false},
	} {
		err := startError(status.Error(codes.Unknown, c.in))
		if err.Error() != c.want || errors.Is(err, driver.ErrCommand) != c.command {
			t.Errorf("%q became %q (the spec's fault: %v), want %q (%v)", c.in, err, errors.Is(err, driver.ErrCommand), c.want, c.command)
		}
	}
}

func TestTooOld(t *testing.T) {
	for version, want := range map[string]bool{"1.4.13~ds1": true, "v1.5.0": true, "1.6.20~ds1": false, "v2.0.0-rc.1": false, "1.10.1": false, "unknown": false} {
		if tooOld(version) != want {
			t.Errorf("tooOld(%q) = %v", version, !want)
		}
	}
}

func TestMergeEnv(t *testing.T) {
	got := mergeEnv([]string{"PATH=/a", "X=1"}, []string{"PATH=/b", "Y="}, []string{"X=2", "Z=a=b", "Y=3"})
	if want := []string{"PATH=/b", "X=2", "Y=3", "Z=a=b"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestArguments(t *testing.T) {
	im := &image{Image: driver.Image{Entrypoint: []string{"entry"}, Command: []string{"cmd"}}}
	for _, c := range []struct {
		entry, cmd []string
		want       string
	}{
		{nil, nil, "entry cmd"},
		{nil, []string{"other"}, "entry other"},
		{[]string{"mine"}, nil, "mine"},
		{[]string{"mine"}, []string{"other"}, "mine other"},
		{[]string{}, []string{"other"}, "other"},
	} {
		if got := strings.Join(arguments(driver.Spec{Entrypoint: c.entry, Command: c.cmd}, im), " "); got != c.want {
			t.Errorf("entry point %v and command %v run %q, want %q", c.entry, c.cmd, got, c.want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	all := host{caps: 1<<len(capNames) - 1}
	less := host{caps: all.caps &^ (1 << capSysResource) &^ 1} // nor CAP_CHOWN
	for _, c := range []struct {
		name       string
		h          host
		privileged bool
		add, drop  []string
		want       []string
		err        string
	}{
		{"all and some dropped", all, false, []string{"ALL"}, append(slices.Clone(capNames[2:]), "net_raw"), []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE"}, ""},
		{"none", all, false, nil, []string{"ALL"}, []string{}, ""},
		{"one", all, false, []string{"SYS_TIME"}, []string{"all"}, []string{"CAP_SYS_TIME"}, ""},
		{"only what the host has", less, false, []string{"ALL"}, capNames[2:24], append([]string{"CAP_DAC_OVERRIDE"}, capNames[25:]...), ""},
		{"more than the host has", less, false, []string{"SYS_RESOURCE"}, nil, nil, "this host does not have it"},
		{"unknown", all, false, nil, []string{"NOPE"}, nil, "unknown capability"},
	} {
		got, err := c.h.capabilities(c.privileged, c.add, c.drop)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
			continue
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if got, _ := less.capabilities(true, nil, []string{"ALL"}); len(got) != len(capNames)-2 {
		t.Errorf("privileged on a lesser host has %d capabilities", len(got))
	}
}

func TestUlimits(t *testing.T) {
	h := host{limits: map[string]int64{"nofile": 1000, "core": math.MaxInt64}}
	got, err := h.ulimits([]driver.Ulimit{{Name: "nofile", Soft: 10, Hard: 1000}, {Name: "core", Soft: -1, Hard: -1}})
	if err != nil || len(got) != 2 || got[0].Hard != 1000 || got[1].Hard != math.MaxUint64 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		limit driver.Ulimit
		want  string
	}{
		{driver.Ulimit{Name: "nofile", Soft: 1, Hard: 1001}, "ulimit nofile hard limit 1001 exceeds the host's 1000"},
		{driver.Ulimit{Name: "nofile", Soft: -1, Hard: -1}, "ulimit nofile hard limit unlimited exceeds the host's 1000"},
		{driver.Ulimit{Name: "nofile", Soft: 5, Hard: 4}, "exceeds its hard limit"},
	} {
		if _, err := h.ulimits([]driver.Ulimit{c.limit}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.limit, err, c.want)
		}
	}
	h.canRaise = true
	if _, err := h.ulimits([]driver.Ulimit{{Name: "nofile", Soft: 1, Hard: 1 << 20}}); err != nil {
		t.Errorf("a host that may raise limits: %v", err)
	}
}

func TestRuntimeID(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"a", "a-b.c_d", "a--b", "a__b", "-a", "a-", ".hidden", strings.Repeat("x", 76)} {
		if err := driver.ValidID(id); err != nil {
			t.Error(err)
		}
		rid := runtimeID(id)
		if other, ok := seen[rid]; ok {
			t.Errorf("%q and %q are both %q", id, other, rid)
		}
		seen[rid] = id
	}
	if runtimeID("a-b.c_d") != "a-b.c_d" {
		t.Error("a name that containerd takes should stay")
	}
}

func TestMetaKeepsAll(t *testing.T) {
	m := meta{ID: "x", Labels: map[string]string{"a": "b"}, Image: "i", LogPath: "/l", Parent: "p", Cgroup: "/dhow-1/p/x", TTY: true, Stdin: true, Joins: true, KillAll: true, Shm: true}
	v := reflect.ValueOf(m)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("the test leaves %s out", v.Type().Field(i).Name)
		}
	}
	got, err := metaFrom(map[string]typeurl.Any{metaKey: m.any()})
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := metaFrom(nil); err == nil {
		t.Error("a record without meta was taken for ours")
	}
}

func TestLookupUser(t *testing.T) {
	passwd := []byte("root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n")
	group := []byte("web:x:44:\nlog:x:50:web,root\n")
	for _, c := range []struct {
		spec     string
		uid, gid int
		more     []int
		err      string
	}{
		{"", 0, 0, []int{50}, ""},
		{"web", 33, 44, []int{50}, ""},
		{"33", 33, 44, []int{50}, ""},
		{"web:log", 33, 50, nil, ""},
		{"7:8", 7, 8, nil, ""},
		{"bob", 0, 0, nil, "unable to find user bob: no matching entries in passwd file"},
		{"web:bobs", 0, 0, nil, "unable to find group bobs: no matching entries in group file"},
	} {
		u, err := lookupUser(c.spec, passwd, group)
		if c.err != "" {
			if err == nil || err.Error() != c.err || !errors.Is(err, driver.ErrCommand) {
				t.Errorf("%q: %v, want %q", c.spec, err, c.err)
			}
			continue
		}
		if err != nil || u.Uid != c.uid || u.Gid != c.gid || !slices.Equal(u.Sgids, c.more) && len(u.Sgids)+len(c.more) > 0 {
			t.Errorf("%q: %+v, %v", c.spec, u, err)
		}
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		begin := time.Now()
		starting := func() func() {
			done, err := g.starting(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		first, second := starting(), starting()
		time.AfterFunc(100*time.Millisecond, first)
		time.AfterFunc(300*time.Millisecond, second)
		release, err := g.cleaning(t.Context())
		if err != nil || time.Since(begin) != 300*time.Millisecond {
			t.Errorf("cleaning began after %v, %v", time.Since(begin), err)
		}
		// The slots are few.
		r2, _ := g.cleaning(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.cleaning(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third cleaner: %v", err)
		}
		release()
		r2()
		// Starts without end postpone it only so long.
		defer starting()()
		begin = time.Now()
		release, err = g.cleaning(t.Context())
		if err != nil || time.Since(begin) != maxPostpon {
			t.Errorf("cleaning was postponed by %v, %v", time.Since(begin), err)
		}
		release()
	})
}

// TestGateTurns proves that starts wait for a turn, and may give up waiting.
func TestGateTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		var last func()
		for range max(24, 4*runtime.GOMAXPROCS(0)) {
			done, err := g.starting(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			last = done
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.starting(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one start too many: %v", err)
		}
		time.AfterFunc(time.Second, last)
		begin := time.Now()
		if _, err := g.starting(t.Context()); err != nil || time.Since(begin) != time.Second {
			t.Errorf("a turn after %v, %v", time.Since(begin), err)
		}
	})
}

func TestExitQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Driver{}
		ctx, cancel := context.WithCancel(t.Context())
		d.exits.start(&d.wg, ctx.Done())
		for i := range 1000 { // nobody reads yet
			d.exits.put(driver.Exit{Code: i})
		}
		for i := range 1000 {
			if e := <-d.exits.out; e.Code != i {
				t.Fatalf("exit %d came as number %d", e.Code, i)
			}
		}
		d.exits.put(driver.Exit{})
		synctest.Wait()
		cancel()
		d.wg.Wait() // does not hang on the one that nobody took
		if _, ok := <-d.exits.out; ok {
			t.Error("an exit after the end")
		}
	})
}
