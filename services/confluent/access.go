package confluent

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// Actions of Glue's that several calls are.
const (
	getVersion     = "GetSchemaVersion"
	listSchemas    = "ListSchemas"
	listRegistries = "ListRegistries"
	updateSchema   = "UpdateSchema"
)

// permit asks whether the caller may do an action of Glue's with what the path
// names: whoever may not by Glue's API may not by this one.
func (c *call) permit(action string) error {
	if !c.asks || action == "" {
		return nil
	}
	return awsapi.Allow(c.Context(), "glue:"+action, c.resources(action)...)
}

// resources are a path's subject with its registry; without a subject the registry
// that is listed, or all registries, whose settings the global ones are.
func (c *call) resources(action string) []string {
	n := registry.Name{Scope: c.scope, Registry: "*"}
	switch {
	case c.PathValue("subject") != "":
		n = c.subject()
	case action == listRegistries:
		return nil // is about none
	case action == listSchemas:
		if of, _ := c.prefix(); of != "" {
			n.Registry = of
		}
	}
	return n.ARNs()
}

// allow asks whether the caller may do an action of Glue's with a schema.
func (c *call) allow(action string, n registry.Name) error {
	if !c.asks {
		return nil
	}
	return awsapi.Allow(c.Context(), "glue:"+action, n.ARNs()...)
}

// may reports whether the caller may read a schema's versions.
func (c *call) may(n registry.Name) bool { return c.allow(getVersion, n) == nil }

// create makes a subject that a call needs, for those who may.
func (a *API) create(c *call, s registry.Schema, d *registry.Definition) (registry.Version, error) {
	if s.Name == "" || len(s.Name) > maxSubject || !utf8.ValidString(s.Name) || strings.ContainsFunc(s.Name, unicode.IsControl) {
		return registry.Version{}, fault(42208, "The specified subject '%.100s' is not a valid subject.", called(s.FullName()))
	}
	if err := c.allow("CreateSchema", s.FullName()); err != nil {
		return registry.Version{}, err
	}
	_, v, err := a.e.CreateSchema(c.Context(), s, d)
	return v, err
}
