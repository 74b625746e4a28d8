package http1

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// maxDrain is how much of a body that its handler did not read is read to keep
// the connection.
const maxDrain = 256 << 10

// body is a request's body.
type body struct {
	x      *exchange
	mu     sync.Mutex // held while a read waits
	left   int64      // what is still to be read
	closed bool
}

// Read gives io.EOF with the last bytes.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

func (b *body) read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.x.c.read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left == 0 {
		b.x.life.rest()
		return n, io.EOF
	}
	if err != nil {
		b.x.life.lost()
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close has no more be read by the handler.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// drain reads what the handler left, so that the next request can be read. It
// is false where that is too much or does not come.
func (b *body) drain() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.left == 0:
		return true
	case b.left >= maxDrain:
		return false
	case b.left > b.x.c.buffered():
		b.x.life.setReadDeadline(time.Now().Add(drainPatience))
	}
	for b.left > 0 {
		var sink [4 << 10]byte
		if _, err := b.read(sink[:]); err != nil && err != io.EOF {
			return false
		}
	}
	return true
}

// drainPatience is how long the rest of a body that nobody wants may take.
const drainPatience = 30 * time.Second

// end closes the body and reports whether all of it was read.
func (b *body) end() bool {
	b.Close()
	return b.left == 0
}
