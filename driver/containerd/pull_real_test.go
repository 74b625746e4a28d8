package containerd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

// TestPullEndpoint pulls from a registry name that does not exist, by way of
// an endpoint that stands in for it, with credentials.
func TestPullEndpoint(t *testing.T) {
	d := openTest(t, Config{})
	reg := drivertest.NewRegistry(t)
	reg.Push(t, "team/app:1", drivertest.Busybox(t, v1.Config{Cmd: sh("echo from the registry")}))
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("AWS:secret"))
	reg.Guard(func(r *http.Request) bool { return r.Header.Get("Authorization") == want })
	reg.Requests()

	p := driver.Pull{Ref: "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:1", Endpoint: reg.Host, PlainHTTP: true, User: "AWS", Password: "wrong"}
	if _, err := d.Pull(t.Context(), p, nil); !errors.Is(err, driver.ErrAuth) || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("wrong password: %v", err)
	}
	p.Password = "secret"
	if _, err := d.Pull(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range reg.Requests() {
		if !strings.Contains(r, " 123456789012.dkr.ecr.us-east-1.amazonaws.com/v2/") {
			t.Errorf("the Host header is not the registry's: %s", r)
		}
	}
	if out, _ := result(t, d, driver.Spec{Image: p.Ref}); out != "from the registry\n" {
		t.Errorf("output %q", out)
	}
}

// TestPullAgain proves when the registry is asked, and for what.
func TestPullAgain(t *testing.T) {
	d := openTest(t, Config{})
	reg := drivertest.NewRegistry(t)
	ref := reg.Push(t, "team/app:latest", drivertest.Busybox(t, v1.Config{Cmd: sh("echo one")}))
	pull := func(ref string, always bool) (driver.Image, []string) {
		t.Helper()
		reg.Requests()
		im, err := d.Pull(t.Context(), driver.Pull{Ref: ref, Always: always}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return im, reg.Requests()
	}
	first, asked := pull(ref, false)
	if len(asked) == 0 {
		t.Fatal("the first pull asked nothing")
	}
	if _, asked := pull(ref, false); len(asked) != 0 {
		t.Errorf("a present image was asked for: %v", asked)
	}
	if _, asked := pull(ref, true); len(asked) != 1 || !strings.HasPrefix(asked[0], "HEAD ") {
		t.Errorf("an unchanged tag took %v", asked)
	}
	byDigest := strings.TrimSuffix(ref, ":latest") + "@" + first.Digest
	if im, asked := pull(byDigest, true); im.Digest != first.Digest || slices.ContainsFunc(asked, func(r string) bool { return strings.Contains(r, "/blobs/") }) {
		t.Errorf("the same image by digest: %+v took %v", im, asked)
	}
	if _, asked := pull(byDigest, true); len(asked) != 0 {
		t.Errorf("a digest cannot change, but took %v", asked)
	}
	reg.Push(t, "team/app:latest", drivertest.Busybox(t, v1.Config{Cmd: sh("echo two")}))
	if second, _ := pull(ref, true); second.Digest == first.Digest {
		t.Error("a moved tag was not pulled")
	}
	if out, _ := result(t, d, driver.Spec{Image: ref}); out != "two\n" {
		t.Errorf("the moved tag runs %q", out)
	}
	if out, _ := result(t, d, driver.Spec{Image: byDigest}); out != "one\n" {
		t.Errorf("the old digest runs %q", out)
	}
}

// TestPullTogether proves that pulls of one reference at once are one pull,
// and that it ends with its last waiter.
func TestPullTogether(t *testing.T) {
	d := openTest(t, Config{})
	reg := drivertest.NewRegistry(t)
	big := make([]byte, 4<<20)
	_, _ = rand.Read(big)
	ref := reg.Push(t, "team/big:1", drivertest.Busybox(t, v1.Config{}, drivertest.File{Path: "big", Mode: 0o644, Body: big}))
	gate := make(chan struct{})
	var held atomic.Int32
	reg.Guard(func(r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			held.Add(1)
			<-gate
		}
		return true
	})
	reg.Requests()
	quitter, quit := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := d.Pull(quitter, driver.Pull{Ref: ref}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("the quitter got %v", err)
		}
	})
	drivertest.Eventually(t, "the pull to be under way", func() bool { return held.Load() > 0 })
	var told atomic.Int64
	for range 4 {
		wg.Go(func() {
			if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, func(done, total int64) { told.Store(done) }); err != nil {
				t.Error(err)
			}
		})
	}
	drivertest.Eventually(t, "all to wait", func() bool {
		d.pulls.mu.Lock()
		defer d.pulls.mu.Unlock()
		fl := d.pulls.byID[ref]
		if fl == nil {
			return false
		}
		fl.mu.Lock()
		defer fl.mu.Unlock()
		return fl.waiters == 5
	})
	quit() // the first one leaves; the others still want it
	close(gate)
	wg.Wait()
	blobs := map[string]int{}
	for _, r := range reg.Requests() {
		if strings.HasPrefix(r, "GET ") && strings.Contains(r, "/blobs/") {
			blobs[r]++
		}
	}
	for r, n := range blobs {
		if n != 1 {
			t.Errorf("%s: %d times", r, n)
		}
	}
	if told.Load() < int64(len(big)) {
		t.Errorf("the last progress was %d", told.Load())
	}
	if _, err := d.Image(t.Context(), ref); err != nil {
		t.Error(err)
	}
}

