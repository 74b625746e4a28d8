package confluent

import (
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// reference is a schema that another one needs, by subject and version.
type reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int64  `json:"version"`
}

// definition is what clients register and look up.
type definition struct {
	Schema     string          `json:"schema"`
	Type       contract.Format `json:"schemaType"` // "" is AVRO
	References []reference     `json:"references"`
	ID         int             `json:"id"`
	Version    int64           `json:"version"`
	Metadata   any             `json:"metadata"`
	RuleSet    any             `json:"ruleSet"`
}

// definition reads a definition for a subject, and what the engine takes for it;
// it refuses in it what would be ignored.
func (c *call) definition(n registry.Name) (d definition, want registry.Definition, err error) {
	if d, err = c.readDefinition(n); err == nil {
		want, err = d.definition(c, n)
	}
	return d, want, err
}

func (c *call) readDefinition(n registry.Name) (d definition, err error) {
	if err := c.read(&d); err != nil {
		return d, err
	}
	switch {
	case d.Type == "":
		d.Type = contract.Avro
	case d.Type != contract.Avro && d.Type != contract.JSON && d.Type != contract.Protobuf:
		return d, fault(42201, "Invalid schema: the schemaType %q is none of AVRO, JSON, PROTOBUF", d.Type)
	}
	switch {
	case d.Schema == "":
		return d, fault(42201, "Invalid schema: the schema is empty")
	case d.Metadata != nil || d.RuleSet != nil:
		return d, fault(42205, "Operation not permitted: dhow has no metadata or rule sets of schemas; leave them out")
	case d.ID > 0 || d.Version > 0:
		return d, fault(42205, "Subject %s is not in import mode: dhow gives out ids and versions itself", called(n))
	}
	return d, nil
}

// definition is what the engine takes for it.
func (d definition) definition(c *call, n registry.Name) (registry.Definition, error) {
	out := registry.Definition{Text: d.Schema}
	for _, r := range d.References {
		of := c.name(r.Subject)
		if of.Registry != n.Registry {
			return out, fault(42201, "Invalid schema: %s refers to %s, of another context; copy it to this one", called(n), called(of))
		}
		if err := c.allow(getVersion, of); err != nil { // what it needs can be told from how it fails
			return out, err
		}
		out.References = append(out.References, registry.Reference{Name: r.Name, Subject: of.Schema, Version: r.Version})
	}
	return out, nil
}

// shown is a version as the API shows it.
type shown struct {
	Subject    string          `json:"subject,omitempty"`
	Version    int64           `json:"version,omitempty"`
	ID         int             `json:"id,omitempty"`
	Type       contract.Format `json:"schemaType,omitempty"` // not said of Avro
	References []reference     `json:"references,omitempty"`
	Schema     string          `json:"schema"`
	Deleted    bool            `json:"deleted,omitempty"`
	MaxID      int             `json:"maxId,omitempty"`
}

func show(v registry.Version) shown {
	s := byID(v)
	s.Subject, s.Version, s.ID, s.Deleted = called(v.Schema()), v.Number, v.SchemaID, v.Deleted
	return s
}

// byID is a version as it is shown to who knows its id.
func byID(v registry.Version) shown {
	s := shown{Schema: v.Text(), Type: v.Format}
	if v.Format == contract.Avro {
		s.Type = ""
	}
	for _, r := range v.References {
		s.References = append(s.References, reference{r.Name, called(registry.Name{Scope: v.Scope, Registry: v.Registry, Schema: r.Subject}), r.Version})
	}
	return s
}

// versions lists a subject's versions that clients know: not failures, and of
// those softly deleted only where deleted says so.
func (a *API) versions(n registry.Name, deleted bool) (list []registry.Version) {
	a.e.Versions(n, func(all iter.Seq[registry.Version]) {
		for v := range all {
			if v.Status == registry.Available && (deleted || !v.Deleted) {
				list = append(list, v)
			}
		}
	})
	return list
}

// version finds the version that a path means.
func (a *API) version(n registry.Name, said string, deleted bool) (registry.Version, error) {
	number, err := number(said)
	if err != nil {
		return registry.Version{}, err
	}
	list := a.versions(n, deleted)
	if len(list) == 0 {
		return registry.Version{}, noSubject(n)
	}
	if number == 0 {
		return list[len(list)-1], nil
	}
	for _, v := range list {
		if v.Number == number {
			return v, nil
		}
	}
	return registry.Version{}, noVersion(number)
}

