package containerd

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver/drivertest"
)

// TestSweepOfTheDead kills a process that claimed a directory and runs
// containers, and takes the directory away: the next claim leaves nothing of
// it. What is claimed by the living, or not claimed, stays.
func TestSweepOfTheDead(t *testing.T) {
	mine, _ := busybox(t, v1.Config{})
	unclaimed := openTest(t, Config{})
	if err := os.Remove(unclaimed.paths.claim()); err != nil {
		t.Fatal(err)
	}
	ref := drivertest.NewRegistry(t).Push(t, "test/busybox:1", drivertest.Busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}}))
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DHOW_TEST_VICTIM="+dir, "DHOW_TEST_IMAGE="+ref, "DHOW_TEST_CLAIM=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
			t.Error("the victim says", lines.Text())
		}
	}
	p, err := pathsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.sweep() })
	if dead, err := Claim(t.TempDir()); err != nil || slices.Contains(dead, dir) {
		t.Errorf("a living claimer was swept: %v, %v", dead, err)
	}
	if !socketAnswers(p.socket()) {
		t.Fatal("the living claimer's containerd does not answer")
	}
	cmd.Process.Kill()
	cmd.Wait()
	c, err := findCgroups()
	if err != nil {
		t.Fatal(err)
	}
	if len(leftovers(p, c)) == 0 {
		t.Fatal("the dead claimer left nothing: this tests nothing")
	}
	if err := os.RemoveAll(dir); err != nil {
		// Mounts are below it; most of it is gone.
		t.Log(err)
	}
	dead, err := Claim(t.TempDir())
	if err != nil || !slices.Contains(dead, dir) {
		t.Errorf("dead claimers' directories %v, %v; want %s", dead, err, dir)
	}
	for _, left := range leftovers(p, c) {
		t.Errorf("left: %s", left)
	}
	for _, d := range []*Driver{mine, unclaimed} {
		if !socketAnswers(d.paths.socket()) {
			t.Errorf("the containerd of %s is gone", d.cfg.DataDir)
		}
	}
}

func TestClaimDead(t *testing.T) {
	self, err := began(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		claim
		dead bool
	}{
		"alive":              {claim{Pid: os.Getpid(), Began: self, Namespace: ns}, false},
		"its pid is another": {claim{Pid: os.Getpid(), Began: "1", Namespace: ns}, true},
		"gone":               {claim{Pid: 1 << 30, Began: "1", Namespace: ns}, true},
		"of elsewhere":       {claim{Pid: 1 << 30, Began: "1", Namespace: "pid:[1]"}, false},
	} {
		if got := c.claim.dead(); got != c.dead {
			t.Errorf("%s: dead is %t", name, got)
		}
	}
}

// A claim that is no claim, or is not where it says, removes nothing.
func TestBadClaims(t *testing.T) {
	victim := t.TempDir()
	p, err := pathsOf(victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(p.data, 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := pathsOf(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(other.run, 0o700); err != nil {
		t.Skip("cannot write to /run: ", err)
	}
	t.Cleanup(func() { other.removeAll() })
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	stray, err := json.Marshal(claim{Pid: 1 << 30, Began: "1", Namespace: ns, DataDir: victim})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `{"Pid":1073741824}`, string(stray)} {
		if err := os.WriteFile(other.claim(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if dir, err := sweepClaim(other.claim()); dir != "" || err != nil {
			t.Errorf("%q: swept %q, %v", text, dir, err)
		}
		for _, dir := range []string{p.data, other.run} {
			if _, err := os.Stat(dir); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}
