package impact

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "123456789012", Region: "eu-west-1"}

// field has no default, unless it ends in ?.
func order(semver, fields string) string {
	var list []string
	for _, n := range strings.Fields(fields) {
		name, optional := strings.CutSuffix(n, "?")
		list = append(list, fmt.Sprintf(`{"name": %q, "type": "int"`, name)+map[bool]string{true: `, "default": 0}`, false: "}"}[optional])
	}
	return fmt.Sprintf("{\"type\": \"record\", \"name\": \"Order\", \"semver\": %q, \"fields\": [\n%s]}", semver, strings.Join(list, ",\n"))
}

// fixture has the schema shop/order; each version and definition is a second
// later than what was before.
type fixture struct {
	*testing.T
	*Engine
	clock   time.Time
	between func() // what comes between a deleting's question and its commit, once
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	db := storetest.Open(t)
	schemas := registry.New(registry.Config{DB: db, Now: f.tick, Hold: func(tx *store.Tx, list []registry.Version) error {
		err := f.Guard(tx, list)
		if between := f.between; between != nil {
			f.between = nil
			between()
		}
		return err
	}})
	t.Cleanup(schemas.Close)
	f.Engine = New(db, schemas, nil)
	_, err := schemas.CreateRegistry(t.Context(), registry.Registry{Scope: here, Name: "shop"})
	f.must(err)
	_, _, err = schemas.CreateSchema(t.Context(), registry.Schema{Scope: here, Registry: "shop", Name: "order", Format: contract.Avro, Level: contract.None}, nil)
	f.must(err)
	return f
}

func (f *fixture) tick() time.Time {
	f.clock = f.clock.Add(time.Second)
	return f.clock
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) release(semver, fields string) {
	f.Helper()
	v, _, err := f.schemas.Register(f.Context(), registry.Name{Scope: here, Registry: "shop", Schema: "order"}, registry.Definition{Text: order(semver, fields)})
	f.must(err)
	if v.Semver != semver {
		f.Fatalf("it became %s, not %s", v.Semver, semver)
	}
}

// define registers FAMILY:REVISION with labels "produces X" and "consumes X".
func (f *fixture) define(family string, revision int32, labels ...string) cluster.TaskDefinition {
	f.Helper()
	m := map[string]string{}
	for _, l := range labels {
		use, what, _ := strings.Cut(l, " ")
		m["dhow.contract."+use] = what
	}
	d := cluster.TaskDefinition{Scope: here, Family: family, Revision: revision, Def: definition(m)}
	at := f.tick().Truncate(time.Millisecond)
	d.Def.RegisteredAt = &at
	f.must(f.db.Update(f.Context(), func(tx *store.Tx) error { return cluster.TaskDefinitions.Put(tx, d) }))
	return d
}

// service is what definitions run as, the first one as PRIMARY.
func service(name string, definitions ...cluster.TaskDefinition) cluster.Service {
	s := cluster.Service{Scope: here, Cluster: "prod", Name: name, Status: "ACTIVE", DesiredCount: 1}
	for i, d := range definitions {
		s.Deployments = append(s.Deployments, cluster.Deployment{Status: []string{"PRIMARY", "ACTIVE"}[min(i, 1)], Family: d.Family, Revision: d.Revision})
	}
	return s
}

func (f *fixture) put(s cluster.Service) {
	f.Helper()
	f.must(f.db.Update(f.Context(), func(tx *store.Tx) error { return cluster.Services.Put(tx, s) }))
}

func (f *fixture) guard(list ...registry.Version) error {
	return f.db.Update(f.Context(), func(tx *store.Tx) error { return f.Guard(tx, list) })
}

// deploy says what speaks against it, in one text.
func (f *fixture) deploy(s string, d cluster.TaskDefinition) string {
	f.Helper()
	var reasons []string
	f.must(f.db.Update(f.Context(), func(tx *store.Tx) (err error) {
		old, ok := cluster.Services.Get(tx, cluster.ServiceKey(here, "prod", s))
		if !ok {
			old = service(s)
		}
		reasons, err = f.Deploy(f.Context(), tx, old, d)
		return err
	}))
	return strings.Join(reasons, "\n")
}

