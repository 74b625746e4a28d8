package lb

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// smallBody is the length up to which a request's body is read before the
// request is sent: it goes out with the head, and again if a target fails.
const smallBody = 16 << 10

// How long a target may take to accept a connection: AWS's ten seconds, but
// less while there are others to try.
const (
	dialPatience  = 10 * time.Second
	otherPatience = time.Second
)

// sendTries is how many targets a request is sent to that may have been
// received; those that cannot be reached do not count.
const sendTries = 3

// exchange is one request on its way through. They are pooled.
type exchange struct {
	head   []byte // the request's head, and its body if that is small
	buf    []byte // for copying
	tried  []*target
	expect bool // the client waits for 100 Continue
	stream bool // the body follows the head
	begun  bool // some of the body is read: the request cannot be sent again
}

var exchanges = sync.Pool{New: func() any { return &exchange{buf: make([]byte, 32<<10)} }}

// Errors of one attempt. Both mean that the client has got nothing yet.
var (
	errAgain = errors.New("another target may be tried")
	errBad   = errors.New("the target's response is not valid HTTP")

	// The client stopped sending its body.
	errStalled = errors.New("the client sent nothing for the idle timeout")
)

// proxy forwards a request to a target, to another one if that fails before it
// has answered and the request can be sent again.
func (p *plan) proxy(w http.ResponseWriter, r *http.Request) {
	g := p.forward.choose()
	if g == nil {
		p.fail(w, http.StatusServiceUnavailable)
		return
	}
	x := exchanges.Get().(*exchange)
	defer x.release()
	upgrade := ""
	if r.ProtoMajor == 1 {
		upgrade = upgradeOf(r.Header)
	}
	x.head = p.appendHead(x.head[:0], r, upgrade)
	x.expect = r.Header.Get("Expect") != ""
	x.stream = r.ContentLength != 0 && r.Body != http.NoBody
	if n := r.ContentLength; x.stream && 0 < n && n <= smallBody && !x.expect {
		if err := x.slurp(w, r, int(n), p.idle); err != nil {
			if isTimeout(err) {
				w.Header().Set("Connection", "close")
				p.fail(w, http.StatusRequestTimeout)
				return
			}
			panic(http.ErrAbortHandler) // the client is gone
		}
		x.stream = false
	}

	status, sent := http.StatusServiceUnavailable, 0
	for sent < sendTries {
		t := g.pick(x.tried)
		if t == nil {
			break
		}
		x.tried = append(x.tried, t)
		err := x.attempt(p, t, w, r, upgrade, &sent)
		switch {
		case err == nil:
			return
		case errors.Is(err, errStalled):
			status = http.StatusRequestTimeout
		case r.Context().Err() != nil:
			panic(http.ErrAbortHandler)
		case isTimeout(err):
			status = http.StatusGatewayTimeout
		default:
			status = http.StatusBadGateway
		}
		if !errors.Is(err, errAgain) {
			break
		}
	}
	if x.stream {
		w.Header().Set("Connection", "close") // the body, or part of it, is still to come
	}
	p.fail(w, status)
}

// slurp reads a body of n bytes behind the head.
func (x *exchange) slurp(w http.ResponseWriter, r *http.Request, n int, idle time.Duration) error {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(idle))
	at := len(x.head)
	x.head = append(x.head, make([]byte, n)...)
	_, err := io.ReadFull(r.Body, x.head[at:])
	rc.SetReadDeadline(time.Time{})
	return err
}

func (x *exchange) release() {
	clear(x.tried)
	if cap(x.head) > 64<<10 {
		x.head = nil
	}
	*x = exchange{head: x.head[:0], buf: x.buf, tried: x.tried[:0]}
	exchanges.Put(x)
}

// attempt sends the request to t and its response to the client. An error that
// is errAgain leaves the request as it was. It ends what pick began.
func (x *exchange) attempt(p *plan, t *target, w http.ResponseWriter, r *http.Request, upgrade string, sent *int) error {
	defer t.done()
	patience := dialPatience
	if !x.begun && t.g.others(x.tried) {
		patience = otherPatience
	}
	for fresh := false; ; fresh = true {
		c, err := t.get(r.Context(), fresh, idempotent(r.Method) && !x.stream, patience)
		if err != nil {
			if r.Context().Err() == nil {
				t.g.e.suspect(t)
			}
			return errors.Join(errAgain, err)
		}
		*sent++
		err = x.roundTrip(p, t, c, w, r, upgrade)
		if err == nil || c.got > 0 || x.begun || r.Context().Err() != nil {
			return err
		}
		// The target closed the connection without a word. One that had been
		// idle may just have been too old: the request was hardly received.
		switch {
		case c.reused && replayable(r, err):
			*sent--
			continue
		case !isTimeout(err) && idempotent(r.Method):
			t.g.e.suspect(t)
			return errors.Join(errAgain, err)
		}
		return err
	}
}

// replayable says whether a request that failed on a connection which had been
// idle may be sent once more.
func replayable(r *http.Request, err error) bool {
	return !isTimeout(err) && (idempotent(r.Method) || errors.Is(err, syscall.EPIPE))
}

// idempotent says whether a method may be repeated (RFC 9110, section 9.2.2).
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// others says whether there is a target to try that is not among tried.
func (g *group) others(tried []*target) bool {
	c := g.choice.Load()
	return c != nil && len(c.prefer)+len(c.rest) > len(tried)
}

// roundTrip sends the request on c and passes on the response. After an error
// the client has got nothing; when the response breaks off it panics with
// http.ErrAbortHandler.
func (x *exchange) roundTrip(p *plan, t *target, c *conn, w http.ResponseWriter, r *http.Request, upgrade string) (err error) {
	keep := false
	c.begin(p.idle)
	stop := context.AfterFunc(r.Context(), func() { c.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			keep = false
		}
		if keep {
			t.put(c)
		} else {
			t.drop(c)
		}
	}()
	if _, err := c.Write(x.head); err != nil {
		return err
	}
	body := x.upload(p, c, w, r)
	defer body.wait()

	resp, err := c.response(w, r, body)
	if err != nil {
		return body.blame(err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if upgrade == "" {
			return errBad
		}
		p.tunnel(t, c, w, resp, stop)
		return nil
	}
	x.passOn(p, c, w, resp)
	if !body.finish(chunked(r, resp)) {
		return nil
	}
	keep = !resp.Close && c.br.Buffered() == 0
	return nil
}

// chunked says whether net/http sends the response to r in chunks.
func chunked(r *http.Request, resp *http.Response) bool {
	return r.ProtoAtLeast(1, 1) && resp.ContentLength < 0 && r.Method != http.MethodHead &&
		resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusNotModified
}
