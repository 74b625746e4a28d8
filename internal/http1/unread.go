package http1

import (
	"errors"
	"net"
)

// unread is a connection of which some bytes were read ahead.
type unread struct {
	net.Conn
	ahead []byte
}

// Unread returns c with b, which it keeps, before what is read next.
func Unread(c net.Conn, b []byte) net.Conn {
	return &unread{c, b}
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.ahead) == 0 {
		return u.Conn.Read(p)
	}
	n := copy(p, u.ahead)
	if u.ahead = u.ahead[n:]; len(u.ahead) == 0 {
		u.ahead = nil
	}
	return n, nil
}

// CloseWrite ends the writing side, where the connection can.
func (u *unread) CloseWrite() error {
	if h, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}
