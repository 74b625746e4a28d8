package image_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/store/storetest"
)

var home = cluster.Scope{Account: "000000000000", Region: "us-east-1"}

// open returns a store of images and a server of its registry.
func open(t testing.TB, change ...func(*image.Config)) (*image.Store, *httptest.Server) {
	t.Helper()
	c := image.Config{Dir: t.TempDir(), DB: storetest.Open(t)}
	for _, f := range change {
		f(&c)
	}
	s, err := image.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	srv := httptest.NewServer(image.NewRegistry(s))
	t.Cleanup(srv.Close)
	return s, srv
}

func remoteOf(srv *httptest.Server) image.Remote {
	return image.Remote{Endpoint: srv.URL, Scope: home, Transport: http.DefaultTransport}
}

// program builds a static Linux program once per test run.
func staticProgram(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "main.go")
	if err := os.WriteFile(src, []byte("package main\nfunc main() { println(\"hello\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "hello")
	c := exec.Command("go", "build", "-o", bin, src)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}
