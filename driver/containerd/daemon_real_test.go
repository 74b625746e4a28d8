package containerd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

// again opens a closed Driver's data directory once more.
func again(t *testing.T, d *Driver) *Driver {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func stateOf(t *testing.T, d *Driver, id string) driver.Container {
	t.Helper()
	list, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("%s is not in List", id)
	return driver.Container{}
}

func killPrivate(t *testing.T, d *Driver) int {
	t.Helper()
	pid, ok := privatePid(d.paths)
	if !ok {
		t.Fatal("no private containerd")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestContainerdDies kills the private containerd under a running container.
func TestContainerdDies(t *testing.T) {
	d, ref := busybox(t, v1.Config{})
	start(t, d, driver.Spec{ID: "survivor", Image: ref, Command: sh("while ! test -e /stop; do usleep 20000; done; exit 21")})
	old := killPrivate(t, d)
	drivertest.Eventually(t, "a new containerd", func() bool {
		pid, ok := privatePid(d.paths)
		return ok && pid != old && socketAnswers(d.paths.socket())
	})
	drivertest.Eventually(t, "exec after the restart", func() bool {
		_, err := d.Exec(t.Context(), "survivor", driver.Exec{Command: []string{"touch", "/stop"}})
		return err == nil
	})
	if e := <-d.Exits(); e.ID != "survivor" || e.Code != 21 {
		t.Errorf("exit %+v", e)
	}
	if out, e := result(t, d, driver.Spec{Image: ref, Command: sh("echo new")}); out != "new\n" || e.Code != 0 {
		t.Errorf("a container after the restart: %q, %+v", out, e)
	}
}

// TestReboot takes all processes and /run away, as a reboot does.
func TestReboot(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}})
	start(t, d, driver.Spec{ID: "ran", Image: ref, CgroupParent: "t1", ParentMemory: 64 << 20})
	start(t, d, driver.Spec{ID: "ended", Image: ref, Command: sh("exit 4")})
	if e := <-d.Exits(); e.Code != 4 {
		t.Fatalf("%+v", e)
	}
	if err := d.Create(t.Context(), driver.Spec{ID: "fresh", Image: ref, Command: sh("exit 6")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	killPrivate(t, d)
	for _, pid := range d.paths.shims() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := d.host.cgroups.purge(t.Context(), d.paths.cgroup()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unmountBelow(d.paths.run), os.RemoveAll(d.paths.run)); err != nil {
		t.Fatal(err)
	}
	d = again(t, d)
	if c := stateOf(t, d, "ran"); c.State != driver.Exited || c.ExitCode != rebootCode || c.StartedAt.IsZero() || c.FinishedAt.IsZero() {
		t.Errorf("ran: %+v", c)
	}
	if c := stateOf(t, d, "ended"); c.State != driver.Exited || c.ExitCode != 4 {
		t.Errorf("ended: %+v", c)
	}
	if _, err := d.Start(t.Context(), "fresh"); err != nil {
		t.Fatal(err)
	}
	if e := <-d.Exits(); e.ID != "fresh" || e.Code != 6 {
		t.Errorf("exit %+v", e)
	}
	for _, id := range []string{"ran", "ended", "fresh"} {
		if err := d.Delete(t.Context(), id); err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	}
}

// TestCrashLeftovers makes what a crash between two steps leaves, and expects
// the next Open to clear it.
func TestCrashLeftovers(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}})
	im, err := d.image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	// Create was cut off after the snapshot.
	if _, err := d.snap.Prepare(t.Context(), "dhow-orphan", im.base, snapshots.WithLabels(map[string]string{ownerLabel: "orphan", gcRootLabel: "x"})); err != nil {
		t.Fatal(err)
	}
	// Start was cut off after the task's creation.
	if err := d.Create(t.Context(), driver.Spec{ID: "half", Image: ref}); err != nil {
		t.Fatal(err)
	}
	c, err := d.find("half")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.cl.TaskService().Create(t.Context(), &tasks.CreateTaskRequest{ContainerID: c.rid, Rootfs: mount.ToProto(c.mounts)}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{d.paths.volumes("orphan"), d.paths.fifo("orphan"), filepath.Join(d.paths.run, "rootfs-1")} {
		if err := os.MkdirAll(f, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.runs.Put("orphan", run{}); err != nil {
		t.Fatal(err)
	}
	d = again(t, d)
	if _, err := d.snap.Stat(t.Context(), "dhow-orphan"); err == nil {
		t.Error("the orphaned snapshot is left")
	}
	if left := append(entries(filepath.Join(d.paths.data, "volumes")), entries(filepath.Join(d.paths.run, "io"))...); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	d.runs.Close()
	if runs, err := d.openRuns(); err != nil || len(runs) != 0 {
		t.Errorf("runs are left: %v, %v", runs, err)
	}
	if c := stateOf(t, d, "half"); c.State != driver.Created {
		t.Errorf("half-started: %+v", c)
	}
	if _, err := d.Start(t.Context(), "half"); err != nil {
		t.Errorf("start of a half-started container: %v", err)
	}
}

// TestExecsOfTheDead closes a Driver while a command runs in a container: the
// next one ends it.
func TestExecsOfTheDead(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}})
	start(t, d, driver.Spec{ID: "host", Image: ref})
	ended := make(chan error, 1)
	go func() {
		_, err := d.Exec(context.Background(), "host", driver.Exec{Command: []string{"sleep", "4711"}})
		ended <- err
	}()
	runs := func(d *Driver) bool {
		var out bytes.Buffer
		_, err := d.Exec(t.Context(), "host", driver.Exec{Command: []string{"ps"}, Stdout: &out})
		return err == nil && strings.Contains(out.String(), "sleep 4711")
	}
	drivertest.Eventually(t, "the command", func() bool { return runs(d) })
	next := again(t, d)
	if err := <-ended; err == nil {
		t.Error("the exec of a closed Driver succeeded")
	}
	drivertest.Eventually(t, "the end of the command", func() bool { return !runs(next) })
	if c := stateOf(t, next, "host"); c.State != driver.Running {
		t.Errorf("%+v", c)
	}
}

