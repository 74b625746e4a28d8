package awsapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// readBody returns the body as it came, at most limit bytes of it.
func (x *exchange) readBody(limit int64) ([]byte, error) {
	if x.rawRead {
		if int64(len(x.raw)) > limit {
			return nil, tooLarge(limit)
		}
		return x.raw, nil
	}
	if x.r.Body == nil || x.r.Body == http.NoBody {
		x.rawRead = true
		return nil, nil
	}
	if x.r.ContentLength > limit {
		x.w.Header()["Connection"] = closing
		return nil, tooLarge(limit)
	}
	b := x.raw[:0]
	if n := x.r.ContentLength; n > 0 {
		b = slices.Grow(b, int(n)+1)
	}
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, 512)
		}
		n, err := x.r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if int64(len(b)) > limit {
			x.raw = b[:0]
			x.w.Header()["Connection"] = closing
			return nil, tooLarge(limit)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			x.raw = b[:0]
			return nil, &Error{Code: "IncompleteBody", Message: "The request body could not be read to its end.", Status: 400}
		}
	}
	x.raw, x.rawRead = b, true
	return b, nil
}

// plainBody returns the body without its content encodings.
func (x *exchange) plainBody(limit int64) ([]byte, error) {
	raw, err := x.readBody(limit)
	if err != nil || !isEncoded(x.r) {
		return raw, err
	}
	r, err := x.decoding(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, asClientError(err)
	}
	if int64(len(plain)) > limit {
		return nil, tooLarge(limit)
	}
	return plain, nil
}

func isEncoded(r *http.Request) bool {
	return header(r, "Content-Encoding") != "" || strings.HasPrefix(header(r, "X-Amz-Content-Sha256"), "STREAMING-")
}

// decoding undoes the request's content encodings, the last applied first.
func (x *exchange) decoding(r io.Reader) (io.Reader, error) {
	chunked := strings.HasPrefix(header(x.r, "X-Amz-Content-Sha256"), "STREAMING-")
	encodings := strings.Split(header(x.r, "Content-Encoding"), ",")
	if slices.ContainsFunc(encodings, func(e string) bool { return strings.TrimSpace(e) == "aws-chunked" }) {
		chunked = true
	}
	if chunked {
		r = newChunkReader(r, x.r.Header)
	}
	if x.t.info != nil && x.t.info.Name == "s3" {
		return r, nil // of an object the encoding is a property, not a layer
	}
	for _, e := range slices.Backward(encodings) {
		switch e := strings.ToLower(strings.TrimSpace(e)); e {
		case "", "identity", "aws-chunked":
		case "gzip":
			z, err := gzip.NewReader(r)
			if err != nil {
				return nil, asClientError(err)
			}
			r = z
		default:
			return nil, &Error{Code: "UnsupportedMediaType", Message: "Content-Encoding " + e + " is not supported; send gzip or none.", Status: http.StatusUnsupportedMediaType}
		}
	}
	return r, nil
}

// asClientError blames the client for a body that cannot be decoded.
func asClientError(err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Code: "SerializationException", Message: "The request body does not have the form that its Content-Encoding says.", Status: 400}
}
