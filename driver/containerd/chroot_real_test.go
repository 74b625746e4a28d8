package containerd

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestChrooted asks in a chroot of its own and outside of it.
func TestChrooted(t *testing.T) {
	if os.Getenv("DHOW_TEST_CHROOTED") != "" {
		if chrooted() {
			t.Log("in a chroot")
		}
		return
	}
	needContainers(t)
	if chrooted() { // needContainers asks this too, among others
		t.Error("outside of a chroot it is told to be one")
	}
	dir := t.TempDir()
	proc := dir + "/proc"
	if err := os.Mkdir(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("/proc", proc, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(proc, syscall.MNT_DETACH)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/test", binary, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/test", "-test.run=^TestChrooted$", "-test.v")
	c.Dir, c.Env = "/", []string{"DHOW_TEST_CHROOTED=1"}
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "in a chroot") {
		t.Errorf("%v\n%s", err, out)
	}
}
