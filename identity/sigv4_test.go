package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

func sha(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// The SDK's signer is the oracle: whatever it signs verifies, and nothing else does.
func TestVerifyAgainstSDK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.String().Draw(t, "body")
		query := url.Values{}
		// The SDK sorts names before it encodes them, AWS after: names in which
		// that differs are left out.
		for k, v := range rapid.MapOfN(rapid.StringMatching(`[a-z0-9.-]{1,8}`), rapid.String(), 0, 4).Draw(t, "query") {
			query.Set(k, v)
		}
		path := "/" + rapid.StringMatching(`[a-z0-9 _.~/:%+-]{0,20}`).Draw(t, "path")
		u := url.URL{Scheme: "http", Host: "127.0.0.1:4566", Path: path, RawQuery: query.Encode()}
		out, err := http.NewRequest("POST", u.String(), strings.NewReader(body))
		if err != nil {
			t.Skip("not a request")
		}
		out.Header.Set("X-Amz-Target", rapid.StringMatching(`[A-Za-z.]{1,20}( {1,3}[a-z]{1,3})?`).Draw(t, "target"))
		now := time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, "now"), 0).UTC()
		creds := aws.Credentials{AccessKeyID: "AKIA/x", SecretAccessKey: rapid.StringN(1, 40, 80).Draw(t, "secret")}
		if err := v4.NewSigner().SignHTTP(context.Background(), creds, out, sha(body), "ecs", "eu-west-1", now); err != nil {
			t.Fatal(err)
		}
		in := httptest.NewRequest("POST", u.String(), strings.NewReader(body))
		in.Header, in.Host = out.Header, "127.0.0.1:4566"
		s, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if s.AccessKey != "AKIA/x" || s.Region != "eu-west-1" || s.Service != "ecs" {
			t.Fatalf("parsed %+v", s)
		}
		if err := Verify(in, s, creds.SecretAccessKey, sha(body), now.Add(time.Minute)); err != nil {
			t.Fatalf("the SDK's signature is refused: %v", err)
		}
		if err := Verify(in, s, creds.SecretAccessKey+"x", sha(body), now); !errors.Is(err, ErrMismatch) {
			t.Fatalf("another secret: %v", err)
		}
		if err := Verify(in, s, creds.SecretAccessKey, sha(body+"x"), now); !errors.Is(err, ErrMismatch) {
			t.Fatalf("another body: %v", err)
		}
		if err := Verify(in, s, creds.SecretAccessKey, sha(body), now.Add(MaxSkew+time.Second)); !errors.Is(err, ErrExpired) {
			t.Fatalf("a late request: %v", err)
		}
		if err := Verify(in, s, creds.SecretAccessKey, sha(body), now.Add(-MaxSkew-time.Second)); !errors.Is(err, ErrEarly) {
			t.Fatalf("an early request: %v", err)
		}
		in.Header.Set("X-Amz-Extra", "added on the way")
		if err := Verify(in, s, creds.SecretAccessKey, sha(body), now); !errors.Is(err, ErrUnsigned) {
			t.Fatalf("a header that is not signed: %v", err)
		}
	})
}

