package impact

import (
	"cmp"
	"fmt"

	"github.com/dhowhq/dhow/contract"
)

// User is one revision of a task definition that a service runs, or tasks that
// belong to none.
type User struct {
	Service, Cluster string // Service "": tasks of no service
	Family           string
	Revision         int32
	Desired          int32  // tasks of the service
	Deployment       string // PRIMARY, ACTIVE or STABLE
	Tasks            int    // of no service
	Uses             []Use
}

// Use is a schema as a revision writes or reads it.
type Use struct {
	Contract
	With *Release // what it writes, or reads with; nil: the registry has none
}

// Release is a released version of a schema.
type Release struct {
	Label  string // its semantic version
	Schema contract.Schema
}

// reads lists what keeps a reader of r from reading what is written as w, in the
// words for whichever of them is the later one.
func (r *Release) reads(w *Release) []contract.Break {
	if later(r.Label, w.Label) {
		return contract.Check(contract.Backward, r.Schema, []contract.Version{{Label: w.Label, Schema: w.Schema}})
	}
	return contract.Check(contract.Forward, w.Schema, []contract.Version{{Label: r.Label, Schema: r.Schema}})
}

func later(a, b string) bool {
	x, err := contract.ParseVersion(a)
	y, err2 := contract.ParseVersion(b)
	return err == nil && err2 == nil && x.GreaterThan(y)
}

// Conflict is a reader that cannot read what a writer writes.
type Conflict struct {
	Writer, Reader User
	Wrote, Read    Use
	Breaks         []contract.Break
	NewWrites      bool // the writer is what is to be deployed
}

// Plan lists the conflicts that a revision would bring: with others that run,
// the service's own earlier revisions among them, and within itself. Uses
// without a release are nobody's conflict.
func Plan(next User, running []User) (list []Conflict) {
	// Many read the same version.
	known := map[[2]*Release][]contract.Break{}
	breaks := func(r, w *Release) []contract.Break {
		pair := [2]*Release{r, w}
		found, ok := known[pair]
		if !ok {
			found = r.reads(w)
			known[pair] = found
		}
		return found
	}
	for _, u := range next.Uses {
		for i, other := range append([]User{next}, running...) {
			for _, o := range other.Uses {
				if u.With == nil || o.With == nil || u.Name() != o.Name() || u.Produces == o.Produces || i == 0 && !u.Produces {
					continue
				}
				c := Conflict{Writer: next, Wrote: u, Reader: other, Read: o, NewWrites: true}
				if !u.Produces {
					c = Conflict{Writer: other, Wrote: o, Reader: next, Read: u}
				}
				if c.Breaks = breaks(c.Read.With, c.Wrote.With); len(c.Breaks) > 0 {
					list = append(list, c)
				}
			}
		}
	}
	return list
}

// maxBreaks bounds how many breaks one conflict tells.
const maxBreaks = 3

// Explain names both services, both versions, what breaks and what to do; all
// are the live releases of the schema, oldest first.
func (c Conflict) Explain(all []Release) string {
	w, r := c.Wrote, c.Read
	text := fmt.Sprintf("%s would write %s %s, which %s cannot read (%s, reads with %s): ",
		c.Writer, w.Name(), w.With.Label, c.Reader, r.says(), r.With.Label)
	if !c.NewWrites {
		text = fmt.Sprintf("%s (%s, reads with %s) could not read %s %s, which %s writes: ",
			c.Reader, r.says(), r.With.Label, w.Name(), w.With.Label, c.Writer)
	}
	for i, b := range c.Breaks {
		if i == maxBreaks {
			text += fmt.Sprintf("; and %d more", len(c.Breaks)-i)
			break
		}
		if i > 0 {
			text += "; "
		}
		text += b.Explain(before(r.With.Label, all))
	}
	return text + ". " + c.remedy(all)
}

func (u User) String() string {
	switch u.Tasks {
	case 0:
	case 1:
		return fmt.Sprintf("a task of %s:%d (cluster %s, of no service)", u.Family, u.Revision, u.Cluster)
	default:
		return fmt.Sprintf("%d tasks of %s:%d (cluster %s, of no service)", u.Tasks, u.Family, u.Revision, u.Cluster)
	}
	text := fmt.Sprintf("service %s (cluster %s, %s:%d", u.Service, u.Cluster, u.Family, u.Revision)
	switch {
	case u.Deployment == "ACTIVE":
		text += ", which a rollout still replaces"
	case u.Deployment == "STABLE":
		text += ", which its rollout goes back to if it fails"
	case u.Desired == 0 && u.Deployment != "":
		text += ", scaled to 0"
	}
	return text + ")"
}

func (u Use) says() string {
	return u.verb() + " " + u.Schema + "@" + cmp.Or(u.Declared, "*")
}

// before is the version that could still come before a breaking one: a minor
// one more than the last of the reader's major.
func before(label string, all []Release) string {
	highest, err := contract.ParseVersion(label)
	if err != nil {
		return ""
	}
	for _, r := range all {
		if v, err := contract.ParseVersion(r.Label); err == nil && v.Major() == highest.Major() && v.GreaterThan(highest) {
			highest = v
		}
	}
	next := contract.Minor.After(highest)
	return next.String()
}

// remedy is what to do with what is released already.
func (c Conflict) remedy(all []Release) string {
	other, none, which := c.Writer, "It could read no version that is registered.", "it could read"
	fits := func(w *Release) bool { return len(c.Read.With.reads(w)) == 0 }
	if c.NewWrites {
		other, none, which = c.Reader, "No version that is registered reads it.", "reads it"
		fits = func(r *Release) bool { return len(r.reads(c.Wrote.With)) == 0 }
	}
	switch other.Deployment {
	case "ACTIVE":
		return fmt.Sprintf("Wait until the rollout of %s is complete.", other.Service)
	case "STABLE":
		return fmt.Sprintf("Wait until the rollout of %s is complete, or deploy it anew where that has failed.", other.Service)
	}
	found := newest(all, fits)
	switch {
	case other.Tasks > 0 && found == nil:
		return "Wait until they have ended, or stop them. " + none
	case other.Tasks > 0:
		return fmt.Sprintf("Wait until they have ended, or stop them, and run them with %s %s, which %s.", c.Wrote.Name(), found.Label, which)
	case found == nil:
		return none
	}
	return fmt.Sprintf("Deploy %s first with %s %s, which %s.", other.Service, c.Wrote.Name(), found.Label, which)
}

func newest(all []Release, ok func(*Release) bool) (found *Release) {
	for i := range all {
		if r := &all[i]; (found == nil || later(r.Label, found.Label)) && ok(r) {
			found = r
		}
	}
	return found
}
