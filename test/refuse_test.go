package test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUpRefuses starts `dhow up` where it cannot work: it says which and what
// to do, and exits with 1, within a second.
func TestUpRefuses(t *testing.T) {
	p := need(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// The binary lies where only root may look; nobody gets a copy.
	public, err := os.MkdirTemp("", "dhow-public-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(public)
	if err := os.Chmod(public, 0o777); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(public, "dhow")
	if out, err := exec.Command("cp", dhow, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fresh := func() string { return filepath.Join(t.TempDir(), "data") }
	untouched := fresh()
	for _, c := range []struct {
		name string
		args []string
		uid  uint32
		want []string
	}{
		{"data directory in use", []string{"--data-dir", p.dir}, 0, []string{p.dir, "--data-dir"}},
		{"port in use", []string{"--data-dir", fresh(), "--no-node", "--listen", taken.Addr().String()}, 0, []string{taken.Addr().String(), "in use", "--listen"}},
		{"port in use, with a node", []string{"--data-dir", untouched, "--listen", taken.Addr().String()}, 0, []string{taken.Addr().String(), "in use"}},
		{"open to the world", []string{"--data-dir", fresh(), "--no-node", "--listen", "0.0.0.0:4566"}, 0, []string{"--i-know-this-is-open"}},
		{"bad account", []string{"--data-dir", fresh(), "--account", "12"}, 0, []string{"--account", "12 digits"}},
		{"no root", []string{"--data-dir", filepath.Join(public, "data")}, 65534, []string{"root", "--no-node"}},
		{"no containerd there", []string{"--data-dir", fresh(), "--containerd", filepath.Join(public, "nothing.sock")}, 0, []string{"containerd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin := dhow
			cmd := exec.Command(bin)
			if c.uid != 0 {
				cmd = exec.Command(copied)
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
				cmd.Dir = public
			}
			if !strings.Contains(strings.Join(c.args, " "), "--listen") {
				c.args = append(c.args, "--listen", "127.0.0.1:0")
			}
			cmd.Args = append(cmd.Args, append([]string{"up"}, c.args...)...)
			began := time.Now()
			out, err := cmd.CombinedOutput()
			if took := time.Since(began); took > 5*time.Second { // a second on an idle machine
				t.Errorf("it took %v", took)
			}
			if cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("exit code %d (%v), want 1", cmd.ProcessState.ExitCode(), err)
			}
			for _, w := range c.want {
				if !strings.Contains(string(out), w) {
					t.Errorf("%q is missing in: %s", w, out)
				}
			}
		})
	}
	// Nothing was started for the platform that could not have its port.
	if _, err := os.Stat(filepath.Join(untouched, "driver")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a runtime was started before the port was had: %v", err)
	}
}
