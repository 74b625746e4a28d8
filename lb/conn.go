package lb

import (
	"bufio"
	"errors"
	"net"
	"syscall"
	"time"
)

// maxHead bounds the head of a target's response.
const maxHead = 1 << 20

// errLongHead is what reading returns from a target whose response head does
// not end.
var errLongHead = errors.New("the head of the target's response is longer than 1 MiB")

// conn is a connection to a target.
type conn struct {
	net.Conn
	br     *bufio.Reader
	raw    syscall.RawConn // nil if there is none
	reused bool            // it has served a request before
	since  time.Time       // when it became idle

	got    int64 // bytes read since the request began
	budget int64 // bytes that the head may still take; negative: no bound
	armed  time.Time
	idle   time.Duration
}

func newConn(c net.Conn) *conn {
	k := &conn{Conn: c}
	if s, ok := c.(syscall.Conn); ok {
		k.raw, _ = s.SyscallConn()
	}
	k.br = bufio.NewReader(k)
	return k
}

// begin makes the connection ready for a request on which nothing may move
// for idle.
func (c *conn) begin(idle time.Duration) {
	c.got, c.idle = 0, idle
	c.armed = time.Time{}
	c.arm()
}

// arm moves the deadline, at most once in a quarter of a second: something
// moved.
func (c *conn) arm() {
	now := time.Now()
	if now.Sub(c.armed) > 250*time.Millisecond {
		c.armed = now
		c.SetDeadline(now.Add(c.idle))
	}
}

// Read counts what arrives, and bounds it while a head is read.
func (c *conn) Read(p []byte) (int, error) {
	if c.budget == 0 {
		return 0, errLongHead
	}
	if c.budget > 0 && int64(len(p)) > c.budget {
		p = p[:c.budget]
	}
	n, err := c.Conn.Read(p)
	c.got += int64(n)
	if c.budget > 0 {
		c.budget -= int64(n)
	}
	return n, err
}

// usable says whether an idle connection is still open: one that the target
// has closed, or on which it sent something unasked, is not.
func (c *conn) usable() bool {
	if c.br.Buffered() > 0 {
		return false
	}
	if c.raw == nil {
		return true
	}
	c.SetDeadline(time.Time{}) // that of the last request may have passed
	alive := false
	err := c.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, err := syscall.Read(int(fd), b[:])
		alive = n <= 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK)
		return true
	})
	return err == nil && alive
}
