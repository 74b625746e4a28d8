package impact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/store"
)

// Engine answers from the registry and from what services run.
type Engine struct {
	db      *store.DB
	schemas *registry.Engine
	may     func(context.Context, registry.Name) error
}

// New returns the engine. may says in its error why the caller that ctx belongs to
// may not read a schema's versions; nil lets everybody.
func New(db *store.DB, schemas *registry.Engine, may func(context.Context, registry.Name) error) *Engine {
	if may == nil {
		may = func(context.Context, registry.Name) error { return nil }
	}
	return &Engine{db, schemas, may}
}

// rounds is a row for each account and region that every deployment with
// contracts writes, and every deleting of versions, so that two which do not get
// on cannot both be let in at the same time.
type rounds struct {
	cluster.Scope
	Count int64
}

var deployments = store.NewTable("contract.deployments", rounds.Key)

// Key is the row's key.
func (r rounds) Key() string { return r.Scope.Key("") }

// turn has a transaction commit only if no other one that called it did since it
// began.
func turn(tx *store.Tx, s cluster.Scope) error {
	row, _ := deployments.Get(tx, rounds{Scope: s}.Key())
	row.Scope = s
	row.Count++
	return deployments.Put(tx, row)
}

// Reset removes what there is of an account.
func (e *Engine) Reset(ctx context.Context, account string) error {
	return deployments.Clear(ctx, e.db, account+"/")
}

// Read reports what of a definition's labels cannot be read, in words.
func (*Engine) Read(d types.TaskDefinition) error {
	_, err := Of(d)
	return err
}

// maxReasons bounds how much of what speaks against a deployment a refusal tells.
const maxReasons = 5

// Deploy lists, in sentences, all that speaks against service s running
// definition d beside what runs: schemas and versions that are not known, and
// readers that cannot read what writers write. None: it may be deployed. They tell
// what is in the schemas, so the error is may's where the caller may not read one
// that the definition declares.
func (e *Engine) Deploy(ctx context.Context, tx *store.Tx, s cluster.Service, d cluster.TaskDefinition) (reasons []string, err error) {
	declared, err := Of(d.Def)
	if err != nil {
		return []string{err.Error()}, nil
	}
	if len(declared) == 0 {
		return nil, nil
	}
	for _, k := range declared {
		if err := e.may(ctx, registry.Name{Scope: s.Scope, Registry: k.Registry, Schema: k.Schema}); err != nil {
			return nil, err
		}
	}
	if err := turn(tx, s.Scope); err != nil {
		return nil, err
	}
	c := catalog{e: e, r: tx, scope: s.Scope, known: map[string]*known{}}
	next := User{Service: s.Name, Cluster: s.Cluster, Family: d.Family, Revision: d.Revision, Desired: s.DesiredCount}
	wanted := map[string]bool{}
	for _, k := range declared {
		use, err := c.use(k, deref(d.Def.RegisteredAt))
		var missing *Missing
		switch {
		case errors.As(err, &missing):
			reasons = append(reasons, missing.Error())
		case err != nil:
			return nil, err
		}
		next.Uses = append(next.Uses, use)
		wanted[k.Name()] = true
	}
	missed := len(reasons)
	running, err := c.running(tx, func(k Contract) bool { return wanted[k.Name()] })
	if err != nil {
		return nil, err
	}
	conflicts := Plan(next, running)
	for _, x := range conflicts[:min(len(conflicts), maxReasons)] {
		releases, err := c.releases(c.of(x.Wrote.Contract))
		if err != nil {
			return nil, err
		}
		reasons = append(reasons, x.Explain(releases))
	}
	all := missed + len(conflicts)
	if reasons = reasons[:min(len(reasons), maxReasons)]; all > maxReasons {
		reasons = append(reasons, fmt.Sprintf("And %d more.", all-maxReasons))
	}
	return reasons, nil
}

// Missing is a schema or version that the registry does not have.
type Missing struct {
	Contract
	Known []string // versions that there are; nil: not even the schema
}

