package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildah builds an image with buildah, pushes it in both formats, as who
// has logged in, and runs from it again.
func TestBuildah(t *testing.T) {
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Skip("buildah is not installed")
	}
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "team/app"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("buildah", append([]string{"--root", dir + "/root", "--runroot", dir + "/run", "--storage-driver", "vfs"}, args...)...)
		cmd.Env = append(os.Environ(), "REGISTRY_AUTH_FILE="+dir+"/auth.json", "BUILDAH_ISOLATION=chroot")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("buildah %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.WriteFile(filepath.Join(dir, "hello"), []byte("hello from buildah"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "auth.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := run("from", "scratch")
	run("copy", c, dir+"/hello", "/hello")
	run("config", "--entrypoint", `["/hello"]`, "--env", "A=1", c)
	run("commit", c, "built")

	host := strings.TrimPrefix(srv.URL, "http://")
	password, _ := s.Token(home)
	run("login", "--tls-verify=false", "-u", "AWS", "-p", password, host)
	at := host + "/team/app:"
	for _, format := range []string{"oci", "v2s2"} {
		run("push", "--tls-verify=false", "--format", format, "built", at+format)
		run("push", "--tls-verify=false", "--format", format, "built", at+format+"-again")
		m, err := s.Image(home, "team/app", format)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"oci": "vnd.oci.image", "v2s2": "vnd.docker.distribution"}[format]; !strings.Contains(m.MediaType, want) {
			t.Errorf("%s was kept as %s", format, m.MediaType)
		}
	}
	run("rmi", "-a", "-f")
	back := run("from", "--quiet", "--tls-verify=false", at+"oci")
	root := run("mount", back)
	if b, err := os.ReadFile(filepath.Join(root, "hello")); string(b) != "hello from buildah" {
		t.Errorf("the image brings %q, %v", b, err)
	}
	if out := run("inspect", "--format", "{{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Env}}", back); out != "[/hello] [A=1]" {
		t.Errorf("its configuration is %s", out)
	}
	run("umount", back)

	run("manifest", "create", "list")
	run("manifest", "add", "--tls-verify=false", "list", at+"oci")
	run("manifest", "push", "--tls-verify=false", "--all", "list", "docker://"+at+"list")
	if m, err := s.Image(home, "team/app", "list"); err != nil || len(m.Images) != 1 {
		t.Errorf("the list is %+v, %v", m, err)
	}
}
