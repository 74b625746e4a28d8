package topic

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
)

// answers is a transport that answers with statuses in turn.
type answers struct {
	statuses []int
	times    []time.Time
	requests []*http.Request
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.times = append(a.times, time.Now())
	a.requests = append(a.requests, r)
	n := min(len(a.times), len(a.statuses)) - 1
	return &http.Response{StatusCode: a.statuses[n], Status: fmt.Sprint(a.statuses[n]), Header: http.Header{"Location": {"http://169.254.169.254/latest/meta-data/"}},
		Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// An HTTP endpoint is tried as its policy says: 5xx and 429 again, all else not,
// and redirects are not followed.
func TestHTTPRetries(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		want     []time.Duration
		dead     bool
	}{
		{[]int{200}, []time.Duration{0}, false},
		{[]int{500, 429, 204}, []time.Duration{0, 20 * time.Second, 40 * time.Second}, false},
		{[]int{503}, []time.Duration{0, 20 * time.Second, 40 * time.Second, 60 * time.Second}, true},
		{[]int{404}, []time.Duration{0}, true},
		{[]int{302}, []time.Duration{0}, true},
	} {
		a := &answers{statuses: c.statuses}
		e := &Engine{cfg: Config{HTTP: a}, routes: newRoutes()}
		synctest.Test(t, func(t *testing.T) {
			p := HTTPPolicy{Retry: defaultRetry()}.policy()
			var last error
			begin := time.Now()
			for n := 0; ; n++ { // as bus/delivery does
				_, err := e.notify(context.Background(), &letter{Message: &Message{ID: "1"}, sub: &Subscription{Endpoint: "http://x/", Raw: true}}, HTTPPolicy{})
				last = err
				told, _ := err.(*delivery.Error)
				if err == nil || told.Permanent || n == p.MaxRetries {
					break
				}
				time.Sleep(p.Backoff(n+1, 0))
			}
			if (last != nil) != c.dead || len(a.times) != len(c.want) {
				t.Fatalf("%v: %d attempts, %v", c.statuses, len(a.times), last)
			}
			for i, at := range a.times {
				if at.Sub(begin) != c.want[i] {
					t.Errorf("%v: attempt %d after %v", c.statuses, i, at.Sub(begin))
				}
			}
		})
	}
}

// Addresses at which machines and tasks find metadata are not called, whatever
// names them; an answer without an end is cut off.
func TestGuard(t *testing.T) {
	for a, want := range map[string]bool{"169.254.169.254": true, "169.254.170.2": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fd00:ec2::254": true, "0.0.0.0": true,
		"127.0.0.1": false, "10.0.0.1": false, "::1": false} {
		if got := forbidden(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	e := &Engine{cfg: Config{HTTP: guarded()}}
	_, err := e.post(context.Background(), "http://169.254.169.254/latest", nil, http.Header{})
	if told, ok := err.(*delivery.Error); !ok || !told.Permanent {
		t.Errorf("a metadata address: %v", err)
	}
	var sent atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 64<<10)
		for {
			n, err := w.Write(block)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	if a, err := e.post(context.Background(), s.URL, nil, http.Header{}); err != nil || a.status != 200 {
		t.Errorf("an answer without an end: %v", err)
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes of the answer were taken", n)
	}
}
