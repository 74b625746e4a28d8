package confluent

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/verdict"
)

func (a *API) listSubjects(c *call) (any, error) {
	of, begin := c.prefix()
	var found []registry.Schema
	a.e.Schemas(c.scope, of, func(all iter.Seq[registry.Schema]) {
		for s := range all {
			if strings.HasPrefix(s.Name, begin) && s.Status != registry.Deleting {
				found = append(found, s)
			}
		}
	})
	var names []string
	for _, s := range found {
		live := s.Latest != 0
		switch {
		case c.flag("deletedOnly") && live, !live && !c.flag("deleted") && !c.flag("deletedOnly"):
		case !live && len(a.versions(s.FullName(), true)) == 0: // configured, and empty
		default:
			names = append(names, called(s.FullName()))
		}
	}
	slices.Sort(names)
	return page(c, names), nil
}

func (a *API) listVersions(c *call) (any, error) {
	n := c.subject()
	list := a.versions(n, c.flag("deleted") || c.flag("deletedOnly"))
	if c.flag("deletedOnly") {
		list = slices.DeleteFunc(list, func(v registry.Version) bool { return !v.Deleted })
	}
	if len(list) == 0 {
		return nil, noSubject(n)
	}
	return page(c, numbers(list)), nil
}

func numbers(list []registry.Version) (out []int64) {
	for _, v := range list {
		out = append(out, v.Number)
	}
	return out
}

func (a *API) getVersion(c *call) (any, error) {
	v, err := a.version(c.subject(), c.PathValue("version"), c.flag("deleted"))
	if err != nil {
		return nil, err
	}
	return show(v), nil
}

func (a *API) getText(c *call) (any, error) {
	v, err := a.version(c.subject(), c.PathValue("version"), c.flag("deleted"))
	if err != nil {
		return nil, err
	}
	return text(v.Text()), nil
}

func (a *API) referencedBy(c *call) (any, error) {
	v, err := a.version(c.subject(), c.PathValue("version"), true)
	if err != nil {
		return nil, err
	}
	ids := []int{}
	for _, r := range a.e.Referrers(v) {
		if r.Status == registry.Available && !r.Deleted && c.may(r.Schema()) {
			ids = append(ids, r.SchemaID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// deleteSubject deletes a subject softly, and for good if that was done before.
func (a *API) deleteSubject(c *call) (any, error) {
	n := c.subject()
	if err := a.writable(c, n); err != nil {
		return nil, err
	}
	all := a.versions(n, true)
	live := a.versions(n, false)
	switch {
	case len(all) == 0:
		return nil, noSubject(n)
	case c.flag("permanent") && len(live) > 0:
		return nil, fault(40405, "Subject '%s' was not deleted first before being permanently deleted", called(n))
	case c.flag("permanent"):
		_, err := a.e.DeleteSchema(c.Context(), n)
		return numbers(all), wrap(err, n)
	case len(live) == 0:
		return nil, fault(40404, "Subject '%s' was soft deleted.Set permanent=true to delete permanently", called(n))
	}
	slices.Reverse(live) // later ones may need earlier ones
	for _, v := range live {
		if _, err := a.e.SetDeleted(c.Context(), n, v.Number, true); err != nil {
			return nil, wrap(err, n)
		}
	}
	slices.Reverse(live)
	return numbers(live), nil
}

func (a *API) deleteVersion(c *call) (any, error) {
	n := c.subject()
	if err := a.writable(c, n); err != nil {
		return nil, err
	}
	v, err := a.version(n, c.PathValue("version"), true)
	if err != nil {
		return nil, err
	}
	switch {
	case c.flag("permanent") && !v.Deleted:
		return nil, fault(40407, "Subject '%s' Version %d was not deleted first before being permanently deleted", called(n), v.Number)
	case c.flag("permanent"):
		_, err = a.e.DeleteVersion(c.Context(), n, v.Number, true)
	case v.Deleted:
		return nil, fault(40406, "Subject '%s' Version %d was soft deleted.Set permanent=true to delete permanently", called(n), v.Number)
	default:
		_, err = a.e.SetDeleted(c.Context(), n, v.Number, true)
	}
	return v.Number, wrap(err, n)
}

// compatible answers a check; the reasons are told where verbose asks for them.
type compatible struct {
	OK       bool     `json:"is_compatible"`
	Messages []string `json:"messages,omitempty"`
}

// checkAll checks a definition as registering it would.
func (a *API) checkAll(c *call) (any, error) {
	n := c.subject()
	_, want, err := c.definition(n)
	if err != nil {
		return nil, err
	}
	if len(a.versions(n, false)) == 0 {
		return compatible{OK: true}, nil
	}
	t, err := a.e.Try(n, want)
	return a.verdict(c, n, t.Breaks, err)
}

// checkOne checks a definition against one version.
func (a *API) checkOne(c *call) (any, error) {
	n := c.subject()
	_, want, err := c.definition(n)
	if err != nil {
		return nil, err
	}
	v, err := a.version(n, c.PathValue("version"), false)
	if err != nil {
		return nil, err
	}
	breaks, err := a.e.Compare(v, want)
	return a.verdict(c, n, breaks, err)
}

func (a *API) verdict(c *call, n registry.Name, breaks []contract.Break, err error) (any, error) {
	var malformed *verdict.Malformed
	if errors.As(err, &malformed) && !c.flag("verbose") {
		return nil, wrap(err, n)
	}
	out := compatible{OK: err == nil && len(breaks) == 0}
	if c.flag("verbose") {
		for _, b := range breaks {
			out.Messages = append(out.Messages, b.Explain(""))
		}
		if malformed != nil || errors.Is(err, registry.ErrFormat) {
			out.Messages = append(out.Messages, err.Error())
			err = nil
		}
	}
	if errors.Is(err, registry.ErrFormat) {
		err = nil
	}
	return out, wrap(err, n)
}
