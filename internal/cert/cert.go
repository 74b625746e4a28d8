// Package cert issues the certificates of dhow's own TLS: a certificate
// authority of the data directory's, which clients are told to trust, and what
// it signs for each name that is asked for.
package cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// How long certificates are good, and how long before its end one is replaced.
const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	renewal  = 30 * 24 * time.Hour
)

// zones are the domains of dhow's names, and all that the authority may sign
// for: who trusts it trusts it with nothing else.
var zones = []string{"localhost", "dhow.internal"}

// Authority signs certificates. Its methods are safe for concurrent use.
type Authority struct {
	ca     *x509.Certificate
	signer crypto.Signer
	key    *ecdsa.PrivateKey // of all that it signs, for as long as the process lives

	mu     sync.Mutex
	issued map[string]*leaf
}

type leaf struct {
	cert *tls.Certificate
	used time.Time
}

// The files of an authority: its certificate, for clients to trust, and its key.
const (
	caFile  = "ca.pem"
	keyFile = "ca-key.pem"
)

// Open reads the authority in dir, and makes it where there is none or where it
// has expired. Its files are readable by their owner only. Damaged ones are an
// error, for clients may trust what they were.
func Open(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, caFile), filepath.Join(dir, keyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		ca, err = create(dir)
	case err != nil:
		return nil, fmt.Errorf("%s and %s in %s do not belong together or are damaged; remove them to have new ones, and have clients trust those: %w", caFile, keyFile, dir, err)
	case time.Now().Add(renewal).After(ca.Leaf.NotAfter):
		ca, err = create(dir)
	}
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Authority{ca: ca.Leaf, signer: ca.PrivateKey.(crypto.Signer), key: key, issued: make(map[string]*leaf)}, nil
}

// Pool has the authority as its only root.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.ca)
	return pool
}

func create(dir string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := template(caLife)
	t.Subject.CommonName = "dhow local certificate authority"
	t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign
	t.PermittedDNSDomains, t.PermittedDNSDomainsCritical = zones, true
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	// The certificate goes first and comes last: a crash leaves no pair that
	// does not match.
	if err := os.Remove(filepath.Join(dir, caFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, err
	}
	if err := errors.Join(write(filepath.Join(dir, keyFile), keyPEM), write(filepath.Join(dir, caFile), cert)); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, keyPEM)
}

// write makes a file whole or not at all.
func write(path string, b []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// template is what all certificates have in common.
func template(life time.Duration) *x509.Certificate {
	now := time.Now()
	var serial [16]byte
	rand.Read(serial[:])
	serial[0] &= 0x7f // positive
	serial[15] |= 1
	return &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial[:]), Subject: pkix.Name{Organization: []string{"dhow"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life), BasicConstraintsValid: true}
}
