package lb

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel joins the client's connection and the target's after the target has
// agreed to change protocols, until both have ended or nothing has moved for
// the idle timeout.
func (p *plan) tunnel(t *target, c *conn, w http.ResponseWriter, resp *http.Response, stop func() bool) {
	stop() // from here the client's connection is ours, and its end no cancellation
	client, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.fail(w, http.StatusBadGateway)
		return
	}
	defer client.Close()
	client.SetDeadline(time.Time{})

	head := []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n")
	head = appendField(head, "Upgrade", resp.Header.Get("Upgrade"))
	also := named(resp.Header)
	for k, vv := range resp.Header {
		if hop[k] || also[k] {
			continue
		}
		for _, v := range vv {
			head = appendField(head, k, v)
		}
	}
	client.SetWriteDeadline(time.Now().Add(p.idle))
	if _, err := client.Write(append(head, "\r\n"...)); err != nil {
		return
	}

	var moved atomic.Int64
	moved.Store(time.Now().UnixNano())
	var both sync.WaitGroup
	both.Go(func() { pump(c.Conn, client, rw.Reader, p.idle, &moved) })
	both.Go(func() { pump(client, c.Conn, c.br, p.idle, &moved) })
	both.Wait()
}

// pump copies from src, what was read ahead from it first, to dst. It ends with
// src, or when nothing has moved either way for idle; then it ends dst's
// writing side.
func pump(dst, src net.Conn, ahead *bufio.Reader, idle time.Duration, moved *atomic.Int64) {
	defer func() {
		if h, ok := dst.(interface{ CloseWrite() error }); ok && h.CloseWrite() == nil {
			return
		}
		dst.Close()
	}()
	if n := ahead.Buffered(); n > 0 {
		b, _ := ahead.Peek(n)
		if _, err := dst.Write(b); err != nil {
			src.Close()
			return
		}
	}
	buf := make([]byte, 16<<10)
	for {
		src.SetReadDeadline(time.Now().Add(idle))
		n, err := src.Read(buf)
		if n > 0 {
			moved.Store(time.Now().UnixNano())
			dst.SetWriteDeadline(time.Now().Add(idle))
			if _, err := dst.Write(buf[:n]); err != nil {
				src.Close()
				return
			}
		}
		switch {
		case err == nil:
		case isTimeout(err) && time.Since(time.Unix(0, moved.Load())) < idle:
			// The other way is busy.
		case err == io.EOF:
			return
		default:
			src.Close()
			dst.Close()
			return
		}
	}
}
