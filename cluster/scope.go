// Package cluster holds the nouns that the engines share, and their tables:
// clusters, task definitions, tasks, services, nodes and the addresses of
// tasks. It knows what must change together (a stopped task gives back what it
// held, a changed task leaves an event) and nothing of wire formats or loops.
package cluster

import (
	"crypto/rand"
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
