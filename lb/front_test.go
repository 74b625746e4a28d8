package lb

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
)

func (r *rig) ask(url, host string) (int, string) {
	r.t.Helper()
	q, _ := http.NewRequest("GET", url, nil)
	q.Host = host
	resp, err := r.client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestManyOnOnePort has two load balancers on the same port: each at its own
// address, both at the shared ones by Host, and on the API's port by Host.
func TestManyOnOnePort(t *testing.T) {
	extra := netip.MustParseAddr("127.0.63.9")
	r := newRig(t, func(c *Config) {
		c.ExtraAddrs = func() []netip.Addr { return []netip.Addr{extra} }
		c.API = "127.0.0.1:4566"
	})
	port := freePort(t)
	rows := map[string]LoadBalancer{}
	for _, name := range []string{"Blue", "green"} {
		l := Listener{Scope: home, Balancer: name, Port: port, Action: Action{Fixed: &FixedResponse{Status: 200, Body: name}}}
		b := LoadBalancer{Scope: home, Name: name}
		r.update(func(tx *Tx) error {
			if err := CreateLoadBalancer(tx, &b); err != nil {
				return err
			}
			l.BalancerID = b.ID
			return PutListener(tx, &l)
		})
		r.e.Sync(b.ARN())
		rows[name] = b
		if name == "Blue" {
			if _, body := r.ask("http://"+withPort(extra.String(), port), "whatever"); body != name {
				t.Errorf("the only load balancer on a shared address said %q", body)
			}
		}
	}
	for name, b := range rows {
		if _, body := r.get("http://" + withPort(b.Address, port)); body != name {
			t.Errorf("at %s's address: %q", name, body)
		}
		for _, addr := range []string{"127.0.63.1", extra.String()} {
			for _, host := range []string{b.DNSName(), strings.ToUpper(b.DNSName()) + ".", withPort(b.InsideName(), port)} {
				if _, body := r.ask("http://"+withPort(addr, port), host); body != name {
					t.Errorf("%s asked for %s: %q", addr, host, body)
				}
			}
		}
		h, ok := r.e.Match(b.DNSName() + ":4566")
		if !ok {
			t.Fatalf("%s is not matched", b.DNSName())
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Body.String() != name {
			t.Errorf("on the API's port: %q", w.Body)
		}
		if addrs, ok := r.e.Addresses(b.InsideName() + "."); !ok || len(addrs) != 1 || addrs[0] != extra {
			t.Errorf("%s is at %v", b.InsideName(), addrs)
		}
	}
	if status, body := r.ask("http://"+withPort("127.0.63.1", port), "localhost"); status != 404 || !strings.Contains(body, "several load balancers") {
		t.Errorf("a shared address without a name: %d %q", status, body)
	}
	if status, body := r.ask("http://"+withPort("127.0.63.1", port), "no-1.us-east-1.elb.localhost"); status != 404 || !strings.Contains(body, "no load balancer called no-1.us-east-1") {
		t.Errorf("a name that is nobody's: %d %q", status, body)
	}
	if _, ok := r.e.Match("127.0.0.1:4566"); ok {
		t.Error("the API's own host is matched")
	}
	h, ok := r.e.Match("gone-123.us-east-1.elb.localhost:4566")
	w := httptest.NewRecorder()
	if ok {
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	}
	if w.Code != 404 {
		t.Errorf("a load balancer that is gone: matched %v, %d", ok, w.Code)
	}
}

// TestPortTaken has another program on the listener's port: the state says so,
// the API's port serves, and the listener opens once the port is free.
func TestPortTaken(t *testing.T) {
	r := newRig(t, func(c *Config) { c.API = "127.0.0.1:4566" })
	port := freePort(t)
	other, err := net.Listen("tcp", "0.0.0.0:"+itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	b := LoadBalancer{Scope: home, Name: "front"}
	l := Listener{Scope: home, Balancer: "front", Port: port, Action: Action{Fixed: &FixedResponse{Status: 200, Body: "x"}}}
	r.update(func(tx *Tx) error {
		if err := CreateLoadBalancer(tx, &b); err != nil {
			return err
		}
		l.BalancerID = b.ID
		return PutListener(tx, &l)
	})
	if state, _ := r.e.State("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/none/1"); state != "provisioning" {
		t.Errorf("an unknown load balancer is %s", state)
	}
	r.e.Sync(b.ARN())
	state, reason := r.e.State(b.ARN())
	if state != "active" || !strings.Contains(reason, "address already in use") || !strings.Contains(reason, b.Address) {
		t.Errorf("the state is %s: %s", state, reason)
	}
	if u, want := r.e.URL(b.ARN(), port), "http://"+b.DNSName()+":4566/"; u != want {
		t.Errorf("the URL is %s, want %s", u, want)
	}
	other.Close()
	eventually(t, func() string { _, reason := r.e.State(b.ARN()); return reason })
	if _, body := r.get(r.e.URL(b.ARN(), port)); body != "x" {
		t.Errorf("got %q", body)
	}
}

// TestYield gives a port at the shared address to another, and takes it back.
func TestYield(t *testing.T) {
	r := newRig(t)
	_, l := r.balancer("front")
	shared := "127.0.63.1:" + itoa(l.Port)
	r.get("http://" + shared)
	if r.e.Yield(1) {
		t.Error("a port that nobody has was given up")
	}
	if !r.e.Yield(uint16(l.Port)) {
		t.Fatal("the port was not given up")
	}
	other, err := net.Listen("tcp", shared)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r.e.mu.Lock()
	r.e.listen(true)
	open := r.e.fronts[netip.MustParseAddrPort(shared)]
	clear(r.e.yielded) // its time is over
	r.e.mu.Unlock()
	if open != nil {
		t.Error("the port was taken back at once")
	}
	other.Close()
	r.e.mu.Lock()
	r.e.listen(false)
	r.e.mu.Unlock()
	r.get("http://" + shared)
}

// TestListenerMoves changes a listener's port, and deletes it.
func TestListenerMoves(t *testing.T) {
	r := newRig(t)
	b, l := r.balancer("front")
	from := "http://" + withPort(b.Address, l.Port)
	r.get(from)
	l.Port = freePort(t)
	r.update(func(tx *Tx) error { return PutListener(tx, &l) })
	r.e.Sync(b.ARN())
	if resp, err := http.Get(from); err == nil {
		resp.Body.Close()
		t.Error("the old port is still open")
	}
	to := "http://" + withPort(b.Address, l.Port)
	r.get(to)
	r.update(func(tx *Tx) error { return RemoveListener(tx, l) })
	r.e.Sync(b.ARN())
	if resp, err := http.Get(to); err == nil {
		resp.Body.Close()
		t.Error("a deleted listener is still open")
	}
	if b, _ := r.balancerRow("front"); len(b.Ports) > 0 {
		t.Errorf("the load balancer still has ports %v", b.Ports)
	}
}

// TestClientKeepAlive closes a client's connection when its time is over, but
// not in the middle of a response.
func TestClientKeepAlive(t *testing.T) {
	r := newRig(t)
	b, l := r.balancer("front")
	r.update(func(tx *Tx) error {
		l.Action = Action{Fixed: &FixedResponse{Status: 200, Body: "x"}}
		b, _ := LoadBalancers.Get(tx, b.Key())
		b.Attributes = map[string]string{attrKeepAlive: "1"}
		if err := LoadBalancers.Put(tx, b); err != nil {
			return err
		}
		return PutListener(tx, &l)
	})
	r.e.Sync(b.ARN())
	url := r.e.URL(b.ARN(), l.Port)
	first, err := r.client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, first.Body)
	first.Body.Close()
	time.Sleep(1100 * time.Millisecond)
	later, err := r.client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	later.Body.Close()
	if first.Close || !later.Close {
		t.Errorf("close is %v at first and %v after a second", first.Close, later.Close)
	}
}

func TestLocation(t *testing.T) {
	for _, tc := range []struct {
		d    Redirect
		url  string
		want string
	}{
		{Redirect{Protocol: "HTTPS", Port: "443"}, "http://example.com/a%20b?c=d", "https://example.com/a%20b?c=d"},
		{Redirect{Protocol: "#{protocol}", Host: "www.#{host}", Port: "#{port}", Path: "/#{path}", Query: "#{query}"}, "http://example.com:81/x", "http://www.example.com:81/x"},
		{Redirect{Port: "8443", Protocol: "HTTPS", Path: "/new/#{path}", Query: "from=#{host}"}, "http://example.com/x?y", "https://example.com:8443/new/x?from=example.com"},
		{Redirect{Host: "other", Path: "/"}, "http://example.com/x/y", "http://other:81/"},
	} {
		q := httptest.NewRequest("GET", tc.url, nil)
		if got := tc.d.location(q, "http", "81"); got != tc.want {
			t.Errorf("%+v of %s is %s, want %s", tc.d, tc.url, got, tc.want)
		}
	}
}

func TestLabelOf(t *testing.T) {
	for host, want := range map[string]string{
		"web-1.us-east-1.elb.localhost":             "web-1.us-east-1",
		"WEB-1.us-east-1.ELB.localhost:80":          "web-1.us-east-1",
		"web-1.us-east-1.elb.dhow.internal.":        "web-1.us-east-1",
		"web-1.us-east-1.elb.dhow.internal:8080":    "web-1.us-east-1",
		"elb.localhost":                             "",
		".elb.localhost":                            "",
		"localhost:4566":                            "",
		"[::1]:80":                                  "",
		"web-1.us-east-1.elb.amazonaws.com":         "",
		"web-1.us-east-1.elb.localhost.example.com": "",
		"":               "",
		":":              "",
		"melb.localhost": "",
	} {
		if got, ok := labelOf(host); got != want || ok != (want != "") {
			t.Errorf("%q has the label %q (%v), want %q", host, got, ok, want)
		}
	}
	b := LoadBalancer{Scope: cluster.Scope{Region: "eu-west-1"}, Name: "Web", DNSID: "123"}
	for _, name := range []string{b.DNSName(), b.InsideName()} {
		if l, ok := labelOf(name); !ok || l != b.label() {
			t.Errorf("%s has the label %q", name, l)
		}
	}
}
