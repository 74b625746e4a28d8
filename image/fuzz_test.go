package image_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzHandler: no request makes the registry panic or fail inside.
func FuzzHandler(f *testing.F) {
	f.Add("PUT", "/v2/app/manifests/x", "", "application/json", `{"schemaVersion":2}`)
	f.Add("PATCH", "/v2/app/blobs/uploads/00000000-0000-0000-0000-000000000000", "0-4", "", "hello")
	f.Add("POST", "/v2/app/blobs/uploads/?digest="+d("hello"), "bytes 0-4/5", "", "hello")
	f.Add("GET", "/v2/app/tags/list?n=1&last=%00", "", "", "")
	s, srv := open(f)
	srv.Close()
	if err := s.EnsureRepository(f.Context(), home, "app"); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target, rng, kind, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		r.Header.Set("Content-Range", rng)
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %q: %d %s", method, target, w.Code, w.Body)
		}
	})
}
