// Package identity owns who calls: principals, their keys, lasting and
// temporary, and the signatures that prove them. Policies and roles join it
// later.
package identity

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Why a signature is not taken. Errors of Parse and Verify are one of these,
// in AWS's words.
var (
	ErrIncomplete = errors.New("signature is incomplete")
	ErrUnsigned   = errors.New("headers are not signed")
	ErrMismatch   = errors.New("signature does not match")
	ErrScope      = errors.New("credential scope does not match")
	ErrExpired    = errors.New("signature has expired")
	ErrEarly      = errors.New("signature is not yet valid")
)

// worded is one of the errors above in AWS's words.
type worded struct {
	is   error
	text string
}

func (e *worded) Error() string { return e.text }
func (e *worded) Unwrap() error { return e.is }

func say(is error, format string, args ...any) error {
	return &worded{is, fmt.Sprintf(format, args...)}
}

// Signature is what a request says of how it was signed with Signature Version
// 4: in its Authorization header or, presigned, in its query.
type Signature struct {
	AccessKey string
	Date      string // YYYYMMDD, of the scope
	Region    string
	Service   string
	Headers   []string // signed headers, lower case, sorted by the signer
	Value     string   // hexadecimal
	Token     string   // of temporary credentials; "" for none

	Presigned bool
	Expires   time.Duration // how long a presigned request is good; 0 where it does not say
}

const (
	scheme   = "AWS4-HMAC-SHA256"
	isoBasic = "20060102T150405Z"
)

// isSigned reports whether r carries a signature of either form.
func isSigned(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=")
}

// Parse reads the signature of a request; ErrIncomplete where a part is
// missing. The header counts where there are both.
func Parse(r *http.Request) (Signature, error) {
	if h := r.Header.Get("Authorization"); h != "" || !isSigned(r) {
		s, err := parseAuthorization(h)
		s.Token = r.Header.Get("X-Amz-Security-Token")
		return s, err
	}
	return parseQuery(r.URL.Query())
}

