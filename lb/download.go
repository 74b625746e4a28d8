package lb

import (
	"io"
	"net/http"
	"time"
)

// continueAfter is how long the load balancer waits for a target's 100
// Continue before it sends the body all the same.
const continueAfter = time.Second

// response reads the head of the final response. Informational ones are passed
// on, and a 100 Continue lets the body go.
func (c *conn) response(w http.ResponseWriter, r *http.Request, body *upload) (*http.Response, error) {
	if body != nil && body.held {
		c.SetReadDeadline(time.Now().Add(min(continueAfter, c.idle)))
		_, err := c.br.Peek(1)
		c.SetReadDeadline(time.Now().Add(c.idle))
		if isTimeout(err) {
			body.start()
		}
	}
	for {
		c.budget = maxHead
		resp, err := http.ReadResponse(c.br, r)
		c.budget = -1
		if err != nil {
			return nil, err
		}
		switch s := resp.StatusCode; {
		case s == http.StatusSwitchingProtocols || s >= 200 && s <= 999:
			return resp, nil
		case s == http.StatusContinue:
			if body != nil && body.held {
				body.start()
			}
		case s == http.StatusEarlyHints:
			h := w.Header()
			h["Link"] = resp.Header["Link"]
			w.WriteHeader(s)
			delete(h, "Link")
		case s < 100:
			return nil, errBad
		}
	}
}

// passOn gives the response to the client. It panics when the response breaks
// off.
func (x *exchange) passOn(p *plan, c *conn, w http.ResponseWriter, resp *http.Response) {
	h := w.Header()
	also := named(resp.Header)
	for k, vv := range resp.Header {
		if !hop[k] && !also[k] {
			h[k] = vv
		}
	}
	for _, f := range p.extraHeaders {
		h.Set(f.Key, f.Value)
	}
	if p.hideServer {
		delete(h, "Server")
	}
	if _, given := resp.Header["Content-Type"]; !given {
		h["Content-Type"] = nil // net/http shall not guess
	}
	for k := range resp.Trailer {
		h.Add("Trailer", k)
	}
	w.WriteHeader(resp.StatusCode)
	if err := x.copyBody(p, c, w, resp); err != nil {
		resp.Body.Close()
		panic(http.ErrAbortHandler)
	}
	for k, vv := range resp.Trailer {
		h[k] = vv
	}
}

// copyBody copies the response's body. What has arrived is passed on before
// more is waited for.
func (x *exchange) copyBody(p *plan, c *conn, w http.ResponseWriter, resp *http.Response) error {
	if resp.ContentLength == 0 {
		return nil
	}
	var rc *http.ResponseController
	for {
		n, err := resp.Body.Read(x.buf)
		if n > 0 {
			if _, err := w.Write(x.buf[:n]); err != nil {
				return err
			}
			c.arm()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if c.br.Buffered() == 0 {
			if rc == nil {
				rc = http.NewResponseController(w)
				defer rc.SetWriteDeadline(time.Time{})
			}
			rc.SetWriteDeadline(time.Now().Add(p.idle))
			if err := rc.Flush(); err != nil {
				return err
			}
		}
	}
}
