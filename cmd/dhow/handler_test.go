package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dhowhq/dhow/cluster/outlet"
	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/services/ecs/acs"
	"github.com/dhowhq/dhow/store/storetest"
)

// A page of another site cannot have a browser change anything by dhow's own
// paths, which ask for no credentials; programs can.
func TestOwnPathsRefuseOtherSites(t *testing.T) {
	db := storetest.Open(t)
	p := &platform{db: db, metrics: newMetrics(), balancer: lb.New(lb.Config{DB: db}), outlet: &outlet.Outlet{}, acs: acs.New(acs.Config{DB: db})}
	var err error
	if p.logstore, err = logstore.Open(logstore.Config{Dir: t.TempDir(), DB: db}); err != nil {
		t.Fatal(err)
	}
	defer p.logstore.Close()
	if p.images, err = image.Open(image.Config{Dir: t.TempDir(), DB: db}); err != nil {
		t.Fatal(err)
	}
	defer p.images.Close()
	if p.api, err = awsapi.New(awsapi.Config{Account: "000000000000", Region: "us-east-1"}, p.services()...); err != nil {
		t.Fatal(err)
	}
	h := p.handler()
	for _, c := range []struct {
		name   string
		header map[string]string
		want   int
	}{
		{"a program", nil, http.StatusNoContent},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"another site, in an old browser", map[string]string{"Origin": "https://example.com"}, http.StatusForbidden},
		{"dhow's own page", map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusNoContent},
	} {
		r := httptest.NewRequest("POST", "http://127.0.0.1:4566/_dhow/repositories/app", nil)
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
	}
}