// parseAuthorization reads a header of the form
//
//	AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=hex
func parseAuthorization(header string) (s Signature, err error) {
	rest, ok := strings.CutPrefix(header, scheme+" ")
	if !ok {
		return s, say(ErrIncomplete, "The request signature does not conform to AWS standards.")
	}
	have := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		have[name] = value
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if have[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	if len(missing) > 0 {
		return s, say(ErrIncomplete, "%s", strings.Join(missing, " "))
	}
	s.Headers, s.Value = strings.Split(have["SignedHeaders"], ";"), have["Signature"]
	return s, s.credential(have["Credential"])
}

// credential reads KEY/DATE/REGION/SERVICE/aws4_request.
func (s *Signature) credential(text string) error {
	f := strings.Split(text, "/")
	n := len(f)
	if n < 5 || f[n-1] != "aws4_request" || strings.Trim(text, "/") != text {
		return say(ErrIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%.200s'", text)
	}
	// An access key may hold slashes, the scope may not.
	s.AccessKey = strings.Join(f[:n-4], "/")
	s.Date, s.Region, s.Service = f[n-4], f[n-3], f[n-2]
	return nil
}

// maxExpires is the longest life of a presigned request.
const maxExpires = 7 * 24 * time.Hour

// parseQuery reads the parameters of a presigned request. The sentences are
// those of S3, whose URLs they are nearly always.
func parseQuery(q url.Values) (s Signature, err error) {
	s = Signature{Presigned: true, Headers: strings.Split(q.Get("X-Amz-SignedHeaders"), ";"),
		Value: q.Get("X-Amz-Signature"), Token: q.Get("X-Amz-Security-Token")}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders"} {
		if q.Get(name) == "" {
			return s, say(ErrIncomplete, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	if q.Get("X-Amz-Algorithm") != scheme {
		return s, say(ErrIncomplete, "X-Amz-Algorithm only supports \"%s\"", scheme)
	}
	if text := q.Get("X-Amz-Expires"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return s, say(ErrIncomplete, "X-Amz-Expires should be a number")
		case n < 0:
			return s, say(ErrIncomplete, "X-Amz-Expires must be non-negative")
		case n > int64(maxExpires/time.Second):
			return s, say(ErrIncomplete, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
		}
		s.Expires = time.Duration(n) * time.Second
	}
	return s, s.credential(q.Get("X-Amz-Credential"))
}

// MaxSkew is how far a request's date may be from the server's clock, as at AWS.
const MaxSkew = 15 * time.Minute

// Verify checks that secret signed r at about now, and with it its host and all
// its X-Amz headers. payloadHash is the hexadecimal SHA-256 of the body, or
// what stands for it. Errors: ErrIncomplete, ErrUnsigned, ErrScope, ErrExpired,
// ErrEarly, ErrMismatch.
func Verify(r *http.Request, s Signature, secret, payloadHash string, now time.Time) error {
	at, err := s.date(r)
	if err != nil {
		return err
	}
	stamp := at.Format(isoBasic)
	if !strings.HasPrefix(stamp, s.Date+"T") {
		return say(ErrScope, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%.20s' != '%s', from '%s'.",
			s.Date, stamp[:8], stamp)
	}
	if err := s.current(at, now.UTC()); err != nil {
		return err
	}
	if err := s.covers(r); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(s.sign(r, stamp, secret, payloadHash)), []byte(s.Value)) != 1 {
		return say(ErrMismatch, "%s", mismatch)
	}
	return nil
}

const mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// date is when the request says it was signed.
func (s Signature) date(r *http.Request) (time.Time, error) {
	stamp := r.Header.Get("X-Amz-Date")
	if s.Presigned {
		stamp = r.URL.Query().Get("X-Amz-Date")
	}
	if stamp == "" && !s.Presigned && r.Header.Get("Date") != "" {
		if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			return at.UTC(), nil
		}
		stamp = r.Header.Get("Date")
	}
	if stamp == "" {
		return time.Time{}, say(ErrIncomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	at, err := time.Parse(isoBasic, stamp)
	if err != nil {
		return at, say(ErrIncomplete, "Date must be in ISO-8601 'basic format'. Got '%.40s'. See http://en.wikipedia.org/wiki/ISO_8601", stamp)
	}
	return at, nil
}

// current checks a signature of that time against the clock. What is presigned
// is good for as long as it says, else for the time that clocks may differ.
func (s Signature) current(at, now time.Time) error {
	life, words := MaxSkew, "15 min."
	if s.Presigned && s.Expires > 0 {
		life, words = s.Expires, strconv.Itoa(int(s.Expires/time.Second))+" sec."
	}
	if oldest := now.Add(-life); at.Before(oldest.Truncate(time.Second)) {
		return say(ErrExpired, "Signature expired: %s is now earlier than %s (%s - %s)", at.Format(isoBasic), oldest.Format(isoBasic), now.Format(isoBasic), words)
	}
	if newest := now.Add(MaxSkew); at.After(newest) {
		return say(ErrEarly, "Signature not yet current: %s is still later than %s (%s + 15 min.)", at.Format(isoBasic), newest.Format(isoBasic), now.Format(isoBasic))
	}
	return nil
}

// covers checks that the signature is over the host and over every X-Amz header
// there is: who sees a request may not add to it. The rule is in "Create a
// signed AWS API request", step 1.
func (s Signature) covers(r *http.Request) error {
	if !slices.Contains(s.Headers, "host") {
		return say(ErrUnsigned, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	var bare []string
	for name := range r.Header {
		if low := strings.ToLower(name); strings.HasPrefix(low, "x-amz-") && !slices.Contains(s.Headers, low) {
			bare = append(bare, low)
		}
	}
	if len(bare) == 0 {
		return nil
	}
	slices.Sort(bare)
	return say(ErrUnsigned, "There were headers present in the request which were not signed: %s", strings.Join(bare, ", "))
}

// sign is the signature that secret makes at stamp, in hexadecimal.
func (s Signature) sign(r *http.Request, stamp, secret, payloadHash string) string {
	scope := s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request"
	toSign := strings.Join([]string{scheme, stamp, scope, hashHex(canonical(r, s, payloadHash))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request"} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, toSign))
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
	query := r.URL.Query()
	if s.Presigned {
		query.Del("X-Amz-Signature")
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + path + "\n" + canonicalQuery(query) + "\n")
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
