package image_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

// TestSkopeo copies an image in and out with another client, in both formats.
func TestSkopeo(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed")
	}
	s, srv := open(t)
	if err := s.EnsureRepository(t.Context(), home, "team/app"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	img, err := random.Image(3000, 2)
	if err != nil {
		t.Fatal(err)
	}
	l, err := layout.Write(dir+"/in", empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	at := "docker://" + strings.TrimPrefix(srv.URL, "http://") + "/team/app:"
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("skopeo", append([]string{"--insecure-policy"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("skopeo %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, format := range []string{"oci", "v2s2"} {
		run("copy", "--dest-tls-verify=false", "--format", format, "oci:"+dir+"/in", at+format)
		run("copy", "--src-tls-verify=false", at+format, "dir:"+dir+"/"+format)
		m, err := s.Image(home, "team/app", format)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"oci": "vnd.oci.image", "v2s2": "vnd.docker.distribution"}[format]; !strings.Contains(m.MediaType, want) {
			t.Errorf("%s was kept as %s", format, m.MediaType)
		}
	}
	if out := run("list-tags", "--tls-verify=false", strings.TrimSuffix(at, ":")); !strings.Contains(out, `"v2s2"`) {
		t.Errorf("tags are %s", out)
	}
	run("delete", "--tls-verify=false", at+"oci")
	if _, err := s.Image(home, "team/app", "oci"); err == nil {
		t.Error("the image is still there after skopeo delete")
	}
}
