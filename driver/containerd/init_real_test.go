package containerd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

func TestInit(t *testing.T) {
	needContainers(t)
	bin := filepath.Join(t.TempDir(), "dhow-init")
	build := exec.Command("go", "build", "-o", bin, "./initproc/dhow-init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	d := openTest(t, Config{InitPath: bin})
	ref := drivertest.NewRegistry(t).Push(t, "test/busybox:1", drivertest.Busybox(t, v1.Config{}))
	if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		spec driver.Spec
		out  string
		code int
	}{
		{"exit code", driver.Spec{Command: sh("exit 5")}, "", 5},
		{"killed", driver.Spec{Command: sh("kill -9 $$")}, "", 137},
		{"not the first process", driver.Spec{Command: sh("test $$ != 1 && echo child")}, "child\n", 0},
		{"missing", driver.Spec{Command: []string{"nope"}}, "init: nope: file does not exist\n", 127},
		{"as a user", driver.Spec{Command: sh("id -u"), User: "app"}, "1000\n", 0},
		{"terminal", driver.Spec{Command: sh("test -t 0 && echo tty"), TTY: true}, "tty\r\n", 0},
		// An orphan is reaped: no zombie is left of it.
		{"orphans", driver.Spec{Command: sh("(usleep 100000 &) ; usleep 400000; ps | grep -c '\\[usleep\\]'")}, "0\n", 1},
	} {
		c.spec.Image, c.spec.Init = ref, true
		if out, e := result(t, d, c.spec); out != c.out || e.Code != c.code {
			t.Errorf("%s: %q, exit %+v; want %q, %d", c.name, out, e, c.out, c.code)
		}
	}
	// A pause holds its namespaces, reaps those who have no parent left in them,
	// and ends when it is told to; the image's user and directory do not matter.
	odd := drivertest.NewRegistry(t).Push(t, "test/odd:1", drivertest.Busybox(t, v1.Config{User: "nobody-there", WorkingDir: "/no/such", Entrypoint: []string{"/none"},
		Volumes: map[string]struct{}{"/v": {}}}))
	if _, err := d.Pull(t.Context(), driver.Pull{Ref: odd}, nil); err != nil {
		t.Fatal(err)
	}
	pid := start(t, d, driver.Spec{ID: "p", Image: odd, Pause: true, IpcNS: "shareable", ReadonlyRoot: true, CapDrop: []string{"ALL"}})
	out, e := result(t, d, driver.Spec{Image: ref, PidNS: "container:p", IpcNS: "container:p",
		Command: sh("(usleep 100000 &) ; usleep 400000; test $$ != 1 && ps | grep -c '\\[usleep\\]'; tr '\\0' ' ' < /proc/1/cmdline; touch /dev/shm/here")})
	if out != "0\n/dev/init pause " || e.Code != 0 {
		t.Errorf("beside a pause: %q, exit %+v", out, e)
	}
	if out, _ := result(t, d, driver.Spec{Image: ref, IpcNS: "container:p", Command: sh("ls /dev/shm")}); out != "here\n" {
		t.Errorf("the shared /dev/shm has %q", out)
	}
	if st, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err != nil || !bytes.Contains(st, []byte("CapEff:\t0000000000000000")) {
		t.Errorf("the pause has more than it needs: %s, %v", st, err)
	}
	if err := d.Signal(t.Context(), "p", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := <-d.Exits(); e.ID != "p" || e.Code != 0 {
		t.Errorf("the pause ended with %+v", e)
	}
	// Signals reach the command, which dies of TERM as it is not the first
	// process: the reason to have an init.
	start(t, d, driver.Spec{ID: "s", Image: ref, Init: true, Command: []string{"sleep", "3600"}})
	drivertest.Eventually(t, "the command", func() bool {
		var out bytes.Buffer
		_, err := d.Exec(t.Context(), "s", driver.Exec{Command: []string{"ps"}, Stdout: &out})
		return err == nil && bytes.Contains(out.Bytes(), []byte("sleep 3600"))
	})
	if err := d.Signal(t.Context(), "s", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := <-d.Exits(); e.Code != 143 {
		t.Errorf("exit %+v, want 143", e)
	}
}
