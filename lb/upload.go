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

	held    bool          // waits for the target's 100 Continue
	done    chan struct{} // nil while it is not under way
	err     error         // read after done
	stalled bool          // read after done: it was the client that sent nothing
}

// upload begins to send the body, if there is one that is not sent yet.
func (x *exchange) upload(p *plan, c *conn, w http.ResponseWriter, r *http.Request) *upload {
	if !x.stream {
		return nil
	}
	u := &upload{x: x, c: c, rc: http.NewResponseController(w), r: r, idle: p.idle, held: x.expect}
	u.rc.EnableFullDuplex() // what cannot be told so is duplex anyway
	// A client that stalls shall be noticed before the target, which then
	// stalls as well, is blamed.
	c.begin(c.idle + time.Second)
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
		// The response, or its failure, came first: wake whatever the body waits for.
		u.rc.SetReadDeadline(time.Unix(1, 0))
		u.c.SetDeadline(time.Unix(1, 0))
		<-u.done
	}
}

// blame finds the cause of a failure to get a response.
func (u *upload) blame(err error) error {
	if u == nil || u.done == nil {
		return err
	}
	if u.r.Context().Err() == nil {
		return err
	}
	// net/http cancels a request whose body cannot be read: the upload has
	// ended, or is about to.
	select {
	case <-u.done:
		if u.stalled {
			return errStalled
		}
	case <-time.After(bodyPatience):
	}
	return err
}

// bodyPatience is how long the rest of a request's body may take after the
// whole response has come.
const bodyPatience = 100 * time.Millisecond

// finish reports whether the whole body was sent, now that the whole response
// has been passed on. If it was not, the client's connection is of no use any
// more, since what is left of the body is still on it: finish closes it.
func (u *upload) finish(chunked bool) bool {
	if u == nil {
		return true
	}
	if u.done == nil {
		return false // held back, and net/http closes the connection
	}
	select {
	case <-u.done:
	default:
		u.rc.Flush()
		patience := time.NewTimer(bodyPatience)
		select {
		case <-u.done:
		case <-patience.C:
		}
		patience.Stop()
	}
	u.wait()
	if u.err == nil {
		return true
	}
	if u.r.ProtoMajor == 1 {
		u.hangUp(chunked)
	}
	return false
}

// hangUp ends the response and closes the client's connection, but not before
// the client has had time to read: unread input makes the kernel reset it.
// net/http would take what is left of the body for the next request.
func (u *upload) hangUp(chunked bool) {
	u.rc.Flush()
	client, _, err := u.rc.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	client.SetDeadline(time.Now().Add(time.Second))
	if chunked {
		io.WriteString(client, "0\r\n\r\n")
	}
	if h, ok := client.(interface{ CloseWrite() error }); ok {
		h.CloseWrite()
	}
	go func() {
		io.Copy(io.Discard, io.LimitReader(client, 1<<20))
		client.Close()
	}()
}

// Read reads the client's body, for as long as something moves.
func (u *upload) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(u.armed) > 250*time.Millisecond {
		u.armed = now
		u.rc.SetReadDeadline(now.Add(u.idle))
	}
	u.c.arm()
	n, err := u.r.Body.Read(p)
	u.stalled = isTimeout(err)
	return n, err
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
