package cert

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"time"
)

// maxIssued is how many certificates are kept, some 2 KB each.
const maxIssued = 256

// Get returns the certificate for a handshake: for the name that the client
// asks for, where it is one of dhow's, and for the address that it came to. It
// signs at the first call, and anew when the end is near. It is a
// tls.Config.GetCertificate.
func (a *Authority) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name, ip := strings.ToLower(strings.TrimSuffix(hello.ServerName, ".")), net.IP(nil)
	if !ours(name) {
		name = ""
	}
	if hello.Conn != nil {
		if at, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
			ip = at.IP
		}
	}
	key := name + " " + ip.String()
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if have := a.issued[key]; have != nil && now.Add(renewal).Before(have.cert.Leaf.NotAfter) {
		have.used = now
		return have.cert, nil
	}
	c, err := a.issue(name, ip)
	if err != nil {
		return nil, err
	}
	if len(a.issued) >= maxIssued {
		a.forget()
	}
	a.issued[key] = &leaf{c, now}
	return c, nil
}

// forget drops the certificate that was used least lately. The caller holds
// a.mu.
func (a *Authority) forget() {
	oldest, at := "", time.Time{}
	for key, l := range a.issued {
		if at.IsZero() || l.used.Before(at) {
			oldest, at = key, l.used
		}
	}
	delete(a.issued, oldest)
}

// ours reports whether name is in one of the authority's zones.
func ours(name string) bool {
	if len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return slices.ContainsFunc(zones, func(z string) bool { return name == z || strings.HasSuffix(name, "."+z) })
}

// issue signs a certificate for the names and addresses that all have, for
// name, which may be "", and for ip, which may be nil. A wildcard stands for
// one label, and not all clients take one right below a zone: so name itself is
// in it.
func (a *Authority) issue(name string, ip net.IP) (*tls.Certificate, error) {
	t := template(leafLife)
	t.Subject.CommonName = "dhow"
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = []string{"localhost", "*.localhost", "*.elb.dhow.internal"}
	if name != "" && !slices.Contains(t.DNSNames, name) {
		t.DNSNames = append(t.DNSNames, name)
	}
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if ip != nil {
		t.IPAddresses = append(t.IPAddresses, ip)
	}
	if t.NotAfter.After(a.ca.NotAfter) {
		t.NotAfter = a.ca.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.ca, &a.key.PublicKey, a.signer)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.ca.Raw}, PrivateKey: a.key}
	c.Leaf, err = x509.ParseCertificate(der)
	return c, err
}
