package main

import (
	"net/http"

	"github.com/dhowhq/dhow/driver"
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
