package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxHead is the length of the longest head that is read here.
const maxHead = 16 << 10

// head is what a plain request says before its body. Its strings share one
// copy of the text.
type head struct {
	method, target, host string
	url                  *url.URL
	header               http.Header // without Host
	length               int64       // of the body
	close                bool        // the client asks for the connection's end
}

// headEnd returns the length of the head that b begins with, 0 if its end is
// not there yet. It is false where a line does not end in CR LF. Of b, seen
// bytes were looked at before.
func headEnd(b []byte, seen int) (int, bool) {
	for i := seen; ; i++ {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return 0, true
		}
		if i += n; i == 0 || b[i-1] != '\r' {
			return 0, false
		}
		if i >= 3 && b[i-2] == '\n' {
			return i + 1, true
		}
	}
}

// parseHead reads a whole head, the empty line included, whose lines end in
// CR LF. It is false for one that is not plain.
func parseHead(text string) (*head, bool) {
	line, rest, _ := strings.Cut(text, "\r\n")
	h := &head{length: -1}
	var ok bool
	if h.method, h.target, ok = parseLine(line); !ok {
		return nil, false
	}
	n := strings.Count(rest, "\n") - 1
	h.header = make(http.Header, n)
	values := make([]string, n) // one allocation for all fields
	for range n {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || !all(name, inToken) {
			return nil, false
		}
		if value = strings.Trim(value, " \t"); !all(value, inValue) {
			return nil, false
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !h.note(name, value) {
			return nil, false
		}
		if have := h.header[name]; have != nil {
			h.header[name] = append(have, value)
			continue
		}
		values[0] = value
		h.header[name], values = values[:1:1], values[1:]
	}
	delete(h.header, "Host")
	h.length = max(h.length, 0)
	if h.url = (&url.URL{Path: "/"}); h.target != "/" {
		var err error
		if h.url, err = url.ParseRequestURI(h.target); err != nil {
			return nil, false
		}
	}
	return h, h.host != ""
}

var methods = []string{"GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"}

// parseLine reads a request line. The method shares nothing with it.
func parseLine(line string) (method, target string, ok bool) {
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	i := slices.Index(methods, method)
	if i < 0 {
		return "", "", false
	}
	return methods[i], target, version == "HTTP/1.1" && strings.HasPrefix(target, "/") && all(target, inTarget)
}

// note takes what a field says of the request itself. It is false for what
// other programs might understand in other ways, and for what is not done here.
func (h *head) note(name, value string) bool {
	switch name {
	case "Host":
		if h.host != "" || !all(value, inHost) {
			return false
		}
		h.host = value
	case "Content-Length":
		if h.length >= 0 || len(value) > 18 || len(value) > 1 && value[0] == '0' || !all(value, inNumber) {
			return false
		}
		n, err := strconv.ParseInt(value, 10, 64)
		h.length = n
		return err == nil
	case "Connection":
		if h.header[name] != nil {
			return false
		}
		h.close = strings.EqualFold(value, "close")
		return h.close || strings.EqualFold(value, "keep-alive")
	case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Http2-Settings",
		"Pragma": // from which net/http makes a Cache-Control
		return false
	}
	return true
}

// The classes of bytes.
const (
	inToken  = 1 << iota // of a field's name
	inValue              // of a field's value
	inTarget             // of a request's target
	inHost               // of a Host
	inNumber             // of a Content-Length
)

var classes = func() (t [256]uint8) {
	for c := range t {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' && c < 0x80
		digit := c >= '0' && c <= '9'
		if letter || digit || c < 0x80 && strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			t[c] |= inToken
		}
		if c >= ' ' && c != 0x7f {
			t[c] |= inValue
		}
		if c > ' ' && c < 0x7f && c != '#' && c != '\\' {
			t[c] |= inTarget
		}
		if letter || digit || c < 0x80 && strings.ContainsRune("-._:[]", rune(c)) {
			t[c] |= inHost
		}
		if digit {
			t[c] |= inNumber
		}
	}
	return t
}()

func all(s string, class uint8) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}
