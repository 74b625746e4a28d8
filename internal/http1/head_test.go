package http1

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		text string
		want head
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", head{"GET", "/", "a", nil, http.Header{}, 0, false}},
		{"POST /a/b?c=%20d&e HTTP/1.1\r\nhost:[::1]:4566\r\ncontent-length: 12\r\n\r\n",
			head{"POST", "/a/b?c=%20d&e", "[::1]:4566", nil, http.Header{"Content-Length": {"12"}}, 12, false}},
		{"PUT / HTTP/1.1\r\nX-a: 1\r\nHost: a\r\nB: \t two words \t\r\nx-A: 2\r\nConnection: Close\r\nEmpty:\r\n\r\n",
			head{"PUT", "/", "a", nil, http.Header{"X-A": {"1", "2"}, "B": {"two words"}, "Connection": {"Close"}, "Empty": {""}}, 0, true}},
		{"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nLatin: \xe9\r\nLong: " + long + "\r\n\r\n",
			head{"HEAD", "/", "a", nil, http.Header{"Connection": {"keep-alive"}, "Latin": {"\xe9"}, "Long": {long}}, 0, false}},
	} {
		end, ok := headEnd([]byte(tt.text+"GET "), 0)
		if !ok || end != len(tt.text) {
			t.Errorf("%.60q: the head is %d long, %v", tt.text, end, ok)
		}
		for cut := range min(len(tt.text)-1, 200) {
			if end, ok := headEnd([]byte(tt.text[:cut]), cut/2); !ok || end != 0 {
				t.Errorf("%.60q: ends at %d, %v", tt.text[:cut], end, ok)
			}
		}
		h, ok := parseHead(tt.text)
		if ok && h.url.RequestURI() != tt.want.target {
			t.Errorf("%.60q: URL %v", tt.text, h.url)
		}
		tt.want.url = h.url
		if !ok || !reflect.DeepEqual(*h, tt.want) {
			t.Errorf("%.60q: %v, %v", tt.text, h, ok)
		}
	}
}

func TestNotPlain(t *testing.T) {
	for _, text := range []string{
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"get / HTTP/1.1\r\nHost: a\r\n\r\n",
		"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB c: d\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB(: d\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n\xe9: d\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB: \x01\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB: c\x7f\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB: c\rd\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB: c\td\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ntransfer-encoding: identity\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTrailer: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n",
	} {
		end, ok := headEnd([]byte(text), 0)
		if !ok || end != len(text) {
			t.Errorf("%q: the head is %d long, %v", text, end, ok)
		}
		if h, ok := parseHead(text); ok {
			t.Errorf("%q is plain: %v", text, h)
		}
	}
	for _, text := range []string{"GET / HTTP/1.1\nHost: a\n\n", "\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n"} {
		if end, ok := headEnd([]byte(text), 0); ok {
			t.Errorf("%q has a head of %d", text, end)
		}
	}
}
