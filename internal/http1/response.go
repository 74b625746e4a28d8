package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxHeld is how much of a body is held back in case that it is all: then
	// its length is known.
	maxHeld   = 2 << 10
	outBuffer = 4 << 10
)

var outs = sync.Pool{New: func() any { b := make([]byte, 0, outBuffer); return &b }}

// response is the answer to a request, a http.ResponseWriter. It supports all
// that http.ResponseController asks for.
type response struct {
	x      *exchange
	header http.Header
	head   bool // no body is sent, for none is asked for
	close  bool // the connection ends with this answer
	duplex bool

	status     int   // 0: not known yet
	length     int64 // that the handler has announced, -1 if none
	written    int64
	fields     fields
	trailers   []string // names that were announced
	begun      bool     // the head is complete
	chunked    bool
	hijacked   bool
	err        error // of the connection
	out        []byte
	pooled     *[]byte
	headLength int // of what of out is the head, before it is complete
}

// fields are what the handler's header says that bears on the rest.
type fields struct {
	date, contentType, encoded bool
	connection                 string
}

func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader writes the fields down. What depends on the body follows when
// enough of that is known.
func (w *response) WriteHeader(status int) {
	if w.hijacked || w.status != 0 {
		return
	}
	if status < 100 || status > 999 {
		panic("invalid WriteHeader code " + strconv.Itoa(status))
	}
	w.need()
	w.out = appendStatus(w.out, status)
	if status < 200 && status != http.StatusSwitchingProtocols {
		for k, vv := range w.header {
			if k != "Content-Length" && k != "Transfer-Encoding" {
				w.out = appendFields(w.out, k, vv)
			}
		}
		w.out = append(w.out, "\r\n"...)
		w.push()
		return
	}
	w.status = status
	for k, vv := range w.header {
		if !w.note(k, vv) {
			w.out = appendFields(w.out, k, vv)
		}
	}
	w.headLength = len(w.out)
}

// note takes what a field says of the answer itself, and reports whether that
// is not for the client as it stands.
func (w *response) note(k string, vv []string) bool {
	if len(vv) == 0 {
		w.fields.contentType = w.fields.contentType || k == "Content-Type"
		w.fields.date = w.fields.date || k == "Date"
		return true
	}
	switch k {
	case "Content-Length":
		if n, err := strconv.ParseInt(vv[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		}
		return true
	case "Transfer-Encoding":
		return true
	case "Connection":
		w.close = w.close || httpguts.HeaderValuesContainsToken(vv[:1], "close")
		w.fields.connection = vv[0]
		return true
	case "Content-Type":
		w.fields.contentType = true
		return w.status == http.StatusNotModified
	case "Content-Encoding":
		w.fields.encoded = vv[0] != ""
	case "Date":
		w.fields.date = true
	case "Trailer":
		for _, v := range vv {
			for name := range strings.SplitSeq(v, ",") {
				if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" && httpguts.ValidTrailerHeader(name) {
					w.trailers = append(w.trailers, name)
				}
			}
		}
	}
	return strings.HasPrefix(k, http.TrailerPrefix)
}

// hasBody says whether answers of that status have a body.
func (w *response) hasBody() bool {
	return w.status >= 200 && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

func (w *response) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !w.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	if w.length >= 0 && w.written > w.length {
		return 0, http.ErrContentLength
	}
	n := len(p)
	if !w.begun {
		fit := min(maxHeld-(len(w.out)-w.headLength), n)
		if fit == n || fit < maxHeld {
			w.out, p = append(w.out, p[:fit]...), p[fit:]
		}
		if len(p) == 0 {
			return n, nil
		}
		if fit == maxHeld {
			w.begin(p, false)
		} else {
			w.begin(w.out[w.headLength:], false)
		}
	}
	w.send(p)
	return n, w.err
}

