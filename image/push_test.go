package image_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/dhowhq/dhow/image"
)

// TestBuildPushPull is the way of `dhow image build`: a program becomes an
// image, its repository is made, and any client can pull it.
func TestBuildPushPull(t *testing.T) {
	s, srv := open(t)
	bin := staticProgram(t)
	opts := image.BuildOptions{Path: bin, Env: []string{"A=b"}, Cmd: []string{"--x"}, Expose: []string{"8080"}, Labels: map[string]string{"l": "v"}}
	img, err := image.Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	again, err := image.Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	d1, _ := img.Digest()
	d2, _ := again.Digest()
	if d1 != d2 {
		t.Errorf("two builds of the same differ: %v, %v", d1, d2)
	}

	_, err = image.Push(t.Context(), img, "team/hello:1", image.PushOptions{Remote: remoteOf(srv)})
	if err == nil || !strings.Contains(err.Error(), "The repository with name 'team/hello' does not exist in the registry with id '000000000000'") {
		t.Errorf("push to a missing repository: %v", err)
	}
	var done, total int64
	ref, err := image.Push(t.Context(), img, "team/hello:1", image.PushOptions{Remote: remoteOf(srv), Create: true, Progress: func(d, n int64) { done, total = d, n }})
	if err != nil {
		t.Fatal(err)
	}
	if want := "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/hello@" + d1.String(); ref != want {
		t.Errorf("pushed %s, want %s", ref, want)
	}
	if total == 0 || done != total {
		t.Errorf("progress ended at %d of %d", done, total)
	}

	plain, err := name.ParseReference(strings.TrimPrefix(srv.URL, "http://")+"/team/hello:1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Errorf("the pulled image: %v", err)
	}
	f, err := pulled.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Config.Entrypoint, []string{"/hello"}) || !slices.Equal(f.Config.Cmd, []string{"--x"}) || !slices.Contains(f.Config.Env, "A=b") {
		t.Errorf("configuration is %+v", f.Config)
	}
	if m, err := s.Image(home, "team/hello", "1"); err != nil || m.Digest != d1.String() {
		t.Errorf("Image: %v %v", m, err)
	}

	// The pushed image is a base for the next.
	above, err := image.Build(t.Context(), image.BuildOptions{Path: bin, Target: "/opt", From: "team/hello:1", Remote: remoteOf(srv)})
	if err != nil {
		t.Fatal(err)
	}
	if layers, _ := above.Layers(); len(layers) != 2 {
		t.Errorf("an image above another has %d layers", len(layers))
	}
}

// TestRoundTrip pushes images and indexes of both kinds and pulls them back.
func TestRoundTrip(t *testing.T) {
	s, srv := open(t)
	for _, n := range []string{"app", "other"} {
		if err := s.EnsureRepository(t.Context(), home, n); err != nil {
			t.Fatal(err)
		}
	}
	host := strings.TrimPrefix(srv.URL, "http://")
	ref := func(s string) name.Reference {
		r, err := name.ParseReference(host+"/"+s, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	opt := remote.WithAuth(authn.Anonymous)
	docker, _ := random.Image(2000, 3)
	oci := mutate.MediaType(mutate.ConfigMediaType(docker, types.OCIConfigJSON), types.OCIManifestSchema1)
	for tag, img := range map[string]v1.Image{"docker": docker, "oci": oci} {
		if err := remote.Write(ref("app:"+tag), img, opt); err != nil {
			t.Fatal(tag, err)
		}
		back, err := remote.Image(ref("app:"+tag), opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(back); err != nil {
			t.Error(tag, err)
		}
	}
	index, _ := random.Index(1000, 2, 3)
	if err := remote.WriteIndex(ref("app:index"), index, opt); err != nil {
		t.Fatal(err)
	}
	back, err := remote.Index(ref("app:index"), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(back); err != nil {
		t.Error(err)
	}
	tags, err := remote.List(ref("app:x").Context(), opt, remote.WithPageSize(2))
	if err != nil || !slices.Equal(tags, []string{"docker", "index", "oci"}) {
		t.Errorf("tags: %v %v", tags, err)
	}
	m, _ := s.Image(home, "app", "index")
	im, _ := index.IndexManifest()
	if _, err := s.DeleteImage(t.Context(), home, "app", im.Manifests[0].Digest.String()); !errors.Is(err, image.ErrReferenced) {
		t.Errorf("an index's image was deleted: %v", err)
	}
	if err := remote.Delete(ref("app@"+m.Digest), opt); err != nil {
		t.Error(err)
	}
	if _, err := remote.Index(ref("app:index"), opt); err == nil {
		t.Error("a deleted index can be pulled")
	}
}
