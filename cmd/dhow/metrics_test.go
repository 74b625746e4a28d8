package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
)

// Callers who make operations up make no series, and names that are no text,
// which Prometheus refuses by a panic, are answered like others.
func TestMetricsAreBounded(t *testing.T) {
	m := newMetrics()
	p := &platform{balancer: lb.New(lb.Config{})}
	api, err := awsapi.New(awsapi.Config{Account: "000000000000", Observe: m.observe}, p.services()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"Nope", "Nonsense", "\xff\xfe"} {
		r := httptest.NewRequest("POST", "/", strings.NewReader("{}"))
		r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113."+op)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d, want 400", op, w.Code)
		}
	}
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == "dhow_api_calls_total" && len(f.GetMetric()) != 1 {
			t.Errorf("%d series of three operations that do not exist, want 1: %v", len(f.GetMetric()), f)
		}
	}
}
