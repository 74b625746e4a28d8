package image

import (
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Served is a reference that the embedded registry answers for.
type Served struct {
	Scope      cluster.Scope
	Repository string
	Reference  string // tag or digest
	// User and Password are good for pulling it.
	User, Password string
}

// Resolve reports whether an image reference is to be pulled from here: it
// names an ECR registry of an account that is served here, in any region.
func (s *Store) Resolve(ref string) (Served, bool) {
	account, region, name, tag, ok := ParseECR(ref)
	if !ok || !s.served(account) {
		return Served{}, false
	}
	scope := cluster.Scope{Account: account, Region: region}
	password, _ := s.Token(scope)
	return Served{Scope: scope, Repository: name, Reference: tag, User: "AWS", Password: password}, true
}

func (s *Store) served(account string) bool {
	if account == s.cfg.Default.Account || s.cfg.Served != nil && s.cfg.Served(account) {
		return true
	}
	var has bool
	s.db.View(func(r store.Reader) error {
		for range Repositories.List(r, account+"/") {
			has = true
			break
		}
		return nil
	})
	return has
}
