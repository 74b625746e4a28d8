package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is a client that sends what it has to say in pieces, then ends its
// side, and takes whatever comes.
type script struct {
	mu    sync.Mutex
	in    []byte
	piece int
	out   bytes.Buffer
	shut  bool
	ended chan struct{}
}

func (s *script) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shut:
		return 0, net.ErrClosed
	case len(s.in) == 0:
		return 0, io.EOF
	}
	n := copy(p, s.in[:min(len(s.in), s.piece)])
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return 0, net.ErrClosed
	}
	return s.out.Write(p)
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shut {
		s.shut = true
		close(s.ended)
	}
	return nil
}

func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{Port: 80} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{Port: 1234} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// feed is a listener whose connections come by a channel.
type feed chan net.Conn

func (f feed) Accept() (net.Conn, error) {
	if c, ok := <-f; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (feed) Close() error   { return nil }
func (feed) Addr() net.Addr { return &net.TCPAddr{} }

// echo answers with what it was asked, in a way that the path says.
func echo(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Asked", r.Method)
	has := func(word string) bool { return strings.Contains(r.RequestURI, word) }
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s %q %q %q %s %s %d %v %s", r.Method, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.Proto, r.Host, r.ContentLength, r.Close, r.RemoteAddr)
	for k, vv := range r.Header {
		h["In-"+k] = vv
	}
	if !has("unread") {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(&text, " %q %v", b, err)
	}
	if has("shut") {
		r.Body.Close()
	}
	if has("bye") {
		h.Set("Connection", "close")
	}
	if has("keep") {
		h.Set("Connection", "keep-alive")
	}
	if has("type") {
		h.Set("Content-Type", "text/x")
	}
	if has("untyped") {
		h["Content-Type"] = nil
	}
	if has("known") {
		h.Set("Content-Length", fmt.Sprint(text.Len()))
	}
	if has("trail") {
		h.Set("Trailer", "After,, Realm")
		h.Set(http.TrailerPrefix+"Late", "y")
	}
	if has("hint") {
		h.Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Link")
	}
	switch {
	case has("204"):
		w.WriteHeader(http.StatusNoContent)
	case has("304"):
		w.WriteHeader(http.StatusNotModified)
	case has("799"):
		w.WriteHeader(799)
	}
	h.Set("After", "x")
	if has("silent") {
		return
	}
	if has("flush") {
		http.NewResponseController(w).Flush()
	}
	if has("pieces") {
		for _, b := range text.Bytes() {
			w.Write([]byte{b})
		}
		return
	}
	w.Write(text.Bytes())
	if has("large") {
		w.Write(bytes.Repeat([]byte("0123456789abcdef"), 1<<10))
	}
	if has("more") {
		_, err := io.WriteString(w, "more")
		h.Set("After", fmt.Sprint(err))
	}
	if has("panic") {
		panic(http.ErrAbortHandler)
	}
}

// answers is what a client reads from text, in words.
func answers(text []byte) (all []string) {
	br := bufio.NewReader(bytes.NewReader(text))
	for {
		if _, err := br.Peek(1); err != nil {
			return all
		}
		ahead, _ := br.Peek(br.Buffered())
		asked := http.MethodGet
		if head, _, _ := bytes.Cut(ahead, []byte("\r\n\r\n")); bytes.Contains(head, []byte("Asked: HEAD")) {
			asked = http.MethodHead
		}
		res, err := http.ReadResponse(br, &http.Request{Method: asked})
		if err != nil {
			rest, _ := io.ReadAll(br)
			return append(all, fmt.Sprintf("%v %q", err, rest))
		}
		if res.Header.Get("Date") == "" && res.StatusCode < 400 && res.StatusCode > 199 {
			all = append(all, "no date")
		}
		res.Header.Del("Date")
		body, err := io.ReadAll(res.Body)
		var lines []string
		for k, vv := range res.Header {
			lines = append(lines, fmt.Sprintf("%s=%q", k, vv))
		}
		slices.Sort(lines)
		all = append(all, fmt.Sprintf("%s %s %d %v close=%v %q %v %v", res.Proto, res.Status, res.ContentLength, lines, res.Close, body, err, res.Trailer))
	}
}

// talk is what a client gets that says text, from net/http alone or by way of
// the lane, and whether all of it was plain.
func talk(h http.Handler, text []byte, piece int, lane bool) (got []string, plain bool) {
	c := &script{in: slices.Clone(text), piece: max(1, piece), ended: make(chan struct{})}
	conns := make(feed, 1)
	std := &http.Server{Handler: h, MaxHeaderBytes: 64 << 10}
	served := make(chan struct{})
	go func() { defer close(served); std.Serve(conns) }()
	plain = true
	if lane {
		s := &Server{Handler: h, Other: func(c net.Conn) { plain = false; conns <- c }}
		s.ServeConn(c)
	} else {
		conns <- c
	}
	<-c.ended
	close(conns)
	<-served
	return answers(c.out.Bytes()), plain
}

func same(t *testing.T, text []byte, piece int) (plain bool) {
	t.Helper()
	want, _ := talk(http.HandlerFunc(echo), text, piece, false)
	got, plain := talk(http.HandlerFunc(echo), text, piece, true)
	// The lane says so when it closes, which net/http does not when a body broke off.
	if n := len(want) - 1; n >= 0 && n == len(got)-1 && !strings.Contains(want[n], " close=true ") && strings.Contains(got[n], " close=true ") {
		got[n] = strings.Replace(got[n], " close=true ", " close=false ", 1)
		want[n] = strings.Replace(want[n], ` Connection=["keep-alive"]`, "", 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%.300q in pieces of %d (plain: %v):\ngot  %.600q\nwant %.600q", text, piece, plain, got, want)
	}
	return plain
}

var ways = []string{"", "a%20b/%2f?c=d", "unread", "shut", "unread-shut", "bye", "keep", "type", "untyped", "known", "trail", "hint", "204", "304", "799", "silent", "flush", "pieces", "large",
	"more", "panic", "known-more", "known-silent", "known-large", "flush-trail", "flush-large", "known-flush", "204-silent", "304-known-silent", "large-bye", "unread-large", "trail-pieces-flush", "hint-flush", "flush-panic", "known-trail", "//double", "a/../b"}

// The lane answers as net/http does, whatever the handler does.
func TestSameAnswers(t *testing.T) {
	for _, way := range ways {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, piece := range []int{1, 100, 1 << 20} {
				one := method + " /" + way + " HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nContent-Length: 5\r\n\r\nhello"
				if !same(t, []byte(one+one), piece) {
					t.Errorf("%s %s is not plain", method, way)
				}
				same(t, []byte(one+"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"+one), piece)
				same(t, []byte(one+"GET /"+way+" HTTP/1.0\r\n\r\n"+one), piece)
			}
		}
	}
	var all sync.WaitGroup // net/http takes its time to close
	defer all.Wait()
	for _, n := range []int{1, 5000, 20_000, maxDrain - 1, maxDrain, maxDrain + 1, maxDrain + 100_000} {
		for _, way := range []string{"", "unread", "unread-shut", "unread-flush"} {
			text := fmt.Appendf(nil, "PUT /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%sGET / HTTP/1.1\r\nHost: a\r\n\r\n", way, n, strings.Repeat("x", n))
			all.Go(func() { same(t, text, 5000) })
			all.Go(func() { same(t, text[:len(text)/2], 5000) })
		}
	}
	for _, n := range []int{3000, 5000, maxHead, 30_000, 70_000} {
		same(t, fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: a\r\nLong: %s\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", strings.Repeat("x", n)), 3000)
	}
}

// Whatever a client says, it gets the same answers by way of the lane as from
// net/http alone.
func FuzzSame(f *testing.F) {
	for i, way := range ways {
		f.Add(fmt.Appendf(nil, "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n", way), i*i)
	}
	for _, text := range []string{"GET / HTTP/1.1\nHost: a\n\n", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\nb: c\r\nB: d\r\n\r\n"} {
		f.Add([]byte(text), 7)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		if bytes.Contains(text, []byte("HTTP/2")) || bytes.Contains(text, []byte("Expect")) {
			return // h2c is none of net/http's servers here, and 100-continue waits
		}
		same(t, text, piece)
	})
}