func (m *Missing) Error() string {
	head := fmt.Sprintf("the task definition %s %s@%s, ", m.verb(), m.Name(), cmp.Or(m.Declared, "*"))
	if m.Known == nil {
		return head + "and the registry has no such schema: register it first (dhow schema push)."
	}
	text := head + "and the registry has no such version"
	if n := len(m.Known); n > 0 {
		text += fmt.Sprintf(" (the latest is %s)", m.Known[n-1])
	}
	return text + ": register it first (dhow schema push), or declare one that is there."
}

// catalog is what the registry has, looked up once.
type catalog struct {
	e     *Engine
	r     store.Reader
	scope cluster.Scope
	known map[string]*known
}

type known struct {
	there    bool
	versions []registry.Version // available ones, oldest first
	loaded   map[string]*Release
}

// labels are those of live versions.
func (k *known) labels() []string {
	list := []string{}
	for _, v := range k.versions {
		if v.Live() {
			list = append(list, v.Semver)
		}
	}
	return list
}

func (c catalog) of(k Contract) *known {
	if found := c.known[k.Name()]; found != nil {
		return found
	}
	n := registry.Name{Scope: c.scope, Registry: k.Registry, Schema: k.Schema}
	found := &known{loaded: map[string]*Release{}}
	c.known[k.Name()] = found
	all, err := registry.Find(c.r, n)
	if err != nil {
		return found
	}
	found.there = true
	for v := range all {
		if v.Status == registry.Available && v.Semver != "" {
			found.versions = append(found.versions, v)
		}
	}
	return found
}

// release is a version with its schema parsed.
func (c catalog) release(k *known, v registry.Version) (*Release, error) {
	if r := k.loaded[v.ID]; r != nil {
		return r, nil
	}
	l, err := c.e.schemas.Load(c.r, v)
	if err != nil {
		return nil, err
	}
	r := &Release{v.Semver, l.Contract}
	k.loaded[v.ID] = r
	return r, nil
}

func (c catalog) releases(k *known) (list []Release, err error) {
	for _, v := range k.versions {
		if !v.Live() {
			continue
		}
		r, err := c.release(k, v)
		if err != nil {
			return nil, err
		}
		list = append(list, *r)
	}
	return list, nil
}

// use looks up what a definition that was registered then would write or read
// with. Error: *Missing, and the use without a release.
func (c catalog) use(k Contract, registered time.Time) (u Use, err error) {
	return c.useBy((*known).pick, k, registered)
}

// useBy is use by one way to pick a version.
func (c catalog) useBy(pick func(*known, Contract, time.Time) *registry.Version, k Contract, registered time.Time) (u Use, err error) {
	u.Contract = k
	found := c.of(k)
	if !found.there {
		return u, &Missing{Contract: k}
	}
	v := pick(found, k, registered)
	if v == nil {
		return u, &Missing{k, found.labels()}
	}
	u.With, err = c.release(found, *v)
	return u, err
}

// pick is the version of a contract: of what is produced the very one; of what
// is consumed the newest in range that was there when the definition was
// registered, or else the first that came.
func (k *known) pick(c Contract, registered time.Time) *registry.Version {
	return k.newest(c, registered, func(v *registry.Version) bool { return c.Produces || v.Live() })
}

// ran is pick for what runs. Where its range has nothing left of what was there
// when the definition was registered, it is what has been deleted softly since:
// an image does not lose what it embeds.
func (k *known) ran(c Contract, registered time.Time) *registry.Version {
	v := k.pick(c, registered)
	if v == nil || after(v, registered) {
		if gone := k.newest(c, registered, func(*registry.Version) bool { return true }); gone != nil && !after(gone, registered) {
			return gone
		}
	}
	return v
}

// newest is the newest version in the range of a contract that was there then, or
// else the first that came, among those that are taken.
func (k *known) newest(c Contract, then time.Time, taken func(*registry.Version) bool) (best *registry.Version) {
	for i := range k.versions {
		v := &k.versions[i]
		sv, err := contract.ParseVersion(v.Semver)
		switch {
		case err != nil || !c.Range.Has(sv) || !taken(v):
		case best == nil, !after(v, then) && later(v.Semver, best.Semver):
			best = v
		}
	}
	return best
}

