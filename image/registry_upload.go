package image

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// errBody is the error of a body that ended early or is not what was said.
var errBody = errors.New("body is incomplete")

// startUpload mounts a blob, takes one in whole, or begins an upload.
func (s *Store) startUpload(q *request) error {
	if q.ref != "" {
		return &protocolError{405, "UNSUPPORTED", "POST begins an upload, PATCH and PUT continue it"}
	}
	if err := s.make(q); err != nil {
		return err
	}
	v := q.URL.Query()
	if digest := v.Get("mount"); digest != "" {
		from := v.Get("from")
		ok, err := s.Mount(q.Context(), q.scope, q.name, from, digest)
		if err != nil {
			return err
		}
		if ok {
			q.created(digest)
			return nil
		}
	}
	if d := v.Get("digest"); d != "" && !ValidDigest(d) {
		return fmt.Errorf("%w: %.200q is no digest: sha256: and 64 lower-case hexadecimal digits", ErrDigest, d)
	}
	id, err := s.StartUpload(q.scope, q.name)
	if err != nil {
		return err
	}
	q.ref = id
	if v.Get("digest") != "" {
		return s.putUpload(q)
	}
	q.progress(0)
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}

// created answers that the blob is there.
func (q *request) created(digest string) {
	h := q.w.Header()
	h.Set("Location", "/v2/"+q.name+"/blobs/"+digest)
	h.Set("Docker-Content-Digest", digest)
	q.w.WriteHeader(http.StatusCreated)
}

// progress sets the headers that say how far the upload is.
func (q *request) progress(size int64) {
	h := q.w.Header()
	h.Set("Location", (&url.URL{Path: "/v2/" + q.name + "/blobs/uploads/" + q.ref}).String())
	h.Set("Docker-Upload-UUID", q.ref)
	h.Set("Range", "0-"+strconv.FormatInt(max(size-1, 0), 10))
}

// chunk is where the body begins, -1 if the request does not say, and the
// body, which fails with errBody unless it is as long as said.
func (q *request) chunk() (at int64, body io.Reader, err error) {
	at, length := int64(-1), q.ContentLength
	if text := q.Header.Get("Content-Range"); text != "" {
		from, to, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "-")
		to, _, _ = strings.Cut(to, "/")
		first, err1 := strconv.ParseInt(from, 10, 64)
		last, err2 := strconv.ParseInt(to, 10, 64)
		if !ok || err1 != nil || err2 != nil || first < 0 || last < first-1 {
			return 0, nil, fmt.Errorf("%w: Content-Range %.100q is not FIRST-LAST", ErrRange, text)
		}
		if length >= 0 && length != last-first+1 {
			return 0, nil, fmt.Errorf("%w: Content-Range %.100q is not of the %d bytes of Content-Length", ErrRange, text, length)
		}
		at, length = first, last-first+1
	}
	if length > MaxBlob {
		return 0, nil, fmt.Errorf("%w: a layer has at most %d bytes", ErrTooLarge, int64(MaxBlob))
	}
	return at, &exactly{r: q.Body, left: length}, nil
}

// exactly yields what r does and fails where that is not left bytes; left is
// negative for any number.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if e.left < 0 {
		if err != nil && err != io.EOF {
			err = fmt.Errorf("%w: %w", errBody, err)
		}
		return n, err
	}
	if int64(n) > e.left {
		return 0, fmt.Errorf("%w: more bytes than its range says", errBody)
	}
	e.left -= int64(n)
	switch {
	case err == io.EOF && e.left > 0:
		err = fmt.Errorf("%w: %d bytes are missing", errBody, e.left)
	case err != nil && err != io.EOF:
		err = fmt.Errorf("%w: %w", errBody, err)
	}
	return n, err
}

func (s *Store) patchUpload(q *request) error {
	at, body, err := q.chunk()
	if err != nil {
		return err
	}
	size, err := s.Append(q.Context(), q.scope, q.name, q.ref, at, body)
	if err != nil {
		if errors.Is(err, ErrRange) {
			q.progress(size)
		}
		return err
	}
	q.progress(size)
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}

// putUpload adds the last chunk, if any, and makes the upload a blob.
func (s *Store) putUpload(q *request) error {
	digest := q.URL.Query().Get("digest")
	if !ValidDigest(digest) {
		return fmt.Errorf("%w: digest=%.200q is no digest: sha256: and 64 lower-case hexadecimal digits", ErrDigest, digest)
	}
	at, body, err := q.chunk()
	if err != nil {
		return err
	}
	if q.ContentLength != 0 {
		if size, err := s.Append(q.Context(), q.scope, q.name, q.ref, at, body); err != nil {
			if errors.Is(err, ErrRange) {
				q.progress(size)
			}
			return err
		}
	}
	if _, err := s.Finish(q.Context(), q.scope, q.name, q.ref, digest); err != nil {
		return err
	}
	q.created(digest)
	return nil
}

func (s *Store) uploadStatus(q *request) error {
	size, err := s.UploadSize(q.Context(), q.scope, q.name, q.ref)
	if err != nil {
		return err
	}
	q.progress(size)
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