// TestOpenErrors proves that what is missing is named within a second.
func TestOpenErrors(t *testing.T) {
	needContainers(t)
	begin := time.Now()
	first := t.TempDir()
	_, err := Open(t.Context(), Config{DataDir: first, Socket: "/run/no/such.sock"})
	if !errors.Is(err, ErrDaemon) || !strings.Contains(err.Error(), "/run/no/such.sock") {
		t.Errorf("missing socket: %v", err)
	}
	if p, _ := pathsOf(first); len(entries(p.run)) != 0 {
		t.Errorf("left in %s: %v", p.run, entries(p.run))
	}
	dir := t.TempDir()
	p, err := pathsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(p.data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.choice(), []byte("/run/gone.sock\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{DataDir: dir})
	if !errors.Is(err, ErrDaemon) || !strings.Contains(err.Error(), "/run/gone.sock") || !strings.Contains(err.Error(), p.choice()) {
		t.Errorf("a containerd that is gone: %v", err)
	}
	dir = filepath.Join(t.TempDir(), "data")
	p, err = pathsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	// A containerd that cannot start: its root is a file.
	if err := os.MkdirAll(p.data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.daemonRoot(), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{DataDir: dir, Private: true})
	if !errors.Is(err, ErrDaemon) || !strings.Contains(err.Error(), p.daemonLog()) {
		t.Errorf("a containerd that does not start: %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("three failures took %v", took)
	}
	if err := p.removeAll(); err != nil {
		t.Error(err)
	}
	c, err := findCgroups()
	if err != nil {
		t.Fatal(err)
	}
	c.remove(p.cgroup())
	t.Setenv("PATH", "/nowhere")
	if got := lookPath("no-such-program"); got != "" {
		t.Errorf("lookPath: %q", got)
	}
}

// TestSharedContainerd runs two data directories on one containerd: they do
// not see each other, and Purge of one leaves the other.
func TestSharedContainerd(t *testing.T) {
	host, _ := busybox(t, v1.Config{})
	socket := host.paths.socket()
	var ds []*Driver
	reg := drivertest.NewRegistry(t)
	ref := reg.Push(t, "shared/busybox:1", drivertest.Busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}}))
	for range 2 {
		d, err := Open(t.Context(), Config{DataDir: t.TempDir(), Socket: socket})
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
		if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref, PlainHTTP: true}, nil); err != nil {
			t.Fatal(err)
		}
		start(t, d, driver.Spec{ID: "same", Image: ref})
	}
	ctx := context.Background()
	if err := ds[0].Purge(ctx); err != nil {
		t.Error(err)
	}
	for _, left := range leftovers(ds[0].paths, ds[0].host.cgroups) {
		t.Errorf("left: %s", left)
	}
	names, err := host.cl.NamespaceService().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if n == ds[0].paths.namespace() {
			t.Errorf("namespace %s is left", n)
		}
	}
	if c := stateOf(t, ds[1], "same"); c.State != driver.Running {
		t.Errorf("the other's container: %+v", c)
	}
	if _, err := ds[1].Exec(ctx, "same", driver.Exec{Command: []string{"true"}}); err != nil {
		t.Errorf("the other's container: %v", err)
	}
	if err := ds[1].Purge(ctx); err != nil {
		t.Error(err)
	}
	if !socketAnswers(socket) {
		t.Error("Purge ended a containerd that is not its own")
	}
}

// TestSystemContainerd proves that the system's containerd is used where it
// runs, and that a data directory stays with its first choice.
func TestSystemContainerd(t *testing.T) {
	host, _ := busybox(t, v1.Config{})
	system := host.paths.socket()
	cfg := Config{DataDir: t.TempDir(), system: system}
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if d.private {
		t.Error("a private containerd was started beside the system's")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.system = "/run/no/such.sock"
	if d, err = Open(t.Context(), cfg); err != nil { // it is still there, and was chosen
		t.Fatal(err)
	}
	if err := d.Purge(t.Context()); err != nil {
		t.Error(err)
	}
	private := Config{DataDir: t.TempDir(), system: "/run/no/such.sock"}
	if d, err = Open(t.Context(), private); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reopenAndPurge(t, private.DataDir) })
	if !d.private {
		t.Error("no private containerd was started")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	private.system = system // a system containerd that comes later does not take over
	if d, err = Open(t.Context(), private); err != nil {
		t.Fatal(err)
	}
	if !d.private {
		t.Error("the data directory drifted to the system's containerd")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