func (f *fixture) want(what, got string, wants ...string) {
	f.Helper()
	if len(wants) == 0 && got != "" {
		f.Errorf("%s is refused: %s", what, got)
	}
	for _, w := range wants {
		if !strings.Contains(got, w) {
			f.Errorf("%s: %q, want it to say %q", what, got, w)
		}
	}
}

func TestDeploy(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id total")
	f.release("1.1.0", "id total note?")
	bill := f.define("billing", 3, "consumes shop/order@^1")
	f.put(service("billing", bill))
	f.release("2.0.0", "id")
	f.release("2.1.0", "id total?")

	f.want("a version in range", f.deploy("checkout", f.define("checkout", 1, "produces shop/order@1.0.0")))
	f.want("a version out of range that can be read", f.deploy("checkout", f.define("checkout", 2, "produces shop/order@2.1.0")))
	f.want("a version that cannot be read", f.deploy("checkout", f.define("checkout", 7, "produces shop/order@2.0.0")),
		"service checkout (cluster prod, checkout:7) would write shop/order 2.0.0", "service billing (cluster prod, billing:3)",
		"consumes order@^1, reads with 1.1.0", "field `total`", "was removed and has no default: readers on 1.1.0 cannot read it; give it a default in 1.2.0 first",
		"Deploy billing first with shop/order 2.1.0, which reads it.")
	f.want("no declaration", f.deploy("checkout", f.define("checkout", 8)))
	f.want("another account's", f.deploy("checkout", f.define("checkout", 9, "consumes shop/order")))

	// The other way round: who comes must read what is written.
	f.put(service("checkout", f.define("checkout", 10, "produces shop/order@2.0.0")))
	f.want("a reader of what is written", f.deploy("mail", f.define("mail", 1, "consumes shop/order@^2")))
	f.want("a reader of the old", f.deploy("mail", f.define("mail", 2, "consumes shop/order@^1")),
		"service mail (cluster prod, mail:2) (consumes order@^1, reads with 1.1.0) could not read shop/order 2.0.0, which service checkout (cluster prod, checkout:10) writes",
		"Deploy checkout first with shop/order 2.1.0, which it could read.")
}

// During a rollout what goes and what comes both write; so do and read the
// service's own revisions. Services that are deleted do not, those that are
// scaled to nothing do.
func TestDeployBeside(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id")
	f.release("2.0.0", "number")
	one, two := f.define("w", 1, "produces shop/order@1.0.0"), f.define("w", 2, "produces shop/order@2.0.0")
	f.put(service("writer", two, one))
	reader := f.define("r", 1, "consumes shop/order@^2")
	f.want("a reader of the new alone", f.deploy("reader", reader), "order 1.0.0, which service writer (cluster prod, w:1, which a rollout still replaces) writes")
	f.put(service("writer", two))
	f.want("a reader after the rollout", f.deploy("reader", reader))

	idle := service("reader", reader)
	idle.DesiredCount = 0
	f.put(idle)
	f.want("a writer beside a reader scaled to nothing", f.deploy("writer", one), "service reader (cluster prod, r:1, scaled to 0)")
	idle.Status = "DRAINING"
	f.put(idle)
	f.want("a writer beside one that is deleted", f.deploy("writer", one))

	gone := service("writer", two)
	gone.Status = "INACTIVE"
	f.put(gone)
	own := f.define("own", 1, "produces shop/order@1.0.0", "consumes shop/order@^1")
	f.want("what reads its own messages", f.deploy("alone", own))
	f.want("what cannot", f.deploy("alone", f.define("own", 2, "produces shop/order@1.0.0", "consumes shop/order@^2")),
		"service alone (cluster prod, own:2) would write shop/order 1.0.0, which service alone (cluster prod, own:2) cannot read")
}

func TestMissing(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id")
	f.want("no schema", f.deploy("a", f.define("a", 1, "produces shop/nothing@1.0.0")), "produces shop/nothing@1.0.0, and the registry has no such schema: register it first")
	f.want("no version", f.deploy("a", f.define("a", 2, "produces shop/order@1.5.0")), "no such version (the latest is 1.0.0)")
	f.want("none in range", f.deploy("a", f.define("a", 3, "consumes shop/order@^2")), "consumes shop/order@^2, and the registry has no such version")
	f.want("unreadable", f.deploy("a", f.define("a", 4, "consumes shop/order@x@y")), "not a range of versions")
	// What runs and names what is gone hinders nobody else.
	f.put(service("old", f.define("old", 1, "consumes shop/order@^7")))
	f.want("beside one that reads nothing", f.deploy("a", f.define("a", 5, "produces shop/order@1.0.0")))
}