// begin completes the head; body is what the body begins with, all of it if
// the handler is done.
func (w *response) begin(body []byte, done bool) {
	w.begun = true
	if !w.close && !w.duplex && !w.x.body.drain() {
		w.close = true // see net/http: some clients read only when they have sent all
	}
	w.close = w.close || w.x.c.s.closing.Load()
	var scratch [512]byte
	b := scratch[:0]
	if w.hasBody() {
		if done && w.length < 0 && !w.hasTrailers() && (!w.head || len(body) > 0) {
			w.length = int64(len(body))
		}
		if !w.fields.contentType && !w.fields.encoded && len(body) > 0 {
			b = append(append(append(b, "Content-Type: "...), http.DetectContentType(body)...), "\r\n"...)
		}
		if w.length >= 0 {
			b = append(strconv.AppendInt(append(b, "Content-Length: "...), w.length, 10), "\r\n"...)
		} else if !w.head {
			w.chunked = true
			b = append(b, "Transfer-Encoding: chunked\r\n"...)
		}
	}
	if !w.fields.date {
		b = append(append(append(b, "Date: "...), date(time.Now())...), "\r\n"...)
	}
	if w.close {
		b = append(b, "Connection: close\r\n"...)
	} else if w.fields.connection != "" {
		b = appendFields(b, "Connection", []string{w.fields.connection})
	}
	b = append(b, "\r\n"...)
	held := len(w.out) - w.headLength
	if w.head {
		w.out, held = w.out[:w.headLength], 0
	}
	if w.chunked && held > 0 {
		b = append(strconv.AppendInt(b, int64(held), 16), "\r\n"...)
		w.out = append(w.out, "\r\n"...)
	}
	w.out = slices.Insert(w.out, w.headLength, b...)
}

// send sends bytes of the body behind the head.
func (w *response) send(p []byte) {
	if w.head || w.err != nil {
		return
	}
	if w.chunked {
		w.out = append(strconv.AppendInt(w.need(), int64(len(p)), 16), "\r\n"...)
	}
	w.add(p)
	if w.chunked {
		w.out = append(w.need(), "\r\n"...)
	}
}

// add adds p to out, or writes both where p is large.
func (w *response) add(p []byte) {
	if len(w.need())+len(p) > cap(w.out) {
		if w.push(); len(p) >= outBuffer {
			w.put(p)
			return
		}
	}
	w.out = append(w.need(), p...)
}

// need returns out, with a buffer behind it.
func (w *response) need() []byte {
	if w.pooled == nil {
		w.pooled = outs.Get().(*[]byte)
		w.out = (*w.pooled)[:0]
	}
	return w.out
}

// push writes what there is; a buffer is held only while it has something.
func (w *response) push() {
	w.put(w.out)
	w.release()
}

func (w *response) release() {
	if w.pooled != nil {
		outs.Put(w.pooled)
		w.pooled, w.out = nil, nil
	}
}

func (w *response) put(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	if _, w.err = w.x.c.Conn.Write(p); w.err != nil {
		w.x.life.lost()
	}
}

// finish sends what is left, now that the handler has returned. It reports
// whether the client has got a whole answer.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.begin(w.out[w.headLength:], true)
	}
	if w.chunked {
		w.out = append(w.need(), "0\r\n"...)
		for _, k := range w.trailers {
			w.out = appendFields(w.out, k, w.header[k])
		}
		for k, vv := range w.header {
			if k, ok := strings.CutPrefix(k, http.TrailerPrefix); ok {
				w.out = appendFields(w.out, k, vv)
			}
		}
		w.out = append(w.out, "\r\n"...)
	}
	w.push()
	short := w.hasBody() && !w.head && w.length >= 0 && w.written != w.length
	whole := w.err == nil && !short
	w.err = errOver
	return whole
}

// errOver is what writes get after the handler has returned.
var errOver = errors.New("http1: the handler has returned")

// hasTrailers reports whether fields follow the body, which chunks alone allow.
func (w *response) hasTrailers() bool {
	if len(w.trailers) > 0 {
		return true
	}
	for k := range w.header {
		if strings.HasPrefix(k, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// Flush is FlushError without its error.
func (w *response) Flush() { w.FlushError() }

// FlushError sends what was written so far.
func (w *response) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.begin(w.out[w.headLength:], false)
	}
	w.push()
	return w.err
}

// SetReadDeadline bounds reads of the request's body.
func (w *response) SetReadDeadline(t time.Time) error { return w.x.life.setReadDeadline(t) }

// SetWriteDeadline bounds writes.
func (w *response) SetWriteDeadline(t time.Time) error { return w.x.life.setWriteDeadline(t) }

// EnableFullDuplex has the body be read after the answer has begun.
func (w *response) EnableFullDuplex() error {
	w.duplex = true
	return nil
}

// Hijack gives the connection to the handler, with what was read ahead.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if w.status != 0 {
		w.FlushError()
	}
	w.x.life.unwatch()
	w.hijacked = true
	c := w.x.c
	c.s.forget(c)
	c.SetDeadline(time.Time{})
	ahead := c.buf[c.r:c.w]
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(ahead), c.Conn), max(smallBuffer, len(ahead)))
	r.Peek(len(ahead))
	return c.Conn, bufio.NewReadWriter(r, bufio.NewWriter(c.Conn)), nil
}
