package containerd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/driver"
)

// collectGarbage runs containerd's garbage collector to its end.
func collectGarbage(t *testing.T, d *Driver) {
	t.Helper()
	l, err := d.cl.LeasesService().Create(t.Context(), leases.WithRandomID(), leases.WithExpiration(time.Minute))
	if err == nil {
		err = d.cl.LeasesService().Delete(t.Context(), l, leases.SynchronousDelete)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBase proves that a start makes nothing in a container's own layer, and
// that a base is there for as long as its image.
func TestBase(t *testing.T) {
	d, ref := busybox(t, v1.Config{Cmd: []string{"sleep", "3600"}})
	if d.snapshotter != "overlayfs" {
		t.Skip("this machine's file system has no overlays")
	}
	im, err := d.image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(im.base, baseRoot) {
		t.Fatalf("containers are made on %s", im.base)
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("10.1.2.3 db\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := driver.Spec{ID: "a", Image: ref}
	for _, f := range mountFiles {
		s.Mounts = append(s.Mounts, driver.Mount{Type: "bind", Source: hosts, Target: f})
	}
	start(t, d, s)
	mounts, err := d.snap.Mounts(t.Context(), snapshotKey("a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range mounts[0].Options {
		if upper, ok := strings.CutPrefix(o, "upperdir="); ok {
			if made := entries(upper); len(made) != 0 {
				t.Errorf("the start made %v", made)
			}
		}
	}

	has := func(key string) bool {
		_, err := d.snap.Stat(t.Context(), key)
		if err != nil && !errdefs.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	collectGarbage(t, d)
	if err := d.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	collectGarbage(t, d)
	if !has(im.base) {
		t.Error("the base of a present image was collected")
	}
	d = again(t, d)
	if now, err := d.image(t.Context(), ref); err != nil || now.base != im.base {
		t.Errorf("after a restart containers are made on %v, %v", now, err)
	}
	if err := d.RemoveImage(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	collectGarbage(t, d)
	if has(im.base) {
		t.Error("the base outlived its image")
	}
}

// TestBaseTogether makes one base several times at once.
func TestBaseTogether(t *testing.T) {
	d, ref := busybox(t, v1.Config{})
	im, err := d.image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	chain, ok := strings.CutPrefix(im.base, baseRoot)
	if !ok {
		t.Skip("this machine's file system has no overlays")
	}
	if err := d.snap.Remove(t.Context(), im.base); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	const n = 4
	for range n {
		go func() { errs <- d.makeBase(context.WithoutCancel(t.Context()), chain) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if out, _ := result(t, d, driver.Spec{Image: ref, Command: sh("ls /etc/hosts")}); out != "/etc/hosts\n" {
		t.Errorf("output %q", out)
	}
	for _, dir := range entries(d.paths.run) {
		if strings.HasPrefix(dir, "rootfs-") {
			t.Errorf("%s is left", dir)
		}
	}
}

// TestAddMountPoints: what an image has stays as it is, and its links lead
// nowhere but into it.
func TestAddMountPoints(t *testing.T) {
	outside := t.TempDir()
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(root, "etc"), 0o700))
	must(os.Symlink(filepath.Join(outside, "resolv.conf"), filepath.Join(root, "etc", "resolv.conf")))
	must(os.Symlink("../../../../../sys-of-image", filepath.Join(root, "sys")))
	must(os.WriteFile(filepath.Join(root, "etc", "hosts"), []byte("image's\n"), 0o600))
	must(unix.Mkfifo(filepath.Join(root, "etc", "hostname"), 0o600))
	for range 2 {
		must(addMountPoints(root))
	}
	if left := entries(outside); len(left) != 0 {
		t.Errorf("made outside the root: %v", left)
	}
	for _, p := range []string{"dev", "proc", "sys-of-image", filepath.Join(outside, "resolv.conf")} {
		if _, err := os.Stat(filepath.Join(root, p)); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(root, "etc", "hosts")); string(b) != "image's\n" {
		t.Errorf("hosts is %q, %v", b, err)
	}

	broken := t.TempDir()
	must(os.WriteFile(filepath.Join(broken, "etc"), nil, 0o600))
	if err := addMountPoints(broken); err == nil {
		t.Error("an /etc that is a file was taken")
	}
}
