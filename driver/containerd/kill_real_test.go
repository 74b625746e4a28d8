package containerd

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

// TestMain runs the process that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DHOW_TEST_VICTIM"); dir != "" {
		victim(dir, os.Getenv("DHOW_TEST_IMAGE"))
		return
	}
	os.Exit(m.Run())
}

// victim starts containers until it is killed.
func victim(dir, image string) {
	fatal := func(err error) {
		if err != nil {
			os.Stdout.WriteString("error: " + err.Error() + "\n")
			os.Exit(1)
		}
	}
	ctx := context.Background()
	if os.Getenv("DHOW_TEST_CLAIM") != "" {
		_, err := Claim(dir)
		fatal(err)
	}
	d, err := Open(ctx, Config{DataDir: dir, Private: true})
	fatal(err)
	_, err = d.Pull(ctx, driver.Pull{Ref: image}, nil)
	fatal(err)
	for i := 0; ; i++ {
		id := "v" + string(rune('a'+i%26)) + randomName()
		fatal(d.Create(ctx, driver.Spec{ID: id, Image: image, LogPath: filepath.Join(dir, "log", id)}))
		_, err = d.Start(ctx, id)
		fatal(err)
		os.Stdout.WriteString(id + "\n")
	}
}

// TestKilled kills a process in the middle of starting containers: what it
// had acknowledged runs on, and what was half done can be used or deleted.
func TestKilled(t *testing.T) {
	needContainers(t)
	dir := t.TempDir()
	claimDir(t, dir)
	ref := drivertest.NewRegistry(t).Push(t, "test/busybox:1", drivertest.Busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}}))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DHOW_TEST_VICTIM="+dir, "DHOW_TEST_IMAGE="+ref)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reopenAndPurge(t, dir) })
	var started []string
	for s := bufio.NewScanner(out); len(started) < 3 && s.Scan(); {
		if strings.HasPrefix(s.Text(), "error") {
			t.Error(s.Text())
		}
		started = append(started, s.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	d, err := Open(t.Context(), Config{DataDir: dir, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, id := range started {
		if c := stateOf(t, d, id); c.State != driver.Running {
			t.Errorf("acknowledged: %+v", c)
		}
	}
	list, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.State == driver.Created {
			if _, err := d.Start(t.Context(), c.ID); err != nil {
				t.Errorf("start of what was half done: %v", err)
			}
		}
		if err := d.Delete(t.Context(), c.ID); err != nil {
			t.Errorf("delete %s: %v", c.ID, err)
		}
	}
}
