package lb

import (
	"bufio"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"time"
)

// upload is the request's body on its way to the target, beside the response
// that may come before it ends.
type upload struct {
	x     *exchange
	c     *conn
	rc    *http.ResponseController
	r     *http.Request
	idle  time.Duration
	armed time.Time

	held bool          // waits for the target's 100 Continue
	done chan struct{} // nil while it is not under way
	err  error         // read after done
}

// upload begins to send the body, if there is one that is not sent yet.
func (x *exchange) upload(p *plan, c *conn, w http.ResponseWriter, r *http.Request) *upload {
	if !x.stream {
		return nil
	}
	u := &upload{x: x, c: c, rc: http.NewResponseController(w), r: r, idle: p.idle, held: x.expect}
	if !u.held {
		u.start()
	}
	return u
}

// start sends the body from now on; from here the request cannot be sent
// again.
func (u *upload) start() {
	u.held, u.x.begun = false, true
	u.done = make(chan struct{})
	go func() {
		defer close(u.done)
		u.err = u.send()
		if u.err == nil {
			u.rc.SetReadDeadline(time.Time{})
		}
	}()
}

// wait ends the upload: nothing reads the body any more when it returns.
func (u *upload) wait() {
	if u == nil || u.done == nil {
		return
	}
	select {
	case <-u.done:
	default:
		// The response came first. Wake the reader, and have the client's
		// connection closed: what is left of the body is still on it.
		u.rc.SetReadDeadline(time.Unix(1, 0))
		u.c.SetDeadline(time.Unix(1, 0))
		<-u.done
	}
}

// finish reports whether the whole body was sent, now that the response has
// ended.
func (u *upload) finish() bool {
	if u == nil {
		return true
	}
	if u.done == nil {
		return false
	}
	select {
	case <-u.done:
		return u.err == nil
	default:
		return false
	}
}

// Read reads the client's body, for as long as something moves.
func (u *upload) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(u.armed) > 250*time.Millisecond {
		u.armed = now
		u.rc.SetReadDeadline(now.Add(u.idle))
	}
	u.c.arm()
	return u.r.Body.Read(p)
}

// send copies the body, in chunks if its length is not known.
func (u *upload) send() error {
	buf := make([]byte, 32<<10)
	if n := u.r.ContentLength; n > 0 {
		_, err := io.CopyBuffer(onlyWriter{u.c}, io.LimitReader(u, n), buf)
		return err
	}
	w := bufio.NewWriterSize(u.c, len(buf)+64)
	for {
		n, err := u.Read(buf)
		if n > 0 {
			w.WriteString(strconv.FormatInt(int64(n), 16))
			w.WriteString("\r\n")
			w.Write(buf[:n])
			w.WriteString("\r\n")
			if err := w.Flush(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			w.WriteString("0\r\n")
			for k, vv := range u.r.Trailer {
				for _, v := range vv {
					w.Write(appendField(nil, textproto.CanonicalMIMEHeaderKey(k), v))
				}
			}
			w.WriteString("\r\n")
			return w.Flush()
		case err != nil:
			return err
		}
	}
}

// onlyWriter hides a connection's ReadFrom: it would take a lone read of the
// client's body into the kernel, past the deadlines.
type onlyWriter struct{ io.Writer }
