// Package cluster holds the nouns that the engines share, and their tables:
// clusters, task definitions, tasks, services, nodes and the addresses of
// tasks. It knows what must change together (a stopped task gives back what it
// held, a changed task leaves an event) and nothing of wire formats or loops.
package cluster

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Scope is where a resource lives: state is keyed by account and region.
type Scope struct {
	Account string // 12 digits
	Region  string
}

// Key joins the scope and parts to a row's key, ACCOUNT/REGION/part/….
func (s Scope) Key(parts ...string) string {
	return s.Account + "/" + s.Region + "/" + strings.Join(parts, "/")
}

// Prefix is Key with a trailing slash: all rows below.
func (s Scope) Prefix(parts ...string) string {
	k := s.Account + "/" + s.Region + "/"
	for _, p := range parts {
		k += p + "/"
	}
	return k
}

// ARN is the name of a resource of service in this scope.
func (s Scope) ARN(service, resource string) string {
	return "arn:aws:" + service + ":" + s.Region + ":" + s.Account + ":" + resource
}

// NewID returns 32 random hexadecimal digits, the form of task and container
// instance ids.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

// NewUUID returns a random UUID, the form of container and attachment ids.
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// hashID is KIND-DIGITS with n hexadecimal digits, the form of EC2's ids, that
// depend on parts alone.
func hashID(kind string, n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return kind + "-" + hex.EncodeToString(sum[:])[:n]
}
