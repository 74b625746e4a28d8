package lb

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// FuzzHead sends what net/http takes for a request through appendHead: a target
// must see one request, of the same method and URI, and nothing behind it.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /a%2f?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close, X-A\r\nX-A: 1\r\n\r\n0\r\n\r\n",
		"PUT http://b/x HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nTe: trailers\r\nX_y: \xff\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: a:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: 1.2.3.4\r\nX-Amzn-Trace-Id: Root=1;Self=2\r\n\r\n",
	} {
		f.Add([]byte(s), "append", false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, xff string, drop bool) {
		in, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || in.Method == http.MethodConnect || !served(in) {
			return
		}
		in.RemoteAddr = "192.0.2.1:1234"
		upgrade := upgradeOf(in.Header)
		p := &plan{port: 8080, xff: xff, dropHeaders: drop}
		r := bufio.NewReader(bytes.NewReader(p.appendHead(nil, in, upgrade)))
		out, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("of %q the target gets what is no request: %v", raw, err)
		}
		if out.Method != in.Method || out.URL.RequestURI() != in.URL.RequestURI() {
			t.Errorf("%s %s became %s %s", in.Method, in.URL.RequestURI(), out.Method, out.URL.RequestURI())
		}
		if out.ContentLength != in.ContentLength {
			t.Errorf("the length %d became %d", in.ContentLength, out.ContentLength)
		}
		if rest, _ := r.Peek(1); len(rest) > 0 {
			t.Errorf("behind the head of %q is %q", raw, rest)
		}
		if out.Header.Get("X-Forwarded-Proto") != "http" || len(out.Header["X-Amzn-Trace-Id"]) != 1 {
			t.Errorf("headers are %v", out.Header)
		}
	})
}

// served says whether net/http's server gives a request to its handlers: it
// refuses fields that are not valid, which ReadRequest takes.
func served(r *http.Request) bool {
	ok := false
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ok = true })}
	client, server := net.Pipe()
	ln := &onceListener{c: server, done: make(chan struct{})}
	go s.Serve(ln)
	defer s.Close()
	client.SetDeadline(time.Now().Add(time.Second))
	var b bytes.Buffer
	b.WriteString(r.Method + " " + r.RequestURI + " HTTP/1.1\r\nHost: " + r.Host + "\r\nConnection: close\r\n")
	for k, vv := range r.Header {
		for _, v := range vv {
			if k != "Connection" && k != "Content-Length" {
				b.WriteString(k + ": " + v + "\r\n")
			}
		}
	}
	b.WriteString("\r\n")
	go client.Write(b.Bytes())
	io.Copy(io.Discard, client)
	client.Close()
	return ok
}

type onceListener struct {
	c    net.Conn
	done chan struct{}
}

func (l *onceListener) Accept() (net.Conn, error) {
	if c := l.c; c != nil {
		l.c = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}
func (l *onceListener) Close() error   { defer func() { recover() }(); close(l.done); return nil }
func (l *onceListener) Addr() net.Addr { return &net.TCPAddr{} }

// FuzzResponse has a target that answers anything at all: the client gets a
// response or a broken connection, and nothing is left behind.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nhi\r\n0\r\nX: 1\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 042 What\r\n\r\n", "HTTP/1.1 999 What\r\nConnection: Content-Length\r\nContent-Length: 0\r\n\r\n", "junk",
	} {
		f.Add([]byte(s), "GET")
	}
	f.Fuzz(func(t *testing.T, answer []byte, method string) {
		if method != "GET" && method != "HEAD" && method != "POST" {
			return
		}
		e := New(Config{Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				if _, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
					theirs.SetDeadline(time.Now().Add(time.Second))
					theirs.Write(answer)
				}
			}()
			return ours, nil
		}})
		g := &group{e: e, targets: map[string]*target{}}
		at := &target{g: g, key: "t", slot: -1, busy: map[*conn]struct{}{}, rec: record{Health: healthy}}
		at.at.Store(&endpoint{address: "target:80"})
		g.targets["t"] = at
		g.refresh()
		p := &plan{forward: newShares([]WeightedGroup{{"g", 1}}, func(string) *group { return g }), port: 80, idle: time.Second, xff: "append"}
		w := final{httptest.NewRecorder()}
		func() {
			defer func() {
				if v := recover(); v != nil && v != http.ErrAbortHandler {
					panic(v)
				}
			}()
			p.proxy(w, httptest.NewRequest(method, "/", nil))
		}()
		if w.Code < 200 || w.Code > 999 {
			t.Errorf("the client got the status %d", w.Code)
		}
		if at.inflight.Load() != 0 || len(at.busy) != 0 {
			t.Errorf("%d requests and %d connections are left", at.inflight.Load(), len(at.busy))
		}
		at.close()
	})
}

// final records the final response only: httptest's takes the first for it.
type final struct{ *httptest.ResponseRecorder }

func (w final) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseRecorder.WriteHeader(status)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("web-1.us-east-1.elb.localhost:80", "Root=1-2;Self=3;A=b", "200-299,301", "arn:aws:elasticloadbalancing:us-east-1:1:listener/app/a/b/c")
	f.Add("[::1]", ";;=", "-", "arn:::::")
	f.Fuzz(func(t *testing.T, host, trace, matcher, arn string) {
		if label, ok := labelOf(host); ok && (label == "" || label != strings.ToLower(label)) {
			t.Errorf("%q has the label %q", host, label)
		}
		if id := string(appendTrace(nil, trace, time.Now())); !strings.Contains(id, "=1-") || strings.Count(id, "Self=") > 1+strings.Count(trace, "Self=") {
			t.Errorf("%q became %q", trace, id)
		}
		if m, err := ParseMatcher(matcher); err == nil && (m(199) || m(500)) {
			t.Errorf("%q matches what is out of range", matcher)
		}
		if kind, name, ok := nameOf(arn); ok && (kind == "" || strings.Contains(name, "/")) {
			t.Errorf("%q is %s %s", arn, kind, name)
		}
	})
}
