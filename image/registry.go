package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
)

// CreateHeader is a request header of a push: with any value the repository is
// made if it is missing. Without it a push to a missing one is refused, as by
// ECR.
const CreateHeader = "Dhow-Create-Repository"

// NewRegistry returns the OCI distribution protocol (1.1) over s, to be served
// at /v2/.
func NewRegistry(s *Store) http.Handler { return s }

// request is a call of the registry's, taken apart.
type request struct {
	*http.Request
	w     http.ResponseWriter
	scope cluster.Scope
	route
}

// route is what a path names.
type route struct {
	kind string // base, catalog, tags, manifests, blobs, uploads, referrers
	name string // of the repository
	ref  string // tag, digest or upload id; "" for a new upload
}

// parseRoute takes a path below /v2 apart. Names may hold words like blobs:
// the end of the path decides.
func parseRoute(path string) (route, bool) {
	path, ok := strings.CutPrefix(path, "/v2")
	if !ok {
		return route{}, false
	}
	switch path {
	case "", "/":
		return route{kind: "base"}, true
	case "/_catalog":
		return route{kind: "catalog"}, true
	}
	path = strings.TrimPrefix(path, "/")
	if name, ok := strings.CutSuffix(path, "/tags/list"); ok {
		return route{kind: "tags", name: name}, true
	}
	for _, end := range []string{"/blobs/uploads/", "/blobs/uploads"} {
		if name, ok := strings.CutSuffix(path, end); ok {
			return route{kind: "uploads", name: name}, true
		}
	}
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return route{}, false
	}
	rest, ref := path[:i], path[i+1:]
	if name, ok := strings.CutSuffix(rest, "/blobs/uploads"); ok {
		return route{"uploads", name, ref}, true
	}
	for _, kind := range []string{"manifests", "blobs", "referrers"} {
		if name, ok := strings.CutSuffix(rest, "/"+kind); ok {
			return route{kind, name, ref}, ref != ""
		}
	}
	return route{}, false
}

// ServeHTTP answers the registry's protocol.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	q := &request{Request: r, w: w}
	err := s.serve(q)
	if err == nil {
		return
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody listens
	}
	e := wireError(err)
	if e.status == http.StatusInternalServerError {
		s.log.Error("registry call failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	e.write(w, r)
}

func (s *Store) serve(q *request) (err error) {
	if q.scope, err = s.caller(q.Request); err != nil {
		return err
	}
	var ok bool
	if q.route, ok = parseRoute(q.URL.Path); !ok {
		return &protocolError{404, "UNSUPPORTED", fmt.Sprintf("%.200q is no path of the registry's", q.URL.Path)}
	}
	if q.kind != "base" && q.kind != "catalog" && !ValidName(q.name) {
		return fmt.Errorf("%w: %.300q is no repository name", ErrName, q.name)
	}
	switch q.kind + " " + q.Method {
	case "base GET", "base HEAD":
		q.w.Header().Set("Content-Type", "application/json")
		q.w.Write([]byte("{}"))
		return nil
	case "catalog GET":
		return s.catalog(q)
	case "tags GET":
		return s.listTags(q)
	case "manifests GET", "manifests HEAD":
		return s.getManifest(q)
	case "manifests PUT":
		return s.putManifest(q)
	case "manifests DELETE":
		return s.deleteManifest(q)
	case "blobs GET", "blobs HEAD":
		return s.getBlob(q)
	case "blobs DELETE":
		return s.deleteBlob(q)
	case "uploads POST":
		return s.startUpload(q)
	case "uploads PATCH":
		return s.patchUpload(q)
	case "uploads PUT":
		return s.putUpload(q)
	case "uploads GET":
		return s.uploadStatus(q)
	case "uploads DELETE":
		if err := s.Cancel(q.Context(), q.scope, q.name, q.ref); err != nil {
			return err
		}
		q.w.WriteHeader(http.StatusNoContent)
		return nil
	case "referrers GET":
		return s.listReferrers(q)
	}
	return &protocolError{405, "UNSUPPORTED", q.Method + " is not served on " + q.kind}
}

// caller is the account and region of a request: of the registry's name, else
// of the token, else of an account given as user, else the default.
func (s *Store) caller(r *http.Request) (cluster.Scope, error) {
	named, hasName := hostScope(r.Host)
	user, password, hasAuth := r.BasicAuth()
	if v := r.URL.Query().Get(urlToken); v != "" && r.Method == http.MethodGet {
		password, hasAuth = v, true
	}
	said, proven, err := s.scopeOf(password, time.Now())
	if s.cfg.Enforce {
		switch {
		case !hasAuth:
			return said, &protocolError{401, "UNAUTHORIZED", "authentication required: docker login -u AWS with the password of `aws ecr get-login-password`"}
		case !proven:
			return said, &protocolError{401, "UNAUTHORIZED", "authorization refused: " + err.Error()}
		case hasName && named.Account != said.Account:
			return said, &protocolError{403, "DENIED", "the token is of account " + said.Account + ", the registry of " + named.Account}
		}
	}
	scope := s.cfg.Default
	switch {
	case hasName:
		scope = named
	case said.Account != "":
		scope = said
	case arn.IsAccount(user):
		scope.Account = user
	}
	return scope, nil
}

// urlToken is the query's name of a token, in URLs that BlobURL makes.
const urlToken = "dhow-token"

// BlobURL is where a blob can be read without further credentials for as long
// as a token lasts; host is the platform's, with its port.
func (s *Store) BlobURL(host string, scope cluster.Scope, name, digest string) string {
	token, _ := s.Token(scope)
	return "http://" + host + "/v2/" + name + "/blobs/" + digest + "?" + url.Values{urlToken: {token}}.Encode()
}

// page cuts sorted names by the query's n and last, and sets the Link header
// to the next page.
func (q *request) page(names []string) ([]string, error) {
	v := q.URL.Query()
	if last := v.Get("last"); last != "" {
		names = names[sort.Search(len(names), func(i int) bool { return names[i] > last }):]
	}
	n := 1000
	if text := v.Get("n"); text != "" {
		want, err := strconv.Atoi(text)
		if err != nil || want < 0 {
			return nil, &protocolError{400, "PAGINATION_NUMBER_INVALID", fmt.Sprintf("n=%.50q is no number of entries", text)}
		}
		n = min(n, want)
	}
	if len(names) > n {
		names = names[:n]
		if n > 0 {
			next := url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}}
			q.w.Header().Set("Link", "<"+q.URL.Path+"?"+next.Encode()+`>; rel="next"`)
		}
	}
	if names == nil {
		names = []string{}
	}
	return names, nil
}

func (s *Store) catalog(q *request) error {
	var names []string
	for _, r := range s.Repositories(q.scope) {
		names = append(names, r.Name)
	}
	sort.Strings(names)
	names, err := q.page(names)
	if err != nil {
		return err
	}
	return q.json("application/json", map[string]any{"repositories": names})
}

func (s *Store) listTags(q *request) error {
	_, tags, err := s.Images(q.scope, q.name)
	if err != nil {
		return err
	}
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = t.Name
	}
	sort.Strings(names)
	if names, err = q.page(names); err != nil {
		return err
	}
	return q.json("application/json", map[string]any{"name": q.name, "tags": names})
}

func (q *request) json(contentType string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	q.w.Header().Set("Content-Type", contentType)
	q.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	q.w.Write(b)
	return nil
}
