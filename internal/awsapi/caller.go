package awsapi

import (
	"net/http"

	"github.com/dhowhq/dhow/internal/arn"
)

// Scope is the account and region that a request's credential names, or the
// server's own: for paths beside the AWS APIs that follow the same rule.
func (s *Server) Scope(r *http.Request) (account, region string) {
	account, region = s.cfg.Account, s.cfg.Region
	c := credential(r)
	if arn.IsAccount(c.key) {
		account = c.key
	}
	if c.region != "" {
		region = c.region
	}
	return account, region
}
