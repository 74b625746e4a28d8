package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// Open admits everybody, as `--auth open` says: any key is accepted. Only a
// node's key must be genuine, for it lets its agent report on tasks of every
// account.
type Open struct {
	Node Node
}

// maxSigned bounds the body of a node's request, in bytes.
const maxSigned = 8 << 20

// Authorize names the caller: the node whose key signed the request, else the
// root of the account that the call is for.
func (o Open) Authorize(r *http.Request, c *awsapi.Call) error {
	if c.Principal == "" {
		c.Principal = "arn:aws:iam::" + c.Account + ":root"
	}
	if c.AccessKey != "" && c.AccessKey != o.Node.AccessKeyID {
		return nil // anybody: the edge has read the key already
	}
	s, err := Parse(r)
	if err != nil || o.Node.AccessKeyID == "" || s.AccessKey != o.Node.AccessKeyID {
		return nil // anybody
	}
	hash, err := payloadHash(r)
	if err != nil {
		return err
	}
	if err := Verify(r, s, o.Node.SecretAccessKey, hash, time.Now()); err != nil {
		return refusal(err, c.Service, s.Presigned)
	}
	c.Principal = o.Node.Principal()
	return nil
}

// payloadHash is the hash of the body, which it reads and puts back. What
// X-Amz-Content-Sha256 says besides does not count: the body would not be
// signed.
func payloadHash(r *http.Request) (string, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxSigned))
	if err != nil {
		return "", &awsapi.Error{Code: "RequestEntityTooLargeException", Message: "Request body exceeds the limit.", Status: http.StatusRequestEntityTooLarge}
	}
	r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	h := sha256.Sum256(body)
	return hex.EncodeToString(h[:]), nil
}
