package drivertest

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Registry is an OCI registry in this process, on loopback.
type Registry struct {
	Host string // host:port

	mu       sync.Mutex
	guard    func(*http.Request) bool
	requests []string
}

// NewRegistry starts a registry that ends with the test.
func NewRegistry(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		guard := r.guard
		r.requests = append(r.requests, req.Method+" "+req.Host+req.URL.Path)
		r.mu.Unlock()
		if guard != nil && !guard(req) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	r.Host = strings.TrimPrefix(srv.URL, "http://")
	return r
}

// Guard has requests refused, with a challenge for Basic authentication,
// unless ok.
func (r *Registry) Guard(ok func(*http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guard = ok
}

// Requests returns "METHOD host/path" of each request since the last call.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	return out
}

// Push stores an image as repository:tag and returns its full reference.
func (r *Registry) Push(t testing.TB, repoTag string, img v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(r.Host+"/"+repoTag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatalf("push %s: %v", ref, err)
	}
	return ref.String()
}

// PushIndex is Push for an index of images.
func (r *Registry) PushIndex(t testing.TB, repoTag string, index v1.ImageIndex) string {
	t.Helper()
	ref, err := name.ParseReference(r.Host+"/"+repoTag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatalf("push %s: %v", ref, err)
	}
	return ref.String()
}

// File of an image's layer. A Link is a symbolic link, a Dir a directory.
type File struct {
	Path string
	Mode int64
	Body []byte
	Link string
	Dir  bool
	UID  int
}

// Busybox builds an image of the machine's static busybox with sh, sleep and
// so on, a user "app" (1000:1000, also in group "extra" 2000), and more files.
// It skips the test where busybox is not installed.
func Busybox(t testing.TB, config v1.Config, more ...File) v1.Image {
	t.Helper()
	bin, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skip("no /bin/busybox to build an image from: apt-get install busybox-static")
	}
	files := []File{
		{Path: "bin", Dir: true, Mode: 0o755},
		{Path: "bin/busybox", Mode: 0o755, Body: bin},
		{Path: "etc", Dir: true, Mode: 0o755},
		{Path: "etc/passwd", Mode: 0o644, Body: []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")},
		{Path: "etc/group", Mode: 0o644, Body: []byte("root:x:0:\napp:x:1000:\nextra:x:2000:app\n")},
		{Path: "tmp", Dir: true, Mode: 0o1777},
		{Path: "home/app", Dir: true, Mode: 0o755, UID: 1000},
	}
	for _, applet := range []string{"sh", "sleep", "cat", "echo", "true", "false", "id", "env", "pwd", "ls", "dd", "kill",
		"head", "yes", "test", "touch", "stat", "mount", "hostname", "ps", "nproc", "tail", "grep", "nc", "wc", "tr", "readlink", "usleep", "seq", "stty", "awk"} {
		files = append(files, File{Path: "bin/" + applet, Link: "busybox"})
	}
	layer := Layer(t, append(files, more...)...)
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	if config.Env == nil {
		config.Env = []string{"PATH=/bin", "IMAGE=yes"}
	}
	img, err = mutate.ConfigFile(img, configFile(t, img, config))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func configFile(t testing.TB, img v1.Image, config v1.Config) *v1.ConfigFile {
	t.Helper()
	cf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture, cf.Config = "linux", goarch, config
	return cf
}

// Layer makes an image layer of files.
func Layer(t testing.TB, files ...File) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.Path, Mode: f.Mode, Size: int64(len(f.Body)), Typeflag: tar.TypeReg, Uid: f.UID, Gid: f.UID}
		switch {
		case f.Dir:
			h.Typeflag = tar.TypeDir
		case f.Link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}
