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
		s, err := ParseAuthorization(in.Header.Get("Authorization"))
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
	})
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20250101/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	f.Add("AWS4-HMAC-SHA256 Credential=////aws4_request,SignedHeaders=,Signature=")
	f.Fuzz(func(t *testing.T, h string) {
		s, err := ParseAuthorization(h)
		if err == nil && (s.AccessKey == "" || s.Value == "") {
			t.Fatalf("%q parsed to %+v", h, s)
		}
	})
}
