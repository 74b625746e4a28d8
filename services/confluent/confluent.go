// Package confluent serves the REST API of Confluent's Schema Registry over
// package registry, for the clients that speak it.
//
// A subject is a schema of the default registry; subject s of registry r is
// called ":.r:s", as a context's, and "/contexts/.r/subjects/s" means the same.
// The API reference is Confluent's "Schema Registry API Reference".
package confluent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// Prefix is where the API begins.
const Prefix = "/_dhow/schema-registry"

// Config is what the platform tells the API.
type Config struct {
	Engine *registry.Engine
	// Scope is the account and region of a request.
	Scope func(*http.Request) cluster.Scope
	Log   *slog.Logger
}

// API answers the requests under Prefix. It is an http.Handler.
type API struct {
	e     *registry.Engine
	scope func(*http.Request) cluster.Scope
	log   *slog.Logger
	mux   *http.ServeMux
}

// New returns the API over the engine.
func New(c Config) *API {
	a := &API{e: c.Engine, scope: c.Scope, log: c.Log, mux: http.NewServeMux()}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.mux.HandleFunc("/", a.unknown)
	for pattern, r := range a.routes() {
		a.mux.Handle(pattern, a.answering(r))
	}
	return a
}

// route is what answers a call, and which action of Glue's it takes, on what is
// told at call.resources; "" where there is nothing to ask, or the handler asks.
type route struct {
	answer handler
	action string
}

func (a *API) routes() map[string]route {
	return map[string]route{
		"GET /{$}":                       {a.root, ""},
		"GET /contexts":                  {a.contexts, listRegistries},
		"GET /v1/metadata/id":            {a.root, ""},
		"GET /v1/metadata/version":       {a.root, ""},
		"GET /schemas":                   {a.listSchemas, listSchemas}, // and all
		"GET /schemas/types":             {a.types, ""},
		"GET /schemas/ids/{id}":          {a.getByID, ""}, // ofID
		"GET /schemas/ids/{id}/schema":   {a.getTextByID, ""},
		"GET /schemas/ids/{id}/subjects": {a.subjectsOfID, ""},
		"GET /schemas/ids/{id}/versions": {a.versionsOfID, ""},

		"GET /subjects":                                           {a.listSubjects, listSchemas},
		"POST /subjects/{subject}":                                {a.lookUp, "GetSchemaByDefinition"},
		"DELETE /subjects/{subject}":                              {a.deleteSubject, "DeleteSchema"},
		"GET /subjects/{subject}/versions":                        {a.listVersions, "ListSchemaVersions"},
		"POST /subjects/{subject}/versions":                       {a.register, "RegisterSchemaVersion"}, // and create
		"GET /subjects/{subject}/versions/{version}":              {a.getVersion, getVersion},
		"DELETE /subjects/{subject}/versions/{version}":           {a.deleteVersion, "DeleteSchemaVersions"},
		"GET /subjects/{subject}/versions/{version}/schema":       {a.getText, getVersion},
		"GET /subjects/{subject}/versions/{version}/referencedby": {a.referencedBy, getVersion},

		// The reasons tell what is in the versions that are there.
		"POST /compatibility/subjects/{subject}/versions":           {a.checkAll, getVersion},
		"POST /compatibility/subjects/{subject}/versions/{version}": {a.checkOne, getVersion},

		"GET /config": {a.getConfig, "GetRegistry"}, "GET /config/{subject}": {a.getConfig, "GetSchema"},
		"PUT /config": {a.putConfig, "UpdateRegistry"}, "PUT /config/{subject}": {a.putConfig, updateSchema}, // and create
		"DELETE /config": {a.deleteConfig, "UpdateRegistry"}, "DELETE /config/{subject}": {a.deleteConfig, updateSchema},
		"GET /mode": {a.getMode, "GetRegistry"}, "GET /mode/{subject}": {a.getMode, "GetSchema"},
		"PUT /mode": {a.putMode, "UpdateRegistry"}, "PUT /mode/{subject}": {a.putMode, updateSchema}, // and create
		"DELETE /mode": {a.deleteMode, "UpdateRegistry"}, "DELETE /mode/{subject}": {a.deleteMode, updateSchema},
	}
}

// call is a request, and who it is of.
type call struct {
	*http.Request
	scope   cluster.Scope
	context string // the registry that the path names, "" for none
	asks    bool   // policies count
}

// handler answers a call: with a value that is sent as JSON, or text as it is.
type handler func(c *call) (any, error)

// text is an answer that is sent as it is.
type text string

