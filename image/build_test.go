package image_test

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dhowhq/dhow/image"
)

// elfWith writes an ELF header of a 64-bit little-endian program for machine,
// with a loader if interp is not empty.
func elfWith(t *testing.T, file string, machine byte, interp string) string {
	t.Helper()
	b := make([]byte, 64+56)
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[20] = 2, machine, 1 // ET_EXEC, machine, version
	b[52], b[54] = 64, 56               // header sizes
	if interp != "" {
		b[32], b[56] = 64, 1    // one program header, behind the header
		b[64], b[64+8] = 3, 120 // PT_INTERP, its offset
		b[64+32] = byte(len(interp) + 1)
		b = append(append(b, interp...), 0)
	}
	if err := os.WriteFile(file, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func write(t *testing.T, file, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := t.TempDir()
	static := elfWith(t, dir+"/static", 62, "")
	dynamic := elfWith(t, dir+"/dynamic", 62, "/lib64/ld-linux-x86-64.so.2")
	write(t, dir+"/script", "#!/bin/sh\n", 0o755)
	write(t, dir+"/text", "hello", 0o755)
	write(t, dir+"/plain", "\x7fELF", 0o644)
	write(t, dir+"/data/a", "a", 0o644)
	write(t, dir+"/whiteout/.wh.a", "a", 0o644)
	if err := os.Mkdir(dir+"/none", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    image.BuildOptions
		want string
	}{
		{image.BuildOptions{Path: dir + "/absent"}, "no such file"},
		{image.BuildOptions{Path: dynamic}, "dynamically linked (it needs /lib64/ld-linux-x86-64.so.2)"},
		{image.BuildOptions{Path: dir + "/script"}, "script for /bin/sh"},
		{image.BuildOptions{Path: dir + "/text"}, "neither ELF nor a #! script"},
		{image.BuildOptions{Path: static, Platform: "linux/arm64"}, "a program for linux/amd64, not for linux/arm64"},
		{image.BuildOptions{Path: static, Platform: "plan9/amd64"}, "is not linux/ARCH"},
		{image.BuildOptions{Path: static, Env: []string{"A"}}, "is not NAME=VALUE"},
		{image.BuildOptions{Path: static, Expose: []string{"99999"}}, "port"},
		{image.BuildOptions{Path: static, WorkingDir: "x"}, "not absolute"},
		{image.BuildOptions{Path: dir + "/data"}, "say --entrypoint"},
		{image.BuildOptions{Path: dir + "/data", Entrypoint: []string{"/b"}}, "entrypoint /b is not in"},
		{image.BuildOptions{Path: dir + "/whiteout"}, ".wh."},
		{image.BuildOptions{Path: dir + "/none"}, "is empty"},
	} {
		if _, err := image.Build(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Build(%+v): %v, want %q", c.o, err, c.want)
		}
	}
}

// entries lists an image's last layer.
func entries(t *testing.T, img v1.Image) (list []string) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s is of %d:%d at %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		list = append(list, h.FileInfo().Mode().String()+" "+h.Name)
	}
}

func TestBuildDirectory(t *testing.T) {
	dir := t.TempDir()
	elfWith(t, dir+"/app", 183, "") // arm64
	write(t, dir+"/etc/conf.d/x", "x", 0o640)
	if err := os.Symlink("app", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	img, err := image.Build(t.Context(), image.BuildOptions{Path: dir, Target: "/srv", Entrypoint: []string{"/srv/app"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"drwxr-xr-x srv/", "-rwxr-xr-x srv/app", "drwxr-xr-x srv/etc/", "drwxr-xr-x srv/etc/conf.d/", "-rw-r----- srv/etc/conf.d/x", "Lrwxrwxrwx srv/link"}
	if got := entries(t, img); !slices.Equal(got, want) {
		t.Errorf("the layer has %q, want %q", got, want)
	}
	f, err := img.ConfigFile()
	if err != nil || f.Architecture != "arm64" || f.OS != "linux" {
		t.Errorf("the image is for %s/%s, %v", f.OS, f.Architecture, err)
	}
}

// TestBuildFrom: layouts and tarballs are bases.
func TestBuildFrom(t *testing.T) {
	dir := t.TempDir()
	bin := staticProgram(t)
	own, err := image.Build(t.Context(), image.BuildOptions{Path: bin, Entrypoint: []string{"/base"}, Env: []string{"A=1", "B=2"}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := layout.Write(dir+"/layout", empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(own); err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(dir+"/saved.tar", name.MustParseReference("x/y:1"), own); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"/layout", "/saved.tar"} {
		img, err := image.Build(t.Context(), image.BuildOptions{Path: bin, Target: "/opt", From: dir + from, Env: []string{"A=3"}})
		if err != nil {
			t.Fatal(from, err)
		}
		f, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(f.Config.Env, "A=3") || !slices.Contains(f.Config.Env, "B=2") || slices.Contains(f.Config.Env, "A=1") || !slices.Equal(f.Config.Entrypoint, []string{"/opt/hello"}) {
			t.Errorf("%s: configuration is %+v", from, f.Config)
		}
		if layers, _ := img.Layers(); len(layers) != 2 {
			t.Errorf("%s: %d layers", from, len(layers))
		}
	}
}
