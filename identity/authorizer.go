package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
	s, err := ParseAuthorization(r.Header.Get("Authorization"))
	if err != nil || o.Node.AccessKeyID == "" || s.AccessKey != o.Node.AccessKeyID {
		return nil // anybody
	}
	hash, err := payloadHash(r)
	if err != nil {
		return err
	}
	if err := Verify(r, s, o.Node.SecretAccessKey, hash, time.Now()); err != nil {
		code := "InvalidSignatureException"
		if errors.Is(err, ErrIncomplete) {
			code = "IncompleteSignatureException"
		}
		return &awsapi.Error{Code: code, Message: err.Error(), Status: http.StatusForbidden}
	}
	c.Principal = o.Node.Principal()
	return nil
}

// payloadHash is what the signer hashed: it reads the body and puts it back.
func payloadHash(r *http.Request) (string, error) {
	if h := r.Header.Get("X-Amz-Content-Sha256"); h != "" {
		return h, nil
	}
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
