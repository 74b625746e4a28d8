package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is the process without rights of TestOpenWithoutRights, too, and
// the one that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("NETWORK_TEST_OPEN"); dir != "" {
		start := time.Now()
		_, err := Open(context.Background(), Config{DataDir: dir})
		fmt.Println(err)
		if took := time.Since(start); took > time.Second {
			fmt.Println("too slow:", took)
		}
		os.Exit(0)
	}
	if dir := os.Getenv("NETWORK_TEST_CHURN"); dir != "" {
		churn(dir, os.Getenv("NETWORK_TEST_HOST"))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestCheckHere(t *testing.T) {
	needRoot(t)
	before := hostState(t)
	if problems := Check(); len(problems) > 0 {
		t.Error(problems)
	}
	if after := hostState(t); after != before {
		t.Errorf("Check left something: %s, before %s", after, before)
	}
}

func TestOpenWithoutRights(t *testing.T) {
	if os.Getuid() != 0 {
		if _, err := Open(t.Context(), Config{DataDir: t.TempDir()}); err == nil {
			t.Error("Open succeeded without rights")
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	// Where nobody can run it.
	f, err := os.CreateTemp("", "network-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Chmod(0o755), f.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(f.Name())
	cmd.Dir = "/"
	cmd.Env = []string{"NETWORK_TEST_OPEN=/nonexistent"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	if strings.Contains(string(out), "too slow") {
		t.Error(string(out))
	}
	for _, want := range []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "sudo"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("Open says %q, which does not name %s", out, want)
		}
	}
}

// hostState is what this package could leave on the machine.
func hostState(t *testing.T) string {
	t.Helper()
	s, err := openSpace("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	links, err := s.nl.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	files, err := os.ReadDir("/run")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "dhow-check") {
			names = append(names, f.Name())
		}
	}
	return strings.Join(names, " ")
}
