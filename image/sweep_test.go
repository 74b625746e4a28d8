package image_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dhowhq/dhow/image"
)

const ociType = "application/vnd.oci.image.manifest.v1+json"

// put uploads blobs and an image of the first and the second.
func put(t *testing.T, s *image.Store, tag string, blobs ...string) image.Manifest {
	t.Helper()
	for _, b := range blobs {
		id, err := s.StartUpload(home, "app")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), home, "app", id, -1, strings.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Finish(t.Context(), home, "app", id, d(b)); err != nil {
			t.Fatal(err)
		}
	}
	m := `{"schemaVersion":2,"config":{"digest":"` + d(blobs[0]) + `","size":2},"layers":[{"digest":"` + d(blobs[1]) + `","size":5}]}`
	img, err := s.PutManifest(t.Context(), home, "app", tag, ociType, []byte(m))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestSweep: what no image names goes after its grace, what one names stays.
func TestSweep(t *testing.T) {
	var dir string
	var events []image.Event
	s, _ := open(t, func(c *image.Config) {
		dir = c.Dir
		c.Event = func(e image.Event) { events = append(events, e) }
	})
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	kept := put(t, s, "kept", "{}", "shared")
	gone := put(t, s, "gone", "[]", "lonely")
	put(t, s, "both", "{}", "shared")
	abandoned, err := s.StartUpload(home, "app")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteImage(t.Context(), home, "app", gone.Digest); err != nil {
		t.Fatal(err)
	}
	sweep := func(after time.Duration) int {
		t.Helper()
		n, _, err := s.Sweep(t.Context(), time.Now().Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sweep(time.Hour); n != 0 {
		t.Errorf("%d files went before their grace", n)
	}
	if n := sweep(48 * time.Hour); n != 3 { // configuration, layer, manifest
		t.Errorf("%d files went, want 3", n)
	}
	if _, err := s.BlobSize(home, "app", d("lonely")); !errors.Is(err, image.ErrNoBlob) {
		t.Errorf("a swept blob: %v", err)
	}
	if _, err := s.BlobSize(home, "app", d("shared")); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Manifest(home, "app", kept.Digest); err != nil {
		t.Error(err)
	}
	if _, err := s.UploadSize(t.Context(), home, "app", abandoned); !errors.Is(err, image.ErrNoUpload) {
		t.Errorf("an abandoned upload: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "uploads")); len(left) != 0 {
		t.Errorf("left in uploads: %v", left)
	}
	if len(events) != 4 || events[0].Action != "PUSH" || events[0].Tag != "kept" || events[3].Action != "DELETE" || events[3].Digest != gone.Digest {
		t.Errorf("events are %+v", events)
	}

	if err := s.Reset(t.Context(), home.Account); err != nil {
		t.Fatal(err)
	}
	if n := sweep(48 * time.Hour); n != 3 {
		t.Errorf("%d files went after a reset, want 3", n)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "blobs", "sha256")); len(left) != 0 {
		t.Errorf("left in blobs: %v", left)
	}
}

// TestDamage: content that is not what its digest says is not served.
func TestDamage(t *testing.T) {
	var dir string
	s, _ := open(t, func(c *image.Config) { dir = c.Dir })
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	m := put(t, s, "v1", "{}", "layer")
	file := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(m.Digest, "sha256:"))
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Manifest(home, "app", "v1"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged manifest: %v", err)
	}
	put(t, s, "v1", "{}", "layer") // pushing it again mends it
	if _, _, err := s.Manifest(home, "app", "v1"); err != nil {
		t.Error(err)
	}
}

// TestExpire carries a lifecycle policy out.
func TestExpire(t *testing.T) {
	s, _ := open(t)
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "release-1", "{}", "a")
	old := put(t, s, "", "{}", "b")
	_, err := s.UpdateRepository(t.Context(), home, "app", func(r *image.Repository) error {
		r.Lifecycle = `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":7},"action":{"type":"expire"}}]}`
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ days, left int }{{6, 2}, {8, 1}} {
		if err := s.Expire(t.Context(), time.Now().Add(time.Duration(c.days)*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		images, _, _ := s.Images(home, "app")
		if len(images) != c.left {
			t.Errorf("after %d days %d images are left, want %d", c.days, len(images), c.left)
		}
	}
	if _, err := s.Image(home, "app", old.Digest); !errors.Is(err, image.ErrNoManifest) {
		t.Errorf("the untagged image: %v", err)
	}
}

// TestSweepGivesWay: a sweep waits for a push only where it has something to
// remove, and lets pushes in between what it removes.
func TestSweepGivesWay(t *testing.T) {
	pushed, goOn := make(chan struct{}), make(chan struct{})
	hold := false
	s, _ := open(t, func(c *image.Config) {
		c.Event = func(image.Event) {
			if hold {
				pushed <- struct{}{}
				<-goOn
			}
		}
	})
	if err := s.EnsureRepository(t.Context(), home, "app"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "v1", "{}", "layer")
	hold = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		put(t, s, "v2", "{}", "layer")
	}()
	<-pushed // and not over yet
	swept := make(chan error)
	later := time.Now().Add(48 * time.Hour)
	go func() {
		_, _, err := s.Sweep(t.Context(), later)
		swept <- err
	}()
	select {
	case err := <-swept:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a sweep that has nothing to remove waits for a push")
	}
	close(goOn)
	<-done
	hold = false

	const unused = 100
	for i := range unused {
		id, err := s.StartUpload(home, "app")
		if err != nil {
			t.Fatal(err)
		}
		blob := fmt.Sprint("unused ", i)
		if _, err := s.Append(t.Context(), home, "app", id, -1, strings.NewReader(blob)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Finish(t.Context(), home, "app", id, d(blob)); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	go func() {
		_, _, err := s.Sweep(t.Context(), later)
		swept <- err
	}()
	manifest := []byte(`{"schemaVersion":2,"config":{"digest":"` + d("{}") + `","size":2},"layers":[{"digest":"` + d("layer") + `","size":5}]}`)
	for {
		select {
		case err := <-swept:
			if err != nil || n < 5 {
				t.Errorf("%d pushes while %d blobs were swept, %v", n, unused, err)
			}
			return
		default:
		}
		if _, err := s.PutManifest(t.Context(), home, "app", "v1", ociType, manifest); err != nil {
			t.Fatal(err)
		}
		n++
	}
}
