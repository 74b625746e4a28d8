package lb

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// hop are the header fields that belong to one connection only (RFC 9110,
// section 7.6.1).
var hop = map[string]bool{
	"Connection":          true,
	"Keep-Alive":          true,
	"Proxy-Connection":    true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
}

// named returns the fields that Connection names besides, nil for the usual
// ones.
func named(h http.Header) map[string]bool {
	var names map[string]bool
	for _, v := range h["Connection"] {
		for f := range strings.SplitSeq(v, ",") {
			f = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(f))
			if f == "" || f == "Close" || hop[f] {
				continue
			}
			if names == nil {
				names = map[string]bool{}
			}
			names[f] = true
		}
	}
	return names
}

// upgradeOf is the protocol that a request or a response changes to, "" for
// none.
func upgradeOf(h http.Header) string {
	for _, v := range h["Connection"] {
		for f := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(textproto.TrimString(f), "upgrade") {
				return h.Get("Upgrade")
			}
		}
	}
	return ""
}

// The fields that the load balancer sets itself.
const (
	headerFor   = "X-Forwarded-For"
	headerProto = "X-Forwarded-Proto"
	headerPort  = "X-Forwarded-Port"
	headerTrace = "X-Amzn-Trace-Id"
)

// appendHead appends the head of the request as a target gets it.
func (p *plan) appendHead(b []byte, r *http.Request, upgrade string) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	if uri := r.RequestURI; uri != "" && (uri[0] == '/' || uri == "*") {
		b = append(b, uri...)
	} else {
		b = append(b, r.URL.RequestURI()...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, p.host(r)...)
	b = append(b, "\r\n"...)

	also := named(r.Header)
	for k, vv := range r.Header {
		if hop[k] || also[k] || p.dropHeaders && !plainName(k) {
			continue
		}
		switch k {
		case headerProto, headerPort, headerTrace, "Content-Length":
			continue
		case headerFor:
			if p.xff != "preserve" {
				continue
			}
		}
		for _, v := range vv {
			b = appendField(b, k, v)
		}
	}
	b = p.appendForwarded(b, r)
	switch {
	case r.ContentLength > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, "\r\n"...)
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if len(r.Trailer) > 0 {
			names := make([]string, 0, len(r.Trailer))
			for k := range r.Trailer {
				names = append(names, k)
			}
			b = appendField(b, "Trailer", strings.Join(names, ", "))
		}
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...)
	}
	if wantsTrailers(r.Header["Te"]) {
		b = append(b, "Te: trailers\r\n"...)
	}
	if upgrade != "" {
		b = append(b, "Connection: Upgrade\r\n"...)
		b = appendField(b, "Upgrade", upgrade)
	}
	return append(b, "\r\n"...)
}

func wantsTrailers(te []string) bool {
	for _, v := range te {
		for f := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(textproto.TrimString(f), "trailers") {
				return true
			}
		}
	}
	return false
}

// appendField appends a header field. net/http has refused control characters
// in both already, except in fields that trailers bring.
func appendField(b []byte, k, v string) []byte {
	b = append(b, k...)
	b = append(b, ": "...)
	for i := range len(v) {
		if c := v[i]; c == '\r' || c == '\n' {
			b = append(b, ' ')
		} else {
			b = append(b, c)
		}
	}
	return append(b, "\r\n"...)
}

// appendForwarded appends what tells the target of the client.
func (p *plan) appendForwarded(b []byte, r *http.Request) []byte {
	if p.xff == "append" {
		b = append(b, headerFor...)
		b = append(b, ": "...)
		for _, v := range r.Header[headerFor] {
			b = append(b, v...)
			b = append(b, ", "...)
		}
		client := r.RemoteAddr
		if !p.xffPort {
			if host, _, err := net.SplitHostPort(client); err == nil {
				client = host
			}
		}
		b = append(b, client...)
		b = append(b, "\r\n"...)
	}
	b = append(b, headerProto...)
	b = append(b, ": "...)
	b = append(b, clientProto(r)...)
	b = append(b, "\r\n"...)
	b = append(b, headerPort...)
	b = append(b, ": "...)
	b = append(b, localPort(r, p.port)...)
	b = append(b, "\r\n"...)
	b = append(b, headerTrace...)
	b = append(b, ": "...)
	b = appendTrace(b, r.Header.Get(headerTrace), time.Now())
	return append(b, "\r\n"...)
}

// appendTrace appends the trace id of a request that came with the value
// given. A request that has a root gets the load balancer's part as Self, in
// place of the Self that it had.
func appendTrace(b []byte, given string, now time.Time) []byte {
	id := func(b []byte) []byte {
		return fmt.Appendf(b, "1-%08x-%08x%016x", uint32(now.Unix()), rand.Uint32(), rand.Uint64())
	}
	var kept []string
	root := false
	for f := range strings.SplitSeq(given, ";") {
		switch k, _, _ := strings.Cut(strings.TrimSpace(f), "="); {
		case k == "Self" || k == "":
			continue
		case k == "Root":
			root = true
		}
		kept = append(kept, strings.TrimSpace(f))
	}
	if root {
		b = append(b, "Self="...)
	} else {
		b = append(b, "Root="...)
	}
	b = id(b)
	for _, f := range kept {
		b = append(b, ';')
		b = append(b, f...)
	}
	return b
}

// host is the Host that a target gets: AWS adds the listener's port where it
// is not the default one.
func (p *plan) host(r *http.Request) string {
	if p.keepHost || p.port == 80 || p.port == 443 || r.Host == "" {
		return r.Host
	}
	if _, _, err := net.SplitHostPort(r.Host); err == nil || strings.HasSuffix(r.Host, "]") {
		return r.Host
	}
	return r.Host + ":" + strconv.Itoa(int(p.port))
}

// plainName says whether a header field's name is of letters, digits and
// hyphens.
func plainName(k string) bool {
	for i := range len(k) {
		c := k[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
