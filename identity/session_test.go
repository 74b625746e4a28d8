package identity

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

func testIssuer() *Issuer {
	return &Issuer{secret: []byte("of the test"), alive: func(h string) bool { return h == "task" }}
}

func role(expires time.Time) Session {
	return Session{Account: "111122223333", Role: "orders", Name: "0123", Holder: "task", Expires: expires}
}

// by is a request that k signed for service, as the SDK signs it.
func by(t *testing.T, k Keys, service string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/", strings.NewReader("{}"))
	creds := aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, sha("{}"), service, "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// A key stands for its session until it expires, in another life of the
// platform too, and for nothing without its own token and secret.
func TestSessionKeys(t *testing.T) {
	i, now := testIssuer(), time.Now()
	s := role(now.Add(time.Hour).UTC().Truncate(time.Second))
	k, other := i.Issue(s), i.Issue(s)
	if k == other || !Issued(k.AccessKeyID) || len(k.SecretAccessKey) != 40 {
		t.Errorf("keys %+v, %+v", k, other)
	}
	got, secret, err := testIssuer().find(k.AccessKeyID, k.SessionToken, now)
	if err != nil || got != s || secret != k.SecretAccessKey {
		t.Errorf("found %+v %v, want %+v", got, err, s)
	}
	gone := s
	gone.Holder = "another"
	lost := i.Issue(gone)
	stranger := (&Issuer{secret: []byte("of another platform")}).Issue(s)
	for name, c := range map[string]struct {
		k    Keys
		at   time.Time
		want error
	}{
		"expired":          {k, s.Expires, ErrExpiredKey},
		"holder gone":      {lost, now, ErrExpiredKey},
		"no token":         {Keys{AccessKeyID: k.AccessKeyID}, now, ErrUnknownKey},
		"another's token":  {Keys{AccessKeyID: k.AccessKeyID, SessionToken: other.SessionToken}, now, ErrUnknownKey},
		"another platform": {stranger, now, ErrUnknownKey},
		"garbage":          {Keys{AccessKeyID: k.AccessKeyID, SessionToken: "$"}, now, ErrUnknownKey},
	} {
		if _, secret, err := i.find(c.k.AccessKeyID, c.k.SessionToken, c.at); !errors.Is(err, c.want) || secret != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHandle(t *testing.T) {
	i := testIssuer()
	if a := i.Handle("a", "b"); a != i.Handle("a", "b") || a == i.Handle("ab") || a == i.Handle("a", "c") || len(a) != 36 {
		t.Errorf("handle %s", a)
	}
}

// Calls with a session's key are the session's, in its account; they are
// refused in each service's words once it is over or is not genuine.
func TestAuthorizeSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alive := true
		i := &Issuer{secret: []byte("s"), alive: func(string) bool { return alive }}
		o := Open{Node: Node{ID: "n", AccessKeyID: "DHOWNODEX", SecretAccessKey: "s"}, Issuer: i}
		k := i.Issue(role(time.Now().Add(time.Hour)))
		try := func(k Keys, service string) (*awsapi.Call, *awsapi.Error) {
			t.Helper()
			c := &awsapi.Call{Service: service, Account: "000000000000", AccessKey: k.AccessKeyID}
			var e *awsapi.Error
			if err := o.Authorize(by(t, k, service), c); err != nil && !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			return c, e
		}
		if c, err := try(k, "ecs"); err != nil || c.Account != "111122223333" || c.Principal != "arn:aws:sts::111122223333:assumed-role/orders/0123" {
			t.Errorf("%+v, %v", c, err)
		}
		forged, unknown, bare := k, k, k
		forged.SecretAccessKey = "x"
		unknown.SessionToken = "x"
		bare.SessionToken = ""
		refused := func(what string, k Keys, want [3]string) {
			t.Helper()
			for n, service := range []string{"ecs", "sts", "ec2"} {
				c, err := try(k, service)
				if err == nil || err.Code != want[n] || err.Message == "" || err.Status < 400 || c.Account == "111122223333" {
					t.Errorf("%s to %s: %+v as %s", what, service, err, c.Principal)
				}
			}
		}
		refused("another secret", forged, [3]string{"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"})
		refused("another token", unknown, [3]string{"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"})
		refused("no token", bare, [3]string{"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"})
		over := [3]string{"ExpiredTokenException", "ExpiredToken", "RequestExpired"}
		alive = false
		refused("a task that is gone", k, over)
		alive = true
		time.Sleep(time.Hour)
		refused("an expired key", k, over)

		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("Authorization", "AWS4-ECDSA-P256-SHA256 Credential="+k.AccessKeyID+"/20250101/ecs/aws4_request")
		var e *awsapi.Error
		if err := o.Authorize(r, &awsapi.Call{AccessKey: k.AccessKeyID}); !errors.As(err, &e) || e.Code != "IncompleteSignatureException" {
			t.Errorf("another scheme: %v", err)
		}
		// Somebody's own temporary keys are as good as any.
		c := &awsapi.Call{Account: "000000000000", AccessKey: "ASIAIOSFODNN7EXAMPLE"}
		if err := o.Authorize(by(t, Keys{AccessKeyID: c.AccessKey, SecretAccessKey: "s", SessionToken: "t"}, "ecs"), c); err != nil || c.Principal != "arn:aws:iam::000000000000:root" {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// What the SDK presigns verifies, until it has expired.
func TestPresigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := testIssuer()
		o := Open{Issuer: i}
		k := i.Issue(role(time.Now().Add(12 * time.Hour)))
		r := httptest.NewRequest("GET", "http://127.0.0.1:4566/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=3600", nil)
		creds := aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}
		u, _, err := v4.NewSigner().PresignHTTP(t.Context(), creds, r, emptyHash, "sts", "eu-west-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		try := func(u string) (string, error) {
			c := &awsapi.Call{Service: "sts", Account: "000000000000", AccessKey: k.AccessKeyID}
			err := o.Authorize(httptest.NewRequest("GET", u, nil), c)
			return c.Principal, err
		}
		if who, err := try(u); err != nil || !strings.HasSuffix(who, "assumed-role/orders/0123") {
			t.Errorf("%s, %v", who, err)
		}
		if _, err := try(strings.Replace(u, "GetCallerIdentity", "GetSessionToken", 1)); err == nil {
			t.Error("another action passed")
		}
		time.Sleep(time.Hour + time.Second)
		var e *awsapi.Error
		if _, err := try(u); !errors.As(err, &e) || !strings.HasPrefix(e.Message, "Signature expired: ") {
			t.Errorf("a late call: %v", err)
		}
	})
}

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Two issuers over one state know each other's keys.
func TestOpenIssuer(t *testing.T) {
	db := storetest.Open(t)
	open := func() *Issuer {
		i, err := OpenIssuer(t.Context(), db, func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	k := open().Issue(role(time.Now().Add(time.Hour)))
	if _, _, err := open().find(k.AccessKeyID, k.SessionToken, time.Now()); err != nil {
		t.Error(err)
	}
	db.View(func(r store.Reader) error {
		if s, ok := secrets.Get(r, "sessions"); !ok || len(s.Value) != 32 {
			t.Errorf("secret %+v", s)
		}
		return nil
	})
}

func TestUserID(t *testing.T) {
	a := UserID("111122223333", "arn:aws:sts::111122223333:assumed-role/orders/0123")
	id, name, _ := strings.Cut(a, ":")
	if len(id) != 21 || !strings.HasPrefix(id, "AROA") || name != "0123" {
		t.Errorf("assumed role: %s", a)
	}
	if b := UserID("111122223333", "arn:aws:sts::111122223333:assumed-role/orders/4567"); !strings.HasPrefix(b, id) {
		t.Errorf("the same role is %s and %s", a, b)
	}
	for principal, want := range map[string]string{
		"arn:aws:iam::111122223333:root": "111122223333", "arn:aws:iam::111122223333:user/ops/anna": "anna", "arn:dhow:node:::n1": "n1",
	} {
		if got := UserID("111122223333", principal); got != want {
			t.Errorf("%s: %s", principal, got)
		}
	}
}

func FuzzSessionToken(f *testing.F) {
	i := testIssuer()
	k := i.Issue(role(time.Now().Add(1000 * time.Hour)))
	f.Add(k.AccessKeyID, k.SessionToken)
	f.Add("", "")
	f.Add(k.AccessKeyID, k.SessionToken[:24])
	f.Fuzz(func(t *testing.T, key, token string) {
		if _, secret, err := i.find(key, token, time.Now()); err == nil && (key != k.AccessKeyID || secret != k.SecretAccessKey) {
			t.Fatalf("%s with %s was taken", key, token)
		}
	})
}

// TestPolicies has a session do what its role's policies allow, whichever way it
// names itself, and anybody else everything.
func TestPolicies(t *testing.T) {
	const table = "arn:aws:glue:eu-west-1:111122223333:schema/shop/order"
	i := testIssuer()
	k := i.Issue(role(time.Now().Add(time.Hour)))
	o := Open{Issuer: i, Policies: func(account, name string) policy.Documents {
		if account != "111122223333" || name != "orders" {
			t.Errorf("asked for the policies of %s in %s", name, account)
		}
		d, err := policy.ParseIdentity(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"glue:Get*","Resource":"` + table + `","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1","aws:userid":"${aws:userid}"},"Bool":{"aws:SecureTransport":"false"},"DateGreaterThan":{"aws:CurrentTime":"2026-01-01"},"NumericGreaterThan":{"aws:EpochTime":1}}},
			{"Effect":"Deny","Action":"glue:GetTags","Resource":"*"}]}`)
		if err != nil {
			t.Fatal(err)
		}
		return policy.Documents{d}
	}}
	for _, way := range []string{"signature", "password"} {
		c := &awsapi.Call{Service: "glue", Account: "000000000000", Region: "eu-west-1", Scheme: "http", AccessKey: k.AccessKeyID}
		err := error(nil)
		if way == "signature" {
			err = o.Authorize(by(t, k, "glue"), c)
		} else {
			err = o.Password(k.SecretAccessKey+":"+k.SessionToken, c)
		}
		if err != nil || c.Allow == nil {
			t.Fatalf("%s: %v, %+v", way, err, c)
		}
		for _, ask := range []struct{ action, resource, want string }{
			{"glue:GetSchema", table, ""},
			{"glue:GetSchema", table + "s", "because no identity-based policy allows the glue:GetSchema action"},
			{"glue:DeleteSchema", table, "because no identity-based policy allows the glue:DeleteSchema action"},
			{"glue:GetTags", table, "with an explicit deny in an identity-based policy"},
		} {
			who := "User: arn:aws:sts::111122223333:assumed-role/orders/0123 is not authorized to perform: " + ask.action + " on resource: " + ask.resource + " "
			switch err := c.Allow(ask.action, ask.resource); {
			case ask.want == "" && err != nil, ask.want != "" && (err == nil || err.Error() != who+ask.want):
				t.Errorf("%s, %s on %s: %v", way, ask.action, ask.resource, err)
			}
		}
	}
	c := &awsapi.Call{Account: "000000000000", AccessKey: "AKIAX"}
	if err := o.Password("any", c); err != nil || c.Allow != nil || c.Principal != "arn:aws:iam::000000000000:root" {
		t.Errorf("anybody by password: %v, %+v", err, c)
	}
	c = &awsapi.Call{Account: "000000000000"}
	if err := o.Authorize(httptest.NewRequest("POST", "/", nil), c); err != nil || c.Allow != nil {
		t.Errorf("anybody: %v, %+v", err, c)
	}
	o.Policies = nil
	c = &awsapi.Call{Service: "glue", AccessKey: k.AccessKeyID}
	if err := o.Authorize(by(t, k, "glue"), c); err != nil || c.Allow != nil {
		t.Errorf("without policies: %v, %+v", err, c)
	}
}
