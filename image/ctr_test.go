package image_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// private starts a containerd of the test's own and returns its socket.
func private(t *testing.T, dir string) string {
	t.Helper()
	sock := dir + "/c.sock"
	config := fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = %q
[ttrpc]
  address = %q
`, dir+"/root", dir+"/state", sock, sock+".ttrpc")
	if err := os.WriteFile(dir+"/config.toml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command("containerd", "--config", dir+"/config.toml")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		if exec.Command("ctr", "--address", sock, "version").Run() == nil {
			return sock
		}
		select {
		case <-ended:
			t.Fatalf("containerd ended: %s", log.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("containerd does not answer")
		}
	}
}

// TestCtr has a stock containerd pull by its own client, and push what it
// pulled under another name; an index comes with what it names.
func TestCtr(t *testing.T) {
	for _, tool := range []string{"containerd", "ctr"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("containerd wants root")
	}
	s, srv := open(t)
	for _, repo := range []string{"team/app", "team/copy"} {
		if err := s.EnsureRepository(t.Context(), home, repo); err != nil {
			t.Fatal(err)
		}
	}
	host := strings.TrimPrefix(srv.URL, "http://")
	img, err := random.Image(300_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	list, err := random.Index(1000, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for at, push := range map[string]func(name.Reference) error{
		"one": func(r name.Reference) error { return remote.Write(r, img) }, "list": func(r name.Reference) error { return remote.WriteIndex(r, list) },
	} {
		ref, err := name.ParseReference(host+"/team/app:"+at, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := push(ref); err != nil {
			t.Fatal(err)
		}
	}

	sock := private(t, t.TempDir())
	password, _ := s.Token(home)
	ctr := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("ctr", append([]string{"--address", sock}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ctr %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"/team/app:one", "/team/app@" + digest.String()} {
		ctr("images", "pull", "--plain-http", "--snapshotter", "native", host+ref)
	}
	ctr("content", "fetch", "--plain-http", "--user", "AWS:"+password, "--all-platforms", host+"/team/app:list")
	ctr("images", "push", "--plain-http", "--user", "AWS:"+password, host+"/team/copy:one", host+"/team/app:one")
	if m, err := s.Image(home, "team/copy", "one"); err != nil || m.Digest != digest.String() {
		t.Errorf("the copy is %+v, %v", m, err)
	}
	if out := ctr("snapshots", "--snapshotter", "native", "ls"); strings.Count(out, "Committed") != 3 {
		t.Errorf("snapshots are %s, want one for each layer", out)
	}
	images := ctr("images", "ls", "-q")
	for _, want := range []string{host + "/team/app:one", host + "/team/app:list", host + "/team/app@" + digest.String()} {
		if !strings.Contains(images, want+"\n") {
			t.Errorf("%s is not among %s", want, images)
		}
	}
}
