// Package identity owns who calls: principals, their keys and the signatures
// that prove them. Policies and roles join it later.
package identity

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors of signature checks.
var (
	ErrIncomplete = errors.New("authorization header is incomplete")
	ErrMismatch   = errors.New("signature does not match")
	ErrExpired    = errors.New("signature has expired")
)

// Signature is the parsed Authorization header of Signature Version 4.
type Signature struct {
	AccessKey string
	Date      string // YYYYMMDD, of the scope
	Region    string
	Service   string
	Headers   []string // signed headers, lower case, sorted by the signer
	Value     string   // hexadecimal
}

const scheme = "AWS4-HMAC-SHA256"

// ParseAuthorization reads a header of the form
//
//	AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=hex
func ParseAuthorization(header string) (Signature, error) {
	var s Signature
	rest, ok := strings.CutPrefix(header, scheme+" ")
	if !ok {
		return s, ErrIncomplete
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			f := strings.Split(value, "/")
			if len(f) < 5 || f[len(f)-1] != "aws4_request" {
				return s, ErrIncomplete
			}
			n := len(f)
			// An access key may hold slashes, the scope may not.
			s.AccessKey = strings.Join(f[:n-4], "/")
			s.Date, s.Region, s.Service = f[n-4], f[n-3], f[n-2]
		case "SignedHeaders":
			s.Headers = strings.Split(value, ";")
		case "Signature":
			s.Value = value
		}
	}
	if s.AccessKey == "" || s.Value == "" || len(s.Headers) == 0 {
		return s, ErrIncomplete
	}
	return s, nil
}

// MaxSkew is how far a request's date may be from the server's clock, as at AWS.
const MaxSkew = 15 * time.Minute

// Verify checks that secret signed r at about now. payloadHash is the
// hexadecimal SHA-256 of the body, or what X-Amz-Content-Sha256 says instead.
func Verify(r *http.Request, s Signature, secret, payloadHash string, now time.Time) error {
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", stamp)
	if err != nil || !strings.HasPrefix(stamp, s.Date) {
		return ErrIncomplete
	}
	if d := now.Sub(at); d > MaxSkew || d < -MaxSkew {
		return ErrExpired
	}
	if !slices.Contains(s.Headers, "host") {
		return ErrIncomplete
	}
	scope := s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request"
	toSign := strings.Join([]string{scheme, stamp, scope, hashHex(canonical(r, s, payloadHash))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request"} {
		key = mac(key, part)
	}
	want := hex.EncodeToString(mac(key, toSign))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.Value)) != 1 {
		return ErrMismatch
	}
	return nil
}

// canonical is the canonical request of the signing process. S3 signs its path
// as it is on the wire, other services encode it once more.
func canonical(r *http.Request, s Signature, payloadHash string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	if s.Service != "s3" {
		path = escape(path, true)
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + path + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range s.Headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.Headers, ";") + "\n" + payloadHash)
	return b.String()
}

func headerValue(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	if name == "content-length" && r.Header.Get(name) == "" && r.ContentLength >= 0 {
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}

// canonicalQuery sorts by encoded name, then by encoded value.
func canonicalQuery(q url.Values) string {
	type pair struct{ name, value string }
	var pairs []pair
	for k, vs := range q {
		for _, v := range vs {
			pairs = append(pairs, pair{escape(k, false), escape(v, false)})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

// escape encodes as RFC 3986 does: all but unreserved characters, and the
// slashes of a path.
func escape(s string, isPath bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~', c == '/' && isPath:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

func hashHex(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
