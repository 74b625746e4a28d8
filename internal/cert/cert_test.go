package cert

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// at is a connection that came in at an address.
type at struct {
	net.Conn
	ip string
}

func (a at) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(a.ip), Port: 4566} }

func open(t *testing.T, dir string) *Authority {
	t.Helper()
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// verify checks what a gives to a client that asks for sni and then wants to
// see name.
func verify(t *testing.T, a *Authority, sni, ip, name string) error {
	t.Helper()
	c, err := a.Get(&tls.ClientHelloInfo{ServerName: sni, Conn: at{ip: ip}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: name})
	return err
}

// Whatever name of dhow's a client asks for, it gets a certificate for it that
// chains to the authority; others get none of theirs.
func TestNames(t *testing.T) {
	a := open(t, t.TempDir())
	for _, c := range []struct {
		sni, ip, name string
		ok            bool
	}{
		{"localhost", "127.0.0.1", "localhost", true},
		{"", "127.0.0.1", "127.0.0.1", true},
		{"", "::1", "::1", true},
		{"", "127.0.64.7", "127.0.0.1", true},
		{"", "192.0.2.7", "192.0.2.7", true},
		{"web-123.us-east-1.elb.localhost", "127.0.0.1", "web-123.us-east-1.elb.localhost", true},
		{"WEB-123.us-east-1.elb.LOCALHOST.", "127.0.0.1", "web-123.us-east-1.elb.localhost", true},
		{"web-123.us-east-1.elb.dhow.internal", "192.0.2.7", "web-123.us-east-1.elb.dhow.internal", true},
		{"web.elb.dhow.internal", "127.0.0.1", "web.elb.dhow.internal", true},
		{"s3.localhost", "127.0.0.1", "s3.localhost", true},
		{"a.s3.localhost", "127.0.0.1", "b.s3.localhost", false},
		{"", "192.0.2.7", "192.0.2.8", false},
		{"example.com", "127.0.0.1", "example.com", false},
		{"notlocalhost", "127.0.0.1", "notlocalhost", false},
		{"*.us-east-1.elb.localhost", "127.0.0.1", "x.us-east-1.elb.localhost", false},
		{"a..localhost", "127.0.0.1", "a..localhost", false},
	} {
		if err := verify(t, a, c.sni, c.ip, c.name); (err == nil) != c.ok {
			t.Errorf("asked for %q at %s, wants %s: %v", c.sni, c.ip, c.name, err)
		}
	}
}

// Who trusts the authority trusts it with dhow's names alone.
func TestConstrained(t *testing.T) {
	a := open(t, t.TempDir())
	c, err := a.issue("bank.example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: "bank.example.com"}); err == nil {
		t.Error("a certificate for example.com is taken")
	}
}

// A later start has the same authority; a damaged one is not replaced in
// silence, nor is a half-made one taken.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	if again := open(t, dir); !again.ca.Equal(first.ca) {
		t.Error("another authority at the second start")
	}
	for _, name := range []string{caFile, keyFile} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, caFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "remove them") {
		t.Errorf("damaged: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, caFile)); err != nil {
		t.Fatal(err)
	}
	if again := open(t, dir); again.ca.Equal(first.ca) {
		t.Error("the lost authority came back")
	}
}

// Certificates are kept, in bounded number, and replaced before they expire, as
// is the authority at a start.
func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := open(t, dir)
		get := func(name string) *tls.Certificate {
			t.Helper()
			c, err := a.Get(&tls.ClientHelloInfo{ServerName: name})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		kept := get("kept.localhost")
		for i := range 2 * maxIssued {
			get(fmt.Sprintf("n%d.localhost", i))
			time.Sleep(time.Second)
			if get("kept.localhost") != kept {
				t.Fatal("what is in use was dropped")
			}
		}
		if n := len(a.issued); n > maxIssued {
			t.Errorf("%d certificates are kept", n)
		}
		time.Sleep(leafLife - renewal)
		if get("kept.localhost") == kept {
			t.Error("a certificate is used up to its end")
		}
		time.Sleep(caLife - renewal)
		if again := open(t, dir); again.ca.Equal(a.ca) {
			t.Error("an authority is used up to its end")
		}
	})
}

func FuzzOurs(f *testing.F) {
	f.Add("web-1.us-east-1.elb.localhost")
	f.Add("a.\x00.dhow.internal")
	a, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c, err := a.Get(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		if ours(name) {
			if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: name}); err != nil && !strings.HasPrefix(name, "-") {
				t.Fatalf("%q: %v", name, err)
			}
		}
	})
}
