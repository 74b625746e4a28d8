package image

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
)

// TokenLife is how long a token of Token's is good: ECR's twelve hours.
const TokenLife = 12 * time.Hour

// claims is what a token says.
type claims struct {
	Account, Region string
	Expires         int64 // seconds since 1970
}

// Token makes a password for the user AWS that names an account and a region,
// and proves the account where the registry demands it.
func (s *Store) Token(scope cluster.Scope) (password string, expires time.Time) {
	expires = time.Now().Add(TokenLife).Truncate(time.Second)
	body, _ := json.Marshal(claims{scope.Account, scope.Region, expires.Unix()}) // of strings and a number
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + s.sign(text), expires
}

func (s *Store) sign(text string) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// scopeOf reads a token. proven is whether it is one of Token's that is still
// good; a scope without it is what the bearer says.
func (s *Store) scopeOf(password string, now time.Time) (scope cluster.Scope, proven bool, err error) {
	text, mac, ok := strings.Cut(password, ".")
	var c claims
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || !ok || json.Unmarshal(body, &c) != nil || !arn.IsAccount(c.Account) || !regionPattern.MatchString(c.Region) {
		return scope, false, errors.New("it is no token of GetAuthorizationToken's")
	}
	scope = cluster.Scope{Account: c.Account, Region: c.Region}
	switch {
	case !hmac.Equal([]byte(mac), []byte(s.sign(text))):
		return scope, false, errors.New("the token was not made here")
	case now.Unix() >= c.Expires:
		return scope, false, errors.New("your authorization token has expired. Reauthenticate and try again")
	}
	return scope, true, nil
}
