package sdktest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// TestBodies closes a body of the SDK before it is copied, as the SDK does when
// an answer comes quickly: what is copied then is nothing, and no error.
func TestBodies(t *testing.T) {
	r, err := smithyhttp.NewStackRequest().(*smithyhttp.Request).SetStream(strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 4
	built := r.Build(context.Background())
	inner := transport(func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		n, err := io.Copy(io.Discard, r.Body)
		if n != 0 || err != nil {
			t.Errorf("%d bytes copied from a closed body, %v", n, err)
		}
		return nil, nil
	})
	if _, err := (plainBodies{inner}).RoundTrip(built); err != nil {
		t.Fatal(err)
	}
}
