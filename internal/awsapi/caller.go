package awsapi

import (
	"net/http"

	"github.com/dhowhq/dhow/internal/arn"
)

// Caller is the call that a request is before the Authorizer has seen it, for
// paths beside the AWS APIs that follow the same rule: the account and region are
// those that its credential names, or the server's own. Basic authentication is a
// credential there, whose user is the access key.
func (s *Server) Caller(r *http.Request) *Call {
	c := &Call{Account: s.cfg.Account, Region: s.cfg.Region, Host: r.Host, Scheme: "http"}
	if r.TLS != nil {
		c.Scheme = "https"
	}
	sc := credential(r)
	c.AccessKey = sc.key
	if user, _, ok := r.BasicAuth(); ok {
		c.AccessKey = user
	}
	if arn.IsAccount(c.AccessKey) {
		c.Account = c.AccessKey
	}
	if sc.region != "" {
		c.Region = sc.region
	}
	return c
}
