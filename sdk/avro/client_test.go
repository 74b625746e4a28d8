package avro

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/dhowhq/dhow/contract/wire"
)

// vault issues one key at a time; the key before is refused from then on.
type vault struct {
	mu     sync.Mutex
	valid  string
	code   string // of the refusal
	lies   bool   // the keys that it hands out are never good
	issued int
}

func (v *vault) rotate(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.valid = key
}

func (v *vault) Retrieve(context.Context) (aws.Credentials, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.issued++
	key := v.valid
	if v.lies {
		key = "AKIAOTHER"
	}
	return aws.Credentials{AccessKeyID: key, SecretAccessKey: "secret", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
}

// serve is a registry over HTTP that takes the vault's valid key alone.
func (v *vault) serve(t *testing.T, f *fakeGlue) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		v.mu.Lock()
		valid, code := v.valid, v.code
		v.mu.Unlock()
		answer := func(status int, body any) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(body)
		}
		if !strings.Contains(q.Header.Get("Authorization"), "Credential="+valid+"/") {
			answer(http.StatusBadRequest, map[string]string{"__type": code, "message": "The security token included in the request is expired"})
			return
		}
		var in struct{ SchemaVersionId string }
		json.NewDecoder(q.Body).Decode(&in)
		out, err := f.GetSchemaVersion(q.Context(), &glue.GetSchemaVersionInput{SchemaVersionId: &in.SchemaVersionId})
		if err != nil {
			answer(http.StatusBadRequest, map[string]string{"__type": "EntityNotFoundException", "Message": err.Error()})
			return
		}
		answer(http.StatusOK, map[string]any{"SchemaArn": out.SchemaArn, "SchemaVersionId": out.SchemaVersionId, "SchemaDefinition": out.SchemaDefinition,
			"DataFormat": out.DataFormat, "Status": out.Status, "VersionNumber": out.VersionNumber})
	}))
	t.Cleanup(s.Close)
	return s
}

func clientOf(url string, p aws.CredentialsProvider) *glue.Client {
	return glue.New(glue.Options{BaseEndpoint: &url, Region: "us-east-1", Credentials: p, Retryer: aws.NopRetryer{}})
}

// TestRotation has credentials refused that the client still holds for good.
func TestRotation(t *testing.T) {
	for _, code := range []string{"ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"} {
		for _, cached := range []bool{true, false} {
			v := &vault{valid: "AKIAFIRST", code: code}
			f := &fakeGlue{}
			var provider aws.CredentialsProvider = v
			if cached {
				provider = aws.NewCredentialsCache(v)
			}
			r := NewRegistry(clientOf(v.serve(t, f).URL, provider), RegistryOptions{Refresh: -1})
			for _, key := range []string{"AKIAFIRST", "AKIASECOND", "AKIATHIRD"} {
				v.rotate(key)
				want := f.add(&Version{Name: "shop/order", Version: "1.0.0", Definition: order10})
				if got, err := r.Find(t.Context(), "shop/order", must(want.Reference(wire.Glue))); err != nil || got.UUID != want.UUID {
					t.Errorf("%s, cached %v, with %s: %v, %v", code, cached, key, got, err)
				}
			}
			if cached && v.issued != 3 {
				t.Errorf("%s: the provider was asked %d times", code, v.issued)
			}
			v.lies = true
			v.rotate("AKIAFOURTH")
			_, err := r.Find(t.Context(), "shop/order", must(f.add(&Version{Name: "shop/order", Definition: order10}).Reference(wire.Glue)))
			if err == nil || !strings.Contains(err.Error(), code) || errors.Is(err, ErrUnknown) {
				t.Errorf("%s: credentials that are never good: %v", code, err)
			}
		}
	}
}

// TestClient has a registry over HTTP be away, come back, and not have what is
// asked for.
func TestClient(t *testing.T) {
	v := &vault{valid: "AKIA"}
	f := &fakeGlue{}
	s := v.serve(t, f)
	r := NewRegistry(clientOf(s.URL, v), RegistryOptions{Refresh: -1, Retry: time.Nanosecond})
	first := f.add(&Version{Name: "shop/order", Definition: order10})
	second := f.add(&Version{Name: "shop/order", Definition: order11})
	if _, err := r.Find(t.Context(), "shop/order", must(first.Reference(wire.Glue))); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Find(t.Context(), "shop/order", wire.Reference{Form: wire.Glue}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	s.Close()
	if _, err := r.Find(t.Context(), "shop/order", must(first.Reference(wire.Glue))); err != nil {
		t.Error(err)
	}
	if _, err := r.Find(t.Context(), "shop/order", must(second.Reference(wire.Glue))); err == nil || errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "asking the registry") {
		t.Error(err)
	}
}