// What a consumer reads with was there when its definition was registered, and
// stays when its range has more.
func TestReadsWith(t *testing.T) {
	f := newFixture(t)
	f.put(service("early", f.define("early", 1, "consumes shop/order")))
	f.release("1.0.0", "id")
	f.release("1.1.0", "id note?")
	f.put(service("late", f.define("late", 1, "consumes shop/order@^1")))
	f.release("1.2.0", "id note? more?")
	f.release("2.0.0", "number")
	f.put(service("checkout", f.define("checkout", 1, "produces shop/order@1.1.0")))
	got, err := f.Of(registry.Name{Scope: here, Registry: "shop", Schema: "order"})
	f.must(err)
	var lines []string
	for _, u := range got.Users {
		reads := "-"
		if u.ReadsLatest != nil {
			reads = fmt.Sprint(*u.ReadsLatest, len(u.Why))
		}
		lines = append(lines, strings.Join([]string{u.Use, u.Service, u.Cluster, u.TaskDefinition, u.Declared, u.Version, u.Now, reads}, " "))
	}
	want := "produces checkout prod checkout:1 1.1.0 1.1.0 1.1.0 -\n" +
		"consumes early prod early:1 * 1.0.0 2.0.0 false 1\n" +
		"consumes late prod late:1 ^1 1.1.0 1.2.0 false 1"
	if s := strings.Join(lines, "\n"); s != want || got.Latest != "2.0.0" || got.Schema != "shop/order" {
		t.Errorf("%s, latest %s:\n%s\nwant\n%s", got.Schema, got.Latest, s, want)
	}
	if _, err := f.Of(registry.Name{Scope: here, Registry: "shop", Schema: "nothing"}); !errors.Is(err, registry.ErrNoSchema) {
		t.Errorf("no schema: %v", err)
	}
	if got, err := f.Of(registry.Name{Scope: cluster.Scope{Account: "1", Region: here.Region}, Registry: "shop", Schema: "order"}); !errors.Is(err, registry.ErrNoSchema) {
		t.Errorf("another account sees %+v, %v", got, err)
	}
}

