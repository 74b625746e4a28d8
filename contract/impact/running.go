package impact

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// revisions are those that run in a scope and declare contracts, each once for each service and
// cluster. Of a service they are those of all its deployments, and the one that it
// goes back to if its rollout fails: nobody may ask then whether that still gets
// on with the rest. Of tasks that belong to no service they are those of the
// tasks that shall run.
func revisions(r store.Reader, scope cluster.Scope) iter.Seq2[User, cluster.TaskDefinition] {
	return func(yield func(User, cluster.TaskDefinition) bool) {
		for s := range cluster.Services.List(r, scope.Prefix()) {
			if s.Status == "ACTIVE" && !ofService(r, s, yield) {
				return
			}
		}
		ofTasks(r, scope, yield)
	}
}

func ofService(r store.Reader, s cluster.Service, yield func(User, cluster.TaskDefinition) bool) bool {
	all := slices.Clone(s.Deployments)
	if s.Stable != nil {
		stable := *s.Stable
		stable.Status = "STABLE"
		all = append(all, stable)
	}
	seen := map[string]bool{}
	for _, dep := range all {
		key := cluster.TaskDefinitionKey(s.Scope, dep.Family, dep.Revision)
		d, ok := cluster.TaskDefinitions.Get(r, key)
		if !ok || seen[key] || !d.Contracts() {
			continue
		}
		seen[key] = true
		u := User{Service: s.Name, Cluster: s.Cluster, Family: d.Family, Revision: d.Revision, Desired: s.DesiredCount, Deployment: dep.Status}
		if !yield(u, d) {
			return false
		}
	}
	return true
}

// ofTasks is for what RunTask, StartTask, rules and schedules started.
func ofTasks(r store.Reader, scope cluster.Scope, yield func(User, cluster.TaskDefinition) bool) {
	type kind struct {
		cluster, family string
		revision        int32
	}
	counts := map[kind]int{}
	for t := range cluster.Tasks.By(r, "contracts", scope.Prefix()) {
		counts[kind{t.Cluster, t.Family, t.Revision}]++
	}
	order := slices.SortedFunc(maps.Keys(counts), func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.family, b.family), cmp.Compare(a.revision, b.revision))
	})
	for _, k := range order {
		d, ok := cluster.TaskDefinitions.Get(r, cluster.TaskDefinitionKey(scope, k.family, k.revision))
		if !ok {
			continue
		}
		if !yield(User{Cluster: k.cluster, Family: k.family, Revision: k.revision, Tasks: counts[k]}, d) {
			return
		}
	}
}
