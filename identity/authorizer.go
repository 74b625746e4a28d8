package identity

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// Open admits everybody, as `--auth open` says: any key is accepted. Only keys
// that dhow itself issued must be genuine: a node's, for it lets its agent
// report on tasks of every account, and temporary ones, for they name their
// holder.
type Open struct {
	Node   Node
	Issuer *Issuer // nil: no temporary keys were issued
	// Policies are those of a role, by its account and name; sessions of it may do
	// what they allow. nil: everybody may do everything, as with `--auth open`.
	Policies func(account, role string) policy.Documents
}

// maxSigned bounds the body of a request whose signature is checked, in bytes.
const maxSigned = 8 << 20

// Authorize names the caller: the node or the session whose key signed the
// request, else the root of the account that the call is for. A session's key
// also says which account that is.
func (o Open) Authorize(r *http.Request, c *awsapi.Call) error {
	if c.Principal == "" {
		c.Principal = "arn:aws:iam::" + c.Account + ":root"
	}
	if c.AccessKey != "" && c.AccessKey != o.Node.AccessKeyID && !Issued(c.AccessKey) {
		return nil // anybody: the edge has read the key already
	}
	s, err := Parse(r)
	switch {
	case Issued(c.AccessKey) || err == nil && Issued(s.AccessKey):
		if err == nil {
			err = o.session(r, s, c)
		}
	case err == nil && o.Node.AccessKeyID != "" && s.AccessKey == o.Node.AccessKeyID:
		if err = verify(r, s, o.Node.SecretAccessKey, c.Service); err == nil {
			c.Principal = o.Node.Principal()
		}
	default:
		return nil // anybody
	}
	if err != nil {
		return refusal(err, c.Service, s.Presigned)
	}
	return nil
}

// session makes c a call of the session whose key made s.
func (o Open) session(r *http.Request, s Signature, c *awsapi.Call) error {
	if o.Issuer == nil {
		return errUnknownKey
	}
	session, secret, err := o.Issuer.find(s.AccessKey, s.Token, time.Now())
	if err != nil {
		return err
	}
	if err := verify(r, s, secret, c.Service); err != nil {
		return err
	}
	o.admit(session, c)
	return nil
}

// admit makes c a call of a session's, within the policies of its role.
func (o Open) admit(s Session, c *awsapi.Call) {
	c.Account, c.Principal = s.Account, s.Principal()
	if o.Policies != nil {
		Limit(c, func() policy.Documents { return o.Policies(s.Account, s.Role) })
	}
}

// Limit holds the caller of c, who is named, to what policies allow: they are
// asked for at each question, and decide together.
func Limit(c *awsapi.Call, policies func() policy.Documents) {
	c.Allow = func(action, resource string) error {
		r := policy.Request{Account: c.Account, Principal: c.Principal, Action: action, Resource: resource, Facts: facts(c, time.Now())}
		said := policies().Decide(r)
		if said == policy.Allow {
			return nil
		}
		return &awsapi.Denied{Principal: c.Principal, Action: action, Resource: resource, Explicit: said == policy.Deny}
	}
}

// facts are the values of the condition keys that are known of every call.
func facts(c *awsapi.Call, now time.Time) map[string][]string {
	return map[string][]string{
		"aws:currenttime":     {now.UTC().Format(time.RFC3339)},
		"aws:epochtime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:requestedregion": {c.Region},
		"aws:securetransport": {strconv.FormatBool(c.Scheme == "https")},
		"aws:userid":          {UserID(c.Account, c.Principal)},
	}
}

// Password names the caller as Authorize does, of a call with basic
// authentication: the user is the access key, the password the secret. Of the
// temporary keys issued here it is the secret, a colon, and the session token.
// The error wraps ErrUnknownKey or ErrExpiredKey.
func (o Open) Password(password string, c *awsapi.Call) error {
	if !Issued(c.AccessKey) {
		c.Principal = "arn:aws:iam::" + c.Account + ":root"
		return nil
	}
	if o.Issuer == nil {
		return errUnknownKey
	}
	given, token, _ := strings.Cut(password, ":")
	session, secret, err := o.Issuer.find(c.AccessKey, token, time.Now())
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(given), []byte(secret)) {
		return errUnknownKey
	}
	o.admit(session, c)
	return nil
}

// verify checks that secret signed r and its body.
func verify(r *http.Request, s Signature, secret, service string) error {
	hash, err := payloadHash(r, s, service)
	if err != nil {
		return err
	}
	return Verify(r, s, secret, hash, time.Now())
}

// payloadHash is the hash of the body, which it reads and puts back. What
// X-Amz-Content-Sha256 says besides does not count: the body would not be
// signed. S3 alone lets bodies go unsigned, or signed in pieces, and compares
// them with that header itself.
func payloadHash(r *http.Request, s Signature, service string) (string, error) {
	if service == "s3" {
		if said := r.Header.Get("X-Amz-Content-Sha256"); said != "" {
			return said, nil
		}
		if s.Presigned {
			return "UNSIGNED-PAYLOAD", nil
		}
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