// The media types that clients ask for; all are JSON.
const (
	mediaType  = "application/vnd.schemaregistry.v1+json"
	maxBody    = 5 << 20 // bytes
	maxSubject = 1000    // bytes of a name; a row's key has three for some
)

// ServeHTTP answers a request whose path begins with Prefix.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), Prefix)
	r = r.Clone(r.Context())
	if rest, ok := strings.CutPrefix(path, "/contexts/"); ok {
		name, rest, _ := strings.Cut(rest, "/")
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		r.SetPathValue("context", name)
		path = "/" + rest
	}
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	if err := setPath(r, path); err != nil {
		a.fail(w, r, &Error{http.StatusBadRequest, http.StatusBadRequest, err.Error()})
		return
	}
	a.mux.ServeHTTP(w, r)
}

// unknown answers what no other pattern fits.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	a.fail(w, r, &Error{http.StatusNotFound, http.StatusNotFound, "HTTP 404 Not Found: dhow serves no " + r.Method + " " + Prefix + r.URL.Path})
}

func (a *API) answering(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		c := &call{Request: r, scope: a.scope(r), context: registryOf(r.PathValue("context")), asks: awsapi.CallFrom(r.Context()).Allow != nil}
		v, err := any(nil), c.permit(route.action)
		if err == nil {
			v, err = route.answer(c)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", mediaType)
		if t, ok := v.(text); ok {
			io.WriteString(w, string(t))
			return
		}
		json.NewEncoder(w).Encode(v)
	})
}

// registryOf is the registry that a context stands for.
func registryOf(context string) string {
	name := strings.TrimPrefix(context, ".")
	if name == "" {
		return registry.Default
	}
	return name
}

// name is the schema that a subject stands for.
func (c *call) name(subject string) registry.Name {
	n := registry.Name{Scope: c.scope, Registry: c.context, Schema: subject}
	if rest, ok := strings.CutPrefix(subject, ":."); ok {
		if r, s, ok := strings.Cut(rest, ":"); ok {
			n.Registry, n.Schema = registryOf(r), s
		}
	}
	return n
}

func (c *call) subject() registry.Name { return c.name(c.PathValue("subject")) }

// called is what the API calls a schema.
func called(n registry.Name) string {
	if n.Registry == registry.Default {
		return n.Schema
	}
	return ":." + n.Registry + ":" + n.Schema
}

func (c *call) flag(name string) bool {
	v, _ := strconv.ParseBool(c.FormValue(name))
	return v
}

// page is the part of a list that offset and limit ask for.
func page[T any](c *call, list []T) []T {
	offset, _ := strconv.Atoi(c.FormValue("offset"))
	offset = min(max(offset, 0), len(list))
	list = list[offset:]
	if limit, err := strconv.Atoi(c.FormValue("limit")); err == nil && limit >= 0 && limit < len(list) {
		list = list[:limit]
	}
	if list == nil {
		list = []T{}
	}
	return list
}

func (c *call) read(v any) error {
	err := json.NewDecoder(c.Body).Decode(v)
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return fault(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", large.Limit)
	}
	if err != nil {
		return &Error{http.StatusBadRequest, http.StatusBadRequest, "the body is not the JSON object that is wanted: " + err.Error()}
	}
	return nil
}

// root answers what clients ask to see whether a registry is there.
func (a *API) root(c *call) (any, error) {
	switch c.URL.Path {
	case "/v1/metadata/id":
		return map[string]any{"scope": map[string]any{"path": []string{}, "clusters": map[string]string{"schema-registry-cluster": c.scope.Account + "-" + c.scope.Region}}}, nil
	case "/v1/metadata/version":
		return map[string]string{"version": "7.9.0", "commitId": "dhow"}, nil
	}
	return struct{}{}, nil
}

func (a *API) types(*call) (any, error) {
	return []contract.Format{contract.JSON, contract.Protobuf, contract.Avro}, nil
}

func (a *API) contexts(c *call) (any, error) {
	names := []string{"."}
	a.e.Registries(c.scope, func(all iter.Seq[registry.Registry]) {
		for r := range all {
			if r.Name != registry.Default && r.Status == registry.Available {
				names = append(names, "."+r.Name)
			}
		}
	})
	slices.Sort(names)
	return names, nil
}

func setPath(r *http.Request, escaped string) error {
	u, err := r.URL.Parse(escaped)
	if err != nil {
		return fmt.Errorf("the path cannot be read: %w", err)
	}
	r.URL.Path, r.URL.RawPath = u.Path, u.RawPath
	return nil
}