// after reports whether a version came after a definition, which has its time in
// milliseconds.
func after(v *registry.Version, registered time.Time) bool {
	return v.Created.Truncate(time.Millisecond).After(registered)
}

// running lists the revisions of the scope that run and use what is wanted.
func (c catalog) running(r store.Reader, wanted func(Contract) bool) (list []User, err error) {
	for u, d := range revisions(r, c.scope) {
		if u.Uses, err = c.uses(d, wanted); err != nil {
			return nil, err
		}
		if len(u.Uses) > 0 {
			list = append(list, u)
		}
	}
	return list, nil
}

// uses are those of a definition that runs; what it says of what the registry no
// longer has cannot be compared, and what of it cannot be read says nothing.
func (c catalog) uses(d cluster.TaskDefinition, wanted func(Contract) bool) (list []Use, err error) {
	declared, _ := Of(d.Def)
	for _, k := range declared {
		if !wanted(k) {
			continue
		}
		u, err := c.useBy((*known).ran, k, deref(d.Def.RegisteredAt))
		if missing := (*Missing)(nil); err != nil && !errors.As(err, &missing) {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

// Impact is who uses a schema.
type Impact struct {
	Schema string // REGISTRY/NAME
	Latest string // "" where it has no version
	Users  []Row  // producers first, by cluster and service
}

// Row is one use by one revision that runs.
type Row struct {
	Service, Cluster, TaskDefinition string // the last as FAMILY:REVISION; Service "": tasks that belong to none
	Deployment                       string // PRIMARY, ACTIVE of one that a rollout replaces, STABLE of one that it goes back to if it fails; "" of tasks
	DesiredCount                     int32
	Tasks                            int      `json:",omitempty"` // that belong to no service
	Use                              string   // produces or consumes
	Declared                         string   // the version or range
	Version                          string   // what it writes or reads with; "" where the registry has none
	Now                              string   // what its range has by now
	ReadsLatest                      *bool    `json:",omitempty"` // of consumers: whether it could read what is written with the latest
	Why                              []string `json:",omitempty"` // what keeps it from that
}

// Of tells who uses a schema. Error: registry.ErrNoSchema.
func (e *Engine) Of(n registry.Name) (out Impact, err error) {
	target := Contract{Registry: n.Registry, Schema: n.Schema}
	out = Impact{Schema: target.Name(), Users: []Row{}}
	err = e.db.View(func(r store.Reader) error {
		c := catalog{e: e, r: r, scope: n.Scope, known: map[string]*known{}}
		k := c.of(target)
		if !k.there {
			return registry.ErrNoSchema
		}
		releases, err := c.releases(k)
		if err != nil {
			return err
		}
		latest := newest(releases, func(*Release) bool { return true })
		if latest != nil {
			out.Latest = latest.Label
		}
		users, err := c.running(r, func(k Contract) bool { return k.Name() == target.Name() })
		for _, u := range users {
			for _, use := range u.Uses {
				out.Users = append(out.Users, row(u, use, k, latest, releases))
			}
		}
		return err
	})
	slices.SortStableFunc(out.Users, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Use, a.Use), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Service, b.Service))
	})
	return out, err
}

func row(u User, use Use, k *known, latest *Release, all []Release) Row {
	out := Row{
		Service: u.Service, Cluster: u.Cluster, TaskDefinition: fmt.Sprintf("%s:%d", u.Family, u.Revision),
		Deployment: u.Deployment, DesiredCount: u.Desired, Tasks: u.Tasks, Use: use.verb(), Declared: cmp.Or(use.Declared, "*"),
	}
	out.Now, _ = contract.Latest(use.Range, k.labels())
	if use.With == nil {
		return out
	}
	out.Version = use.With.Label
	if !use.Produces && latest != nil {
		breaks := use.With.reads(latest)
		reads := len(breaks) == 0
		out.ReadsLatest = &reads
		for _, b := range breaks {
			out.Why = append(out.Why, b.Explain(before(use.With.Label, all)))
		}
	}
	return out
}
