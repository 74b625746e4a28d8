package impact

import (
	"cmp"
	"fmt"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/store"
)

// InUse is why a version is not to be deleted. It is a registry.ErrInUse.
type InUse struct {
	User
	Contract
	Version string // semantic version
	more    int    // others that declare versions that were to be deleted
}

func (e *InUse) Error() string {
	how := "reads with it"
	if e.Produces {
		how = "writes it"
	}
	others := ""
	switch e.more {
	case 0:
	case 1:
		others = " So does another one."
	default:
		others = fmt.Sprintf(" So do %d others.", e.more)
	}
	return fmt.Sprintf("Version %s of %s is in use: %s declares %s@%s and %s.%s Deploy another revision, or stop what runs, before the version is deleted",
		e.Version, e.Name(), e.User, e.Schema, cmp.Or(e.Declared, "*"), how, others)
}

func (e *InUse) Unwrap() error { return registry.ErrInUse }

// Guard is registry.Config.Hold: it refuses to let versions of one schema go that
// something that runs declares: to write, or to read where its range came to them.
// Errors: *InUse, the store's.
func (e *Engine) Guard(tx *store.Tx, versions []registry.Version) error {
	if len(versions) == 0 {
		return nil
	}
	n := versions[0].Schema()
	if err := turn(tx, n.Scope); err != nil {
		return err
	}
	k := Contract{Registry: n.Registry, Schema: n.Schema}
	c := catalog{e: e, r: tx, scope: n.Scope, known: map[string]*known{}}
	found, going := c.of(k), map[string]bool{}
	for _, v := range versions {
		going[v.ID] = true
	}
	var first *InUse
	for u, d := range revisions(tx, n.Scope) {
		in := found.uses(k.Name(), u, d, going)
		if in == nil {
			continue
		}
		if first == nil {
			first = in
		} else {
			first.more++
		}
	}
	if first == nil {
		return nil
	}
	return first
}

// uses is how a revision uses one of the versions with these IDs, nil if it uses
// none.
func (k *known) uses(name string, u User, d cluster.TaskDefinition, ids map[string]bool) *InUse {
	declared, _ := Of(d.Def)
	for _, c := range declared {
		if c.Name() != name {
			continue
		}
		if v := k.ran(c, deref(d.Def.RegisteredAt)); v != nil && ids[v.ID] {
			return &InUse{User: u, Contract: c, Version: v.Semver}
		}
	}
	return nil
}
