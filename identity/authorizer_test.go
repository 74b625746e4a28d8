package identity

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// signed is a request of the agent of n's, as the SDK signs it.
func signed(t *testing.T, n Node, body, hashHeader string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/", strings.NewReader(body))
	if hashHeader != "" {
		r.Header.Set("X-Amz-Content-Sha256", hashHeader)
	}
	creds := aws.Credentials{AccessKeyID: n.AccessKeyID, SecretAccessKey: n.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, sha(body), "ecs", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// Anybody is let in as the root of the account, but the node's name is for who
// signed what the body says.
func TestOpenAuthorize(t *testing.T) {
	n, err := LoadNode(filepath.Join(t.TempDir(), "node.json"))
	if err != nil {
		t.Fatal(err)
	}
	forged := n
	forged.SecretAccessKey += "x"
	other := signed(t, n, "{}", sha("{}"))
	other.Body = io.NopCloser(strings.NewReader(`{"evil":1}`))
	stranger := Node{AccessKeyID: "AKIA", SecretAccessKey: "s"}
	for name, c := range map[string]struct {
		r         *http.Request
		principal string // "" where it is refused
	}{
		"the node":            {signed(t, n, "{}", ""), n.Principal()},
		"with a hash":         {signed(t, n, "{}", sha("{}")), n.Principal()},
		"another secret":      {signed(t, forged, "{}", ""), ""},
		"another body":        {other, ""},
		"somebody":            {signed(t, stranger, "{}", ""), "arn:aws:iam::111122223333:root"},
		"nobody":              {httptest.NewRequest("POST", "/", nil), "arn:aws:iam::111122223333:root"},
		"a body without hash": {signed(t, n, strings.Repeat("x", 1000), ""), n.Principal()},
	} {
		call := &awsapi.Call{Account: "111122223333", Service: "ecs"}
		err := Open{Node: n}.Authorize(c.r, call)
		var refused *awsapi.Error
		switch {
		case c.principal == "" && (!errors.As(err, &refused) || refused.Status != http.StatusBadRequest || call.Principal == n.Principal()):
			t.Errorf("%s: %v, as %s, want a refusal", name, err, call.Principal)
		case c.principal != "" && (err != nil || call.Principal != c.principal):
			t.Errorf("%s: %v, as %s, want %s", name, err, call.Principal, c.principal)
		}
	}
}

// A node stays who it is, and damage is said, not mended by another identity:
// the tasks in the state are of the old one.
func TestLoadNode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "node.json")
	first, err := LoadNode(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := LoadNode(path); err != nil || again != first {
		t.Errorf("second start: %+v %v, want %+v", again, err, first)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("file mode %v %v", st.Mode(), err)
	}
	for _, bad := range []string{"", "{", "{}", `{"ID":"a","SecretAccessKey":"b"}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := LoadNode(path); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %+v %v", bad, n, err)
		}
	}
}
