package cluster

import (
	"time"

	"github.com/dhowhq/dhow/store"
)

// TokenLife is how long a client token is remembered.
const TokenLife = 24 * time.Hour

// Token remembers a call that a client made idempotent.
type Token struct {
	Scope
	Cluster   string
	Operation string // RunTask, …
	Token     string
	Digest    string   // of the call's other parameters
	Resources []string // ARNs of what the call made
	At        time.Time
}

// Tokens is keyed ACCOUNT/REGION/CLUSTER/OPERATION/TOKEN.
var Tokens = store.NewTable("cluster.tokens", Token.Key)

// Key is the row's key.
func (t Token) Key() string { return t.Scope.Key(t.Cluster, t.Operation, t.Token) }

// Setting is an account setting of a principal, "" for the account's default.
type Setting struct {
	Scope
	Principal string
	Name      string
	Value     string
}

// Settings is keyed ACCOUNT/REGION/NAME/PRINCIPAL.
var Settings = store.NewTable("cluster.settings", Setting.Key)

// Key is the row's key.
func (s Setting) Key() string { return s.Scope.Key(s.Name, s.Principal) }
