package awsapi

import (
	"bufio"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"crypto/sha1"
	"crypto/sha256"
	"hash/crc32"
	"hash/crc64"
)

// chunkReader undoes aws-chunked: SIZE[;chunk-signature=…]CRLF DATA CRLF …
// 0CRLF, then trailers. The checksum that a trailer states is verified, and
// the length that X-Amz-Decoded-Content-Length states. The chunks' signatures
// are not: the Authorizer sees the seed signature only.
type chunkReader struct {
	r       *bufio.Reader
	left    int64 // of the current chunk
	first   bool
	err     error
	want    int64 // decoded length, -1 where not stated
	got     int64
	trailer string // name of the checksum that is to come
	sum     hash.Hash
}

func newChunkReader(r io.Reader, h http.Header) *chunkReader {
	c := &chunkReader{r: bufio.NewReader(r), first: true, want: -1}
	if n, err := strconv.ParseInt(h.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		c.want = n
	}
	c.trailer = strings.ToLower(strings.TrimSpace(h.Get("X-Amz-Trailer")))
	c.sum = newChecksum(c.trailer)
	return c
}

// newChecksum returns the hash that a trailer's name stands for, or nil.
func newChecksum(trailer string) hash.Hash {
	switch trailer {
	case "x-amz-checksum-crc32":
		return crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "x-amz-checksum-sha1":
		return sha1.New()
	case "x-amz-checksum-sha256":
		return sha256.New()
	}
	return nil
}

var (
	errChunk    = &Error{Code: "InvalidChunkSizeError", Message: "The aws-chunked body is not what it should be: a chunk has no size, or not the size it says.", Status: 400}
	errChecksum = &Error{Code: "BadDigest", Message: "The checksum in the body's trailer does not match the body.", Status: 400}
	errLength   = &Error{Code: "IncompleteBody", Message: "The decoded body does not have the length that X-Amz-Decoded-Content-Length says.", Status: 400}
)

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for c.left == 0 {
		if c.err = c.next(); c.err != nil {
			return 0, c.err
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	c.got += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	if err != nil {
		c.err = errLength
		return n, c.err
	}
	return n, nil
}

// next reads the head of the next chunk, at the end the trailers.
func (c *chunkReader) next() error {
	if !c.first {
		if line, err := c.line(); err != nil || line != "" {
			return errChunk
		}
	}
	c.first = false
	line, err := c.line()
	if err != nil {
		return errChunk
	}
	size, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
	if err != nil || n < 0 {
		return errChunk
	}
	if n > 0 {
		c.left = n
		return nil
	}
	return c.finish()
}

func (c *chunkReader) finish() error {
	for {
		line, err := c.line()
		if line == "" || err != nil {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		if c.sum != nil && strings.EqualFold(strings.TrimSpace(name), c.trailer) {
			want, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
			if err != nil || string(want) != string(c.sum.Sum(nil)) {
				return errChecksum
			}
			c.sum = nil
		}
	}
	if c.want >= 0 && c.got != c.want {
		return errLength
	}
	return io.EOF
}

// line reads to the next CRLF; lines are bounded by the reader's buffer.
func (c *chunkReader) line() (string, error) {
	b, err := c.r.ReadSlice('\n')
	if err != nil && !(errors.Is(err, io.EOF) && len(b) > 0) {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
