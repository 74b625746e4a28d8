package confluent

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/store/storetest"
)

// FuzzCalls has any call answered in the API's form, and none for a reason of
// dhow's own.
func FuzzCalls(f *testing.F) {
	f.Add("POST", "/subjects/a%2Fb/versions", avro("id"))
	f.Add("POST", "/contexts/.x/subjects/%ff/versions?normalize=true", posting("JSON", `{"type":"object"}`, reference{"a", "b", 1}))
	f.Add("PUT", "/config/:.x:y", `{"compatibility":"FULL"}`)
	f.Add("PUT", "/mode/a", `{"mode":"READONLY"}`)
	f.Add("DELETE", "/subjects/a/versions/latest?permanent=true", "")
	f.Add("POST", "/compatibility/subjects/a/versions/1?verbose=true", posting("PROTOBUF", `syntax = "proto3"; message A {}`))
	f.Add("GET", "/schemas/ids/1/versions?subject=a&offset=-1&limit=9", "")
	e := registry.New(registry.Config{DB: storetest.Open(f)})
	f.Cleanup(e.Close)
	a := New(Config{Engine: e, Scope: func(*http.Request) cluster.Scope { return here }, Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.ParseRequestURI(Prefix + "/" + strings.TrimLeft(path, "/"))
		if err != nil || method == "" {
			return
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if moved := w.Code/100 == 3; w.Code >= 500 || !moved && w.Header().Get("Content-Type") != mediaType {
			t.Errorf("%s %s: %d %s %s", method, u, w.Code, w.Header(), w.Body)
		}
	})
}
