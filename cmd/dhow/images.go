package main

import (
	"fmt"
	"net/http"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/image"
)

// pullFrom says how the node pulls an image that is kept here: over the API's
// own port, as the reference's account.
func (p *platform) pullFrom(ref string) (driver.Pull, bool) {
	s, ok := p.images.Resolve(ref)
	if !ok {
		return driver.Pull{}, false
	}
	return driver.Pull{Ref: ref, User: s.User, Password: s.Password, PlainHTTP: true, Endpoint: p.address}, true
}

// meant is agent.Config.Meant: an image of a repository that is kept here has to be
// called in full.
func (p *platform) meant(account, region, ref string) string {
	name, rest, ok := image.Short(ref)
	if !ok {
		return ""
	}
	s := cluster.Scope{Account: account, Region: region}
	if _, err := p.images.Repository(s, name); err != nil {
		return ""
	}
	return fmt.Sprintf("%s is an image of Docker Hub; for the repository %s of this account write %s", ref, name, image.URI(s, name)+rest)
}

// ensureRepository answers POST /_dhow/repositories/NAME, with which `dhow
// image build` makes the repository that it pushes to. The answer is the
// account and region that the repository is of.
func (p *platform) ensureRepository(w http.ResponseWriter, r *http.Request) {
	s := p.callScope(r)
	if err := p.images.EnsureRepository(r.Context(), s, r.PathValue("name")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Dhow-Account", s.Account)
	w.Header().Set("X-Dhow-Region", s.Region)
	w.WriteHeader(http.StatusNoContent)
}