// What the SDK presigns verifies for as long as it says, in its own query only.
func TestVerifyPresigned(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	creds := aws.Credentials{AccessKeyID: "AKIA/x", SecretAccessKey: "s", SessionToken: "to/ken=="}
	presign := func(query string, header ...string) *http.Request {
		out, err := http.NewRequest("GET", "http://127.0.0.1:4566/?Action=GetCallerIdentity&Version=2011-06-15"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range header {
			out.Header.Set(h, "signed")
		}
		uri, headers, err := v4.NewSigner().PresignHTTP(t.Context(), creds, out, sha(""), "sts", "eu-west-1", now)
		if err != nil {
			t.Fatal(err)
		}
		in := httptest.NewRequest("GET", uri, nil)
		in.Header, in.Host = headers, "127.0.0.1:4566"
		return in
	}
	for _, c := range []struct {
		name string
		r    *http.Request
		at   time.Duration
		want error
	}{
		{"at once", presign("&X-Amz-Expires=60"), 0, nil},
		{"a minute later", presign("&X-Amz-Expires=60"), time.Minute, nil},
		{"too late", presign("&X-Amz-Expires=60"), 61 * time.Second, ErrExpired},
		{"a week", presign("&X-Amz-Expires=604800"), 7 * 24 * time.Hour, nil},
		{"from the future", presign("&X-Amz-Expires=60"), -16 * time.Minute, ErrEarly},
		{"without an end", presign(""), 15 * time.Minute, nil},
		{"without an end, too late", presign(""), 16 * time.Minute, ErrExpired},
		{"with a signed header", presign("", "x-k8s-aws-id"), 0, nil},
		{"more than a week", presign("&X-Amz-Expires=604801"), 0, ErrIncomplete},
		{"no number", presign("&X-Amz-Expires=soon"), 0, ErrIncomplete},
		{"negative", presign("&X-Amz-Expires=-1"), 0, ErrIncomplete},
	} {
		s, err := Parse(c.r)
		if err == nil {
			if s.AccessKey != "AKIA/x" || s.Service != "sts" || s.Token != creds.SessionToken || !s.Presigned {
				t.Errorf("%s: parsed %+v", c.name, s)
			}
			err = Verify(c.r, s, "s", sha(""), now.Add(c.at))
		}
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	changed := presign("&X-Amz-Expires=60")
	changed.URL.RawQuery = strings.Replace(changed.URL.RawQuery, "X-Amz-Expires=60", "X-Amz-Expires=600", 1)
	s, err := Parse(changed)
	if err == nil {
		err = Verify(changed, s, "s", sha(""), now)
	}
	if !errors.Is(err, ErrMismatch) {
		t.Errorf("a longer life: %v", err)
	}
}

// What is missing is said in AWS's words, and the sentences for a wrong clock
// name both times.
func TestRefusals(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	const (
		credential = "Credential=AK/20260801/us-east-1/ecs/aws4_request"
		stamp      = "20260801T120000Z"
	)
	for _, c := range []struct {
		name, authorization, date string
		service                   string // of the call
		code, message             string
		status                    int
	}{
		{"no signature", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date", stamp, "ecs",
			"IncompleteSignatureException", "Authorization header requires 'Signature' parameter.", 400},
		{"nothing", "AWS4-HMAC-SHA256 ", stamp, "sts", "IncompleteSignature",
			"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.", 400},
		{"no date", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host, Signature=00", "", "ecs",
			"IncompleteSignatureException", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.", 400},
		{"host not signed", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=x-amz-date, Signature=00", stamp, "ecs",
			"InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.", 400},
		{"date not signed", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host, Signature=00", stamp, "sts",
			"SignatureDoesNotMatch", "There were headers present in the request which were not signed: x-amz-date", 403},
		{"date not signed, in S3", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host, Signature=00", stamp, "s3",
			"AccessDenied", "There were headers present in the request which were not signed", 403},
		{"another day", "AWS4-HMAC-SHA256 Credential=AK/20260802/us-east-1/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=00", stamp, "ecs",
			"InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260802' != '20260801', from '20260801T120000Z'.", 400},
		{"late", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", "20260801T110000Z", "ecs",
			"InvalidSignatureException", "Signature expired: 20260801T110000Z is now earlier than 20260801T114500Z (20260801T120000Z - 15 min.)", 400},
		{"late, in a query service", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", "20260801T110000Z", "elbv2",
			"SignatureDoesNotMatch", "Signature expired: 20260801T110000Z is now earlier than 20260801T114500Z (20260801T120000Z - 15 min.)", 403},
		{"early", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", "20260801T121501Z", "ecs",
			"InvalidSignatureException", "Signature not yet current: 20260801T121501Z is still later than 20260801T121500Z (20260801T120000Z + 15 min.)", 400},
		{"late, in S3", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", "20260801T110000Z", "s3",
			"RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", 403},
		{"late, in EC2", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", "20260801T110000Z", "ec2",
			"RequestExpired", "Request has expired.", 400},
		{"forged", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", stamp, "ecs",
			"InvalidSignatureException", mismatch, 400},
		{"forged, in EC2", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", stamp, "ec2",
			"AuthFailure", "AWS was not able to validate the provided access credentials", 401},
		{"forged, in S3", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", stamp, "s3",
			"SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.", 403},
		{"forged, in Lambda", "AWS4-HMAC-SHA256 " + credential + ", SignedHeaders=host;x-amz-date, Signature=00", stamp, "lambda",
			"InvalidSignatureException", mismatch, 403},
	} {
		r := httptest.NewRequest("POST", "http://127.0.0.1:4566/", nil)
		r.Header.Set("Authorization", c.authorization)
		if c.date != "" {
			r.Header.Set("X-Amz-Date", c.date)
		}
		s, err := Parse(r)
		if err == nil {
			err = Verify(r, s, "secret", sha(""), now)
		}
		if got := refusal(err, c.service, s.Presigned); got.Code != c.code || got.Message != c.message || got.Status != c.status {
			t.Errorf("%s: %d %s\n%s\nwant %d %s\n%s", c.name, got.Status, got.Code, got.Message, c.status, c.code, c.message)
		}
	}
}

// A Date header will do where there is no X-Amz-Date.
func TestVerifyDateHeader(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/", nil)
	r.Header.Set("Date", now.Format(http.TimeFormat))
	day := now.Format("20060102")
	s := Signature{AccessKey: "AK", Date: day, Region: "us-east-1", Service: "ecs", Headers: []string{"date", "host"}}
	s.Value = s.sign(r, now.Format(isoBasic), "secret", sha(""))
	if err := Verify(r, s, "secret", sha(""), now); err != nil {
		t.Error(err)
	}
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20250101/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	f.Add("AWS4-HMAC-SHA256 Credential=////aws4_request,SignedHeaders=,Signature=")
	f.Fuzz(func(t *testing.T, h string) {
		s, err := parseAuthorization(h)
		if err == nil && (s.AccessKey == "" || s.Value == "") {
			t.Fatalf("%q parsed to %+v", h, s)
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20250101%2Fr%2Fs%2Faws4_request&X-Amz-Date=20250101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires=60")
	f.Add("X-Amz-Signature=&X-Amz-Expires=99999999999999999999")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		s, err := Parse(r)
		if err != nil {
			return
		}
		if s.AccessKey == "" || s.Value == "" || s.Expires < 0 || s.Expires > 7*24*time.Hour {
			t.Fatalf("%q parsed to %+v", query, s)
		}
		if Verify(r, s, "secret", sha(""), time.Now()) == nil {
			t.Fatalf("%q verifies", query)
		}
	})
}