func TestPullCancelled(t *testing.T) {
	d := openTest(t, Config{})
	reg := drivertest.NewRegistry(t)
	ref := reg.Push(t, "team/app:1", drivertest.Busybox(t, v1.Config{}))
	gate := make(chan struct{})
	reg.Guard(func(r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			select {
			case <-gate:
			case <-r.Context().Done():
			}
		}
		return true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := d.Pull(ctx, driver.Pull{Ref: ref}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled pull: %v", err)
	}
	close(gate)
	if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, nil); err != nil {
		t.Errorf("the pull after it: %v", err)
	}
}

func TestPullErrors(t *testing.T) {
	d := openTest(t, Config{})
	reg := drivertest.NewRegistry(t)
	slow, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	slow.Close() // nothing listens there now
	for _, c := range []struct {
		ref  string
		want error
		text string
	}{
		{reg.Host + "/no/such:1", driver.ErrImageNotFound, "failed to resolve reference \"" + reg.Host + "/no/such:1\": " + reg.Host + "/no/such:1: not found"},
		{slow.Addr().String() + "/x/y:1", driver.ErrUnreachable, "connection refused"},
		{"registry.invalid/x/y:1", driver.ErrUnreachable, "registry.invalid"},
		{"127.0.0.1/Upper/case:1", driver.ErrImageNotFound, "invalid reference format"},
	} {
		if _, err := d.Pull(t.Context(), driver.Pull{Ref: c.ref}, nil); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", c.ref, err, c.want, c.text)
		}
	}
	// An index without this machine's architecture.
	img, err := mutate.AppendLayers(empty.Image, drivertest.Layer(t, drivertest.File{Path: "x", Mode: 0o644}))
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}})
	ref := reg.PushIndex(t, "other/arch:1", index)
	if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, nil); !errors.Is(err, driver.ErrImageNotFound) || !strings.Contains(err.Error(), "image manifest does not contain descriptor matching platform 'linux/") {
		t.Errorf("another architecture: %v", err)
	}
	img2 := drivertest.Busybox(t, v1.Config{Cmd: sh("echo indexed")})
	ref = reg.PushIndex(t, "multi/arch:1", mutate.AppendManifests(index, mutate.IndexAddendum{Add: img2, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}}))
	im, err := d.Pull(t.Context(), driver.Pull{Ref: ref}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := result(t, d, driver.Spec{Image: ref}); out != "indexed\n" || im.Digest == "" {
		t.Errorf("an image of several architectures: %q", out)
	}
}