// number reads a version: 0 is the latest.
func number(said string) (int64, error) {
	if said == "latest" || said == "-1" {
		return 0, nil
	}
	n, err := strconv.ParseInt(said, 10, 32)
	if err != nil || n < 1 {
		return 0, fault(42202, "The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"", said)
	}
	return n, nil
}

// ofID lists the versions that have an id, of the schemas that the caller may
// read.
func (a *API) ofID(c *call) ([]registry.Version, error) {
	id, err := strconv.ParseInt(c.PathValue("id"), 10, 32)
	if err != nil {
		return nil, fault(404, "HTTP 404 Not Found: %q is no id", c.PathValue("id"))
	}
	list, _ := a.e.VersionsBySchemaID(c.scope, int(id)) // or none
	if c.asks {
		list = slices.DeleteFunc(list, func(v registry.Version) bool { return !c.may(v.Schema()) })
	}
	if len(list) == 0 {
		// Whether there is one is told to those who may read all that is there.
		if err := awsapi.Allow(c.Context(), "glue:"+getVersion); err != nil {
			return nil, err
		}
		return nil, fault(40403, "Schema %d not found", id)
	}
	return list, nil
}

// getByID answers what every consumer asks: the schema of an id. The subject, if
// one is said, is looked at first.
func (a *API) getByID(c *call) (any, error) {
	list, err := a.ofID(c)
	if err != nil {
		return nil, err
	}
	if f := c.FormValue("format"); f != "" && f != "serialized" && f != "default" {
		return nil, fault(42205, "Operation not permitted: dhow has no format %q of schemas", f)
	}
	v := list[0]
	if said := c.FormValue("subject"); said != "" {
		n := c.name(said)
		for _, o := range list {
			if o.Registry == n.Registry && o.Name == n.Schema {
				v = o
			}
		}
	}
	s := byID(v)
	if c.flag("fetchMaxId") {
		s.MaxID = v.SchemaID
		a.all(c, "", func(v registry.Version) { s.MaxID = max(s.MaxID, v.SchemaID) })
	}
	return s, nil
}

func (a *API) getTextByID(c *call) (any, error) {
	list, err := a.ofID(c)
	if err != nil {
		return nil, err
	}
	return text(list[0].Text()), nil
}

func (a *API) subjectsOfID(c *call) (any, error) {
	list, err := a.ofID(c)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range list {
		if name := called(v.Schema()); (!v.Deleted || c.flag("deleted")) && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return page(c, names), nil
}

func (a *API) versionsOfID(c *call) (any, error) {
	list, err := a.ofID(c)
	if err != nil {
		return nil, err
	}
	type pair struct {
		Subject string `json:"subject"`
		Version int64  `json:"version"`
	}
	var pairs []pair
	for _, v := range list {
		if !v.Deleted || c.flag("deleted") {
			pairs = append(pairs, pair{called(v.Schema()), v.Number})
		}
	}
	return page(c, pairs), nil
}

// all calls f with the versions of a registry, of all registries for "", whose
// schemas the caller may read.
func (a *API) all(c *call, of string, f func(registry.Version)) {
	var names []registry.Name
	a.e.Schemas(c.scope, of, func(all iter.Seq[registry.Schema]) {
		for s := range all {
			names = append(names, s.FullName())
		}
	})
	for _, n := range names {
		if !c.may(n) {
			continue
		}
		for _, v := range a.versions(n, true) {
			f(v)
		}
	}
}

// prefix is what subjectPrefix asks for: a registry, "" for all, and how the
// names in it begin. As at Confluent's, the list of subjects is of all registries
// where nothing is said, and an empty prefix means the default one.
func (c *call) prefix() (of, begin string) {
	said := c.FormValue("subjectPrefix")
	if !c.Form.Has("subjectPrefix") && c.Pattern == "GET /subjects" && c.PathValue("context") == "" {
		return "", ""
	}
	if rest, ok := strings.CutPrefix(said, ":*:"); ok {
		return "", rest
	}
	n := c.name(said)
	return n.Registry, n.Schema
}

func (a *API) listSchemas(c *call) (any, error) {
	of, begin := c.prefix()
	var list []shown
	a.all(c, of, func(v registry.Version) {
		if !strings.HasPrefix(v.Name, begin) || v.Deleted && !c.flag("deleted") {
			return
		}
		s := show(v)
		if n := len(list); c.flag("latestOnly") && n > 0 && list[n-1].Subject == s.Subject {
			list = list[:n-1]
		}
		list = append(list, s)
	})
	return page(c, list), nil
}

// lookUp finds a definition in a subject.
func (a *API) lookUp(c *call) (any, error) {
	n := c.subject()
	_, want, err := c.definition(n)
	if err != nil {
		return nil, err
	}
	if len(a.versions(n, c.flag("deleted"))) == 0 {
		return nil, noSubject(n)
	}
	v, err := a.e.VersionByDefinition(n, want, c.flag("deleted"))
	if err != nil || v.Status != registry.Available {
		return nil, errNoSchema
	}
	return show(v), nil
}

// register makes a definition a subject's next version. As Confluent does, it
// answers with the id alone.
func (a *API) register(c *call) (any, error) {
	n := c.subject()
	d, want, err := c.definition(n)
	if err != nil {
		return nil, err
	}
	if v, err := a.e.VersionByDefinition(n, want, false); err == nil && v.Status == registry.Available {
		return idOf(v), nil // whatever the mode
	}
	if err := a.writable(c, n); err != nil {
		return nil, err
	}
	v, err := a.add(c, n, d.Type, want)
	if breaks := (*registry.Incompatible)(nil); errors.As(err, &breaks) && !c.may(n) {
		return nil, fault(409, "Schema being registered is incompatible with an earlier schema for subject %q; why is told to who may glue:GetSchemaVersion", called(n))
	}
	if err != nil {
		return nil, wrap(err, n)
	}
	return idOf(v), nil
}

type onlyID struct {
	ID int `json:"id"`
}

func idOf(v registry.Version) onlyID { return onlyID{v.SchemaID} }

// add registers a definition, in a subject that is made for it if it is missing.
func (a *API) add(c *call, n registry.Name, f contract.Format, d registry.Definition) (registry.Version, error) {
	for {
		s, err := a.e.Schema(n)
		if errors.Is(err, registry.ErrNoSchema) {
			v, err := a.create(c, empty(n, f), &d)
			if errors.Is(err, registry.ErrSchemaExists) {
				continue
			}
			return v, err
		}
		if err != nil {
			return registry.Version{}, err
		}
		if s.Format != f {
			if _, err := a.e.ChangeSchema(c.Context(), n, func(s *registry.Schema) error {
				if s.Next > 1 {
					return registry.ErrFormat
				}
				s.Format = f
				return nil
			}); err != nil {
				return registry.Version{}, err
			}
		}
		v, _, err := a.e.Register(c.Context(), n, d)
		return v, err
	}
}