// TestTogether deploys two that do not get on at the same time: one alone is let
// in.
func TestTogether(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id")
	f.release("2.0.0", "number")
	ds := map[string]cluster.TaskDefinition{"a": f.define("a", 1, "produces shop/order@1.0.0"), "b": f.define("b", 1, "consumes shop/order@^2")}
	var all, looked sync.WaitGroup
	looked.Add(len(ds))
	var mu sync.Mutex
	in := 0
	for name, d := range ds {
		all.Go(func() {
			look := sync.OnceFunc(func() { looked.Done(); looked.Wait() }) // neither is in before both have looked
			err := f.db.Update(context.Background(), func(tx *store.Tx) error {
				reasons, err := f.Deploy(f.Context(), tx, service(name), d)
				if err == nil && len(reasons) > 0 {
					err = errors.New("refused")
				}
				look()
				if err != nil {
					return err
				}
				return cluster.Services.Put(tx, service(name, d))
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in++
			}
		})
	}
	all.Wait()
	if in != 1 {
		t.Errorf("%d were let in", in)
	}
}

func TestReset(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id")
	if err := f.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := f.Deploy(f.Context(), tx, service("a"), f.define("a", 1, "produces shop/order@1.0.0"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		account string
		left    int
	}{{"1", 1}, {here.Account, 0}} {
		if err := f.Reset(t.Context(), c.account); err != nil {
			t.Fatal(err)
		}
		f.db.View(func(r store.Reader) error {
			if n := deployments.Len(r); n != c.left {
				t.Errorf("after the reset of account %s %d rows are left", c.account, n)
			}
			return nil
		})
	}
}

// run has n tasks of a definition that belong to no service.
func (f *fixture) run(d cluster.TaskDefinition, n int, change func(*cluster.Task)) {
	f.Helper()
	f.must(f.db.Update(f.Context(), func(tx *store.Tx) error {
		for i := range n {
			t := cluster.Task{Scope: here, Cluster: "prod", ID: fmt.Sprint(d.Family, d.Revision, i), Family: d.Family, Revision: d.Revision,
				Contracts: d.Contracts(), Desired: cluster.Running, Last: cluster.Running}
			if change != nil {
				change(&t)
			}
			if err := cluster.Tasks.Put(tx, t); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Tasks that belong to no service count while they shall run.
func TestTasksOfNoService(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id total")
	batch := f.define("batch", 1, "consumes shop/order@^1")
	writer := f.define("nightly", 1, "produces shop/order@1.0.0")
	f.release("2.0.0", "id")
	next := f.define("checkout", 1, "produces shop/order@2.0.0")
	reader := f.define("billing", 1, "consumes shop/order@^2")
	strict := f.define("strict", 1, "consumes shop/order@^1")

	f.run(batch, 3, nil)
	f.want("a writer that tasks could not read", f.deploy("checkout", next),
		"service checkout (cluster prod, checkout:1) would write shop/order 2.0.0, which 3 tasks of batch:1 (cluster prod, of no service) cannot read",
		"Wait until they have ended, or stop them, and run them with shop/order 2.0.0, which reads it.")
	got, err := f.Of(registry.Name{Scope: here, Registry: "shop", Schema: "order"})
	f.must(err)
	if len(got.Users) != 1 || got.Users[0].Tasks != 3 || got.Users[0].Service != "" || got.Users[0].TaskDefinition != "batch:1" || *got.Users[0].ReadsLatest {
		t.Errorf("%+v", got.Users)
	}
	f.run(batch, 3, func(t *cluster.Task) { t.Desired = cluster.Stopped })
	f.want("a writer, once they are told to stop", f.deploy("checkout", next))
	f.run(batch, 3, func(t *cluster.Task) { t.Last = cluster.Stopped })
	f.want("a writer, once they have ended", f.deploy("checkout", next))
	f.run(batch, 3, func(t *cluster.Task) { t.Service = "gone" })
	f.want("a writer beside tasks that a service counts for", f.deploy("checkout", next))

	f.put(service("checkout", next))
	f.run(writer, 1, nil)
	f.want("a reader of what a task writes", f.deploy("billing", reader))
	f.want("one that cannot", f.deploy("strict", strict), "which service checkout (cluster prod, checkout:1) writes")
}

// A version that is deleted softly is what those read with still who run with it;
// nobody comes anew to it.
func TestDeletedSoftly(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id total")
	bill := f.define("billing", 1, "consumes shop/order@^1")
	f.put(service("billing", bill))
	f.release("2.0.0", "id")
	name := registry.Name{Scope: here, Registry: "shop", Schema: "order"}
	old, err := f.schemas.SetDeleted(t.Context(), name, 1, true)
	f.must(err)
	f.want("a writer that it could not read", f.deploy("checkout", f.define("checkout", 1, "produces shop/order@2.0.0")), "billing:1) cannot read (consumes order@^1, reads with 1.0.0)")
	f.want("one that comes anew", f.deploy("mail", f.define("mail", 1, "consumes shop/order@^1")), "no such version (the latest is 2.0.0)")
	if err := f.guard(old); !errors.Is(err, registry.ErrInUse) {
		t.Errorf("it may be deleted for good: %v", err)
	}
}

// While a rollout goes on the service may go back, also where nothing of what it
// goes back to runs any more.
func TestRollback(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id")
	f.release("2.0.0", "number")
	one, two := f.define("w", 1, "produces shop/order@1.0.0"), f.define("w", 2, "produces shop/order@2.0.0")
	reader := f.define("r", 1, "consumes shop/order@^2")
	s := service("writer", two)
	s.Stable = &cluster.Deployment{Status: "PRIMARY", Family: one.Family, Revision: one.Revision}
	f.put(s)
	f.want("a reader of the new alone", f.deploy("reader", reader), "1.0.0, which service writer (cluster prod, w:1, which its rollout goes back to if it fails) writes",
		"Wait until the rollout of writer is complete, or deploy it anew")
	s.Stable = &s.Deployments[0]
	f.put(s)
	f.want("a reader after the rollout", f.deploy("reader", reader))
}

// A refusal is bounded, however much speaks against a revision.
func TestReasonsBounded(t *testing.T) {
	f := newFixture(t)
	var labels []string
	for i := range 150 {
		labels = append(labels, fmt.Sprintf("shop/none%d", i))
	}
	got := f.deploy("a", f.define("a", 1, "consumes "+strings.Join(labels, ",")))
	f.want("schemas that are not there", got, "shop/none0@*", "And 145 more.")
	if n := strings.Count(got, "\n"); n != maxReasons {
		t.Errorf("%d lines", n)
	}
}

// A version that something that runs declares cannot be deleted.
func TestGuard(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id")
	f.release("1.1.0", "id note?")
	f.put(service("billing", f.define("billing", 1, "consumes shop/order@^1")))
	f.release("1.2.0", "id note? more?")
	f.release("1.3.0", "id note? more? yet?")
	f.put(service("checkout", f.define("checkout", 1, "produces shop/order@1.0.0")))
	f.run(f.define("batch", 1, "consumes shop/order"), 1, nil)
	name := registry.Name{Scope: here, Registry: "shop", Schema: "order"}
	var versions []registry.Version
	f.schemas.Versions(name, func(all iter.Seq[registry.Version]) {
		for v := range all {
			versions = append(versions, v)
		}
	})
	for i, want := range []string{
		"Version 1.0.0 of shop/order is in use: service checkout (cluster prod, checkout:1) declares order@1.0.0 and writes it.",
		"Version 1.1.0 of shop/order is in use: service billing (cluster prod, billing:1) declares order@^1 and reads with it.",
		"",
		"Version 1.3.0 of shop/order is in use: a task of batch:1 (cluster prod, of no service) declares order@* and reads with it.",
	} {
		err := f.guard(versions[i])
		if want == "" {
			if err != nil {
				t.Errorf("nobody uses %s: %v", versions[i].Semver, err)
			}
		} else if !errors.Is(err, registry.ErrInUse) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if err := f.guard(versions...); err == nil || !strings.Contains(err.Error(), "So do 2 others.") {
		t.Errorf("all of them: %v", err)
	}
	if err := f.guard(); err != nil {
		t.Errorf("none: %v", err)
	}
}

// TestGuardAtOnce: of deleting a version and deploying what declares it at the same
// moment one comes first, and the other is refused.
func TestGuardAtOnce(t *testing.T) {
	f := newFixture(t)
	f.release("1.0.0", "id")
	f.release("1.1.0", "id note?")
	name := registry.Name{Scope: here, Registry: "shop", Schema: "order"}
	one, two := f.define("one", 1, "produces shop/order@1.0.0"), f.define("two", 1, "produces shop/order@1.1.0")
	f.between = func() {
		if reasons := f.deploy("one", one); reasons != "" {
			t.Errorf("while a version is deleted: %s", reasons)
		}
		f.put(service("one", one))
	}
	if _, err := f.schemas.DeleteVersion(t.Context(), name, 1, true); !errors.Is(err, registry.ErrInUse) {
		t.Errorf("a version that was deployed meanwhile: %v", err)
	}

	var reasons []string
	tries := 0
	f.must(f.db.Update(t.Context(), func(tx *store.Tx) (err error) {
		if reasons, err = f.Deploy(t.Context(), tx, service("two"), two); err != nil {
			return err
		}
		if tries++; tries == 1 {
			_, err = f.schemas.DeleteVersion(t.Context(), name, 2, true)
		}
		return err
	}))
	if tries != 2 || len(reasons) != 1 || !strings.Contains(reasons[0], "no such version") {
		t.Errorf("after %d tries: %q", tries, reasons)
	}

	// A schema that is being deleted, or whose registry is, is not there.
	three := f.define("three", 1, "consumes shop/order")
	f.must(f.db.Update(t.Context(), func(tx *store.Tx) error {
		cluster.Services.Delete(tx, cluster.ServiceKey(here, "prod", "one"))
		return nil
	}))
	if reasons := f.deploy("three", three); reasons != "" {
		t.Errorf("the schema is there: %s", reasons)
	}
	_, err := f.schemas.DeleteRegistry(t.Context(), here, "shop")
	f.must(err)
	if reasons := f.deploy("three", three); !strings.Contains(reasons, "no such schema") {
		t.Errorf("its registry is being deleted: %q", reasons)
	}
}
