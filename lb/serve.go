package lb

import (
	"html"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP does with a request what the listener's action says.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := l.plan.Load()
	if opened, ok := r.Context().Value(openedKey{}).(time.Time); ok && time.Since(opened) > p.keepAlive {
		w.Header().Set("Connection", "close")
	}
	for _, h := range p.extraHeaders {
		w.Header().Set(h.Key, h.Value)
	}
	switch {
	case r.Method == http.MethodTrace:
		p.fail(w, http.StatusMethodNotAllowed)
	case r.Method == http.MethodConnect:
		p.fail(w, http.StatusBadRequest)
	case p.fixed != nil:
		p.answer(w, p.fixed)
	case p.redirect != nil:
		p.send(w, r)
	case p.forward != nil:
		p.proxy(w, r)
	default:
		p.fail(w, http.StatusServiceUnavailable)
	}
}

// phrases are the reason phrases in AWS's pages, where they differ from
// net/http's.
var phrases = map[int]string{
	http.StatusRequestTimeout:     "Request Time-out",
	http.StatusServiceUnavailable: "Service Temporarily Unavailable",
	http.StatusGatewayTimeout:     "Gateway Time-out",
}

// fail answers with an error that the load balancer itself gives.
func (p *plan) fail(w http.ResponseWriter, status int) {
	text := phrases[status]
	if text == "" {
		text = http.StatusText(status)
	}
	text = strconv.Itoa(status) + " " + html.EscapeString(text)
	page := "<html>\r\n<head><title>" + text + "</title></head>\r\n<body>\r\n<center><h1>" + text +
		"</h1></center>\r\n</body>\r\n</html>\r\n"
	p.own(w, "text/html", len(page))
	w.WriteHeader(status)
	w.Write([]byte(page))
}

// own sets the headers of an answer that does not come from a target.
func (p *plan) own(w http.ResponseWriter, contentType string, length int) {
	h := w.Header()
	if !p.hideServer {
		h.Set("Server", "awselb/2.0")
	}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	} else {
		h["Content-Type"] = nil // net/http shall not guess
	}
	h.Set("Content-Length", strconv.Itoa(length))
}

func (p *plan) answer(w http.ResponseWriter, f *FixedResponse) {
	p.own(w, f.ContentType, len(f.Body))
	w.WriteHeader(f.Status)
	w.Write([]byte(f.Body))
}

// send answers with a redirect.
func (p *plan) send(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", p.redirect.location(r, clientProto(r), localPort(r, p.port)))
	status := p.redirect.Status
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	page := "<html>\r\n<head><title>" + text + "</title></head>\r\n<body>\r\n<center><h1>" + text +
		"</h1></center>\r\n</body>\r\n</html>\r\n"
	p.own(w, "text/html", len(page))
	w.WriteHeader(status)
	w.Write([]byte(page))
}

// location is the URL that a request which came by proto to port is sent to.
func (d *Redirect) location(r *http.Request, proto, port string) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	parts := strings.NewReplacer(
		"#{protocol}", proto, "#{host}", host, "#{port}", port, "#{path}", path, "#{query}", r.URL.RawQuery)
	or := func(v, keep string) string {
		if v == "" {
			v = keep
		}
		return parts.Replace(v)
	}
	proto = strings.ToLower(or(d.Protocol, "#{protocol}"))
	u := proto + "://" + or(d.Host, "#{host}")
	if port := or(d.Port, "#{port}"); proto == "http" && port != "80" || proto == "https" && port != "443" {
		u += ":" + port
	}
	u += or(d.Path, "/#{path}")
	if q := or(d.Query, "#{query}"); q != "" {
		u += "?" + q
	}
	return u
}

// clientProto is how the client reached the load balancer.
func clientProto(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// localPort is the port at which the client reached the load balancer.
func localPort(r *http.Request, otherwise int32) string {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && a.Port != 0 {
		return strconv.Itoa(a.Port)
	}
	return strconv.Itoa(int(otherwise))
}
