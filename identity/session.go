package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dhowhq/dhow/store"
)

// Errors of temporary keys: one that was not issued here, or whose session
// token is another's; and one that has expired, or whose holder is gone.
var (
	ErrUnknownKey = errors.New("key is unknown")
	ErrExpiredKey = errors.New("key has expired")
)

var (
	errUnknownKey = say(ErrUnknownKey, "The security token included in the request is invalid.")
	errExpiredKey = say(ErrExpiredKey, "The security token included in the request is expired")
)

// Session is what temporary keys stand for: a role that somebody has taken on.
type Session struct {
	Account string    `json:"a"` // 12 digits
	Role    string    `json:"r"` // the role's name, without its path
	Name    string    `json:"n"` // of the session; for a task's role the task's id
	Holder  string    `json:"h"` // whose end is the keys' end, a task's ARN; "" for nobody's
	Expires time.Time `json:"-"` // in whole seconds
}

// Principal is the session's name as a caller.
func (s Session) Principal() string {
	return "arn:aws:sts::" + s.Account + ":assumed-role/" + s.Role + "/" + s.Name
}

// Keys are what a caller signs with.
type Keys struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// keyPrefix begins the access keys that are issued here. AWS's temporary keys
// begin with ASIA and go on with chance: of a million, one is taken for ours.
const keyPrefix = "ASIADHOW"

// Issued reports whether an access key has the form of those that dhow issues.
func Issued(accessKey string) bool {
	return len(accessKey) == len(keyPrefix)+12 && strings.HasPrefix(accessKey, keyPrefix)
}

// Issuer makes temporary keys and knows them again. A session token says what
// the keys stand for, sealed; access key and secret follow from it and from the
// platform's own secret. So keys cost no row and no write, and a restart knows
// them all.
type Issuer struct {
	secret []byte
	alive  func(holder string) bool
}

// secret is what only the platform knows.
type secret struct {
	Name  string
	Value []byte
}

var secrets = store.NewTable("identity.secrets", func(s secret) string { return s.Name })

// OpenIssuer returns the issuer of the platform whose state db is. alive
// reports whether the holder of a session is there still; it is asked for each
// call that comes with a key issued for one.
func OpenIssuer(ctx context.Context, db *store.DB, alive func(holder string) bool) (*Issuer, error) {
	const name = "sessions"
	row := secret{Name: name}
	err := db.Update(ctx, func(tx *store.Tx) error {
		if have, ok := secrets.Get(tx, name); ok {
			row = have
			return nil
		}
		row.Value = make([]byte, 32)
		rand.Read(row.Value) // never fails, see its documentation
		return secrets.Put(tx, row)
	})
	if err != nil {
		return nil, fmt.Errorf("the secret of temporary keys: %w", err)
	}
	return &Issuer{row.Value, alive}, nil
}

// claims are a session token's content.
type claims struct {
	Session
	Unix  int64  `json:"e"`
	Nonce []byte `json:"x"`
}

// Issue makes keys for s, other ones at each call. They are good until
// s.Expires and for as long as s.Holder is there.
func (i *Issuer) Issue(s Session) Keys {
	c := claims{Session: s, Unix: s.Expires.Unix(), Nonce: make([]byte, 9)}
	rand.Read(c.Nonce)
	text, _ := json.Marshal(c) // strings and numbers
	return i.keys(text)
}

func (i *Issuer) keys(claims []byte) Keys {
	return Keys{
		AccessKeyID:     keyPrefix + base32.StdEncoding.EncodeToString(i.derive("key", claims))[:12],
		SecretAccessKey: base64.StdEncoding.EncodeToString(i.derive("secret", claims)[:30]),
		SessionToken:    base64.RawURLEncoding.EncodeToString(append(i.derive("token", claims)[:tag], claims...)),
	}
}

// tag is the length of a token's seal, in bytes.
const tag = 16

func (i *Issuer) derive(use string, data []byte) []byte {
	return mac(i.secret, use+"\x00"+string(data))
}

// find returns the session that an access key and its token stand for, and the
// key's secret. The error wraps ErrUnknownKey or ErrExpiredKey.
func (i *Issuer) find(accessKey, token string, now time.Time) (Session, string, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(sealed) < tag || !hmac.Equal(sealed[:tag], i.derive("token", sealed[tag:])[:tag]) {
		return Session{}, "", errUnknownKey
	}
	k := i.keys(sealed[tag:])
	var c claims
	if json.Unmarshal(sealed[tag:], &c) != nil || accessKey != k.AccessKeyID {
		return Session{}, "", errUnknownKey
	}
	c.Expires = time.Unix(c.Unix, 0).UTC()
	if !now.Before(c.Expires) || c.Holder != "" && !i.alive(c.Holder) {
		return c.Session, "", errExpiredKey
	}
	return c.Session, k.SecretAccessKey, nil
}

// Handle returns a name, a UUID, that depends on parts alone and that nobody
// else can guess.
func (i *Issuer) Handle(parts ...string) string {
	h := hex.EncodeToString(i.derive("handle", []byte(strings.Join(parts, "\x00"))))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// RoleName is the name of the role that an ARN, or a name with its path, is of.
func RoleName(role string) string {
	return role[strings.LastIndexByte(role, '/')+1:]
}

// UserID is the unique id of a caller, as GetCallerIdentity shows it: the
// account for its root, ROLEID:SESSION for a role. A role's id depends on its
// account and name alone.
func UserID(account, principal string) string {
	last := principal[strings.LastIndexAny(principal, ":/")+1:]
	role, assumed := strings.CutPrefix(principal, "arn:aws:sts::"+account+":assumed-role/")
	switch {
	case strings.HasSuffix(principal, ":root"):
		return account
	case assumed:
		role, session, _ := strings.Cut(role, "/")
		sum := mac([]byte(account), "role/"+role)
		return "AROA" + base32.StdEncoding.EncodeToString(sum)[:17] + ":" + session
	}
	return last
}
