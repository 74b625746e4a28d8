package topic

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dhowhq/dhow/store"
)

// signerRow is the platform's key for signatures of messages.
type signerRow struct {
	Name string
	Key  []byte // PKCS #1
	Cert []byte // DER
}

var signers = store.NewTable("topic.signers", func(s signerRow) string { return s.Name })

// certPrefix is how AWS calls its certificates.
const certPrefix = "/SimpleNotificationService-"

// IsCertificate reports whether a path is that of a signing certificate.
func IsCertificate(path string) bool {
	return strings.HasPrefix(path, certPrefix) && strings.HasSuffix(path, ".pem")
}

// signer signs messages.
type signer struct {
	key  *rsa.PrivateKey
	pem  []byte
	path string // of the certificate's URL

	mu    sync.Mutex
	known map[[32]byte]*signature // of what was signed lately: subscribers of a topic get the same
	order [][32]byte
}

type signature struct {
	once sync.Once
	text string
	err  error
}

// loadSigner returns the platform's signer, and makes its key at the first time.
func loadSigner(ctx context.Context, db *store.DB) (*signer, error) {
	const name = "current"
	var row signerRow
	var ok bool
	db.View(func(r store.Reader) error { row, ok = signers.Get(r, name); return nil })
	if !ok {
		made, err := newSignerRow(name)
		if err != nil {
			return nil, err
		}
		if err := db.Update(ctx, func(tx *store.Tx) error {
			if row, ok = signers.Get(tx, name); ok {
				return nil
			}
			row = made
			return signers.Put(tx, row)
		}); err != nil {
			return nil, err
		}
	}
	key, err := x509.ParsePKCS1PrivateKey(row.Key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(row.Cert)
	return &signer{key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: row.Cert}),
		path: certPrefix + hex.EncodeToString(sum[:16]) + ".pem", known: map[[32]byte]*signature{}}, nil
}

func newSignerRow(name string) (row signerRow, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return row, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return row, err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "sns.dhow.internal", Organization: []string{"dhow"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return signerRow{Name: name, Key: x509.MarshalPKCS1PrivateKey(key), Cert: cert}, err
}

// remembered is how many signatures are kept for the next subscriber.
const remembered = 1024

// sign returns the signature of a text, by SignatureVersion: 1 is SHA1withRSA,
// 2 SHA256withRSA ("Verifying the signatures of Amazon SNS messages").
func (s *signer) sign(version, text string) (string, error) {
	id := sha256.Sum256([]byte(version + "\n" + text))
	s.mu.Lock()
	sig := s.known[id]
	if sig == nil {
		sig = &signature{}
		s.known[id] = sig
		if s.order = append(s.order, id); len(s.order) > remembered {
			delete(s.known, s.order[0])
			s.order = s.order[1:]
		}
	}
	s.mu.Unlock()
	sig.once.Do(func() { sig.text, sig.err = s.signNow(version, text) })
	return sig.text, sig.err
}

func (s *signer) signNow(version, text string) (string, error) {
	hash, digest := crypto.SHA1, []byte(nil)
	if version == "2" {
		sum := sha256.Sum256([]byte(text))
		hash, digest = crypto.SHA256, sum[:]
	} else {
		sum := sha1.Sum([]byte(text))
		digest = sum[:]
	}
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, hash, digest)
	return base64.StdEncoding.EncodeToString(sig), err
}

// ServeHTTP serves the certificate.
func (s *signer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != s.path {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.pem))
}
