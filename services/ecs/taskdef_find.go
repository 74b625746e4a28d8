package ecs

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// taskDefinitionRef is a parsed name of a task definition: FAMILY,
// FAMILY:REVISION, or the ARN of either. Revision 0 means the newest ACTIVE one.
type taskDefinitionRef struct {
	Scope    cluster.Scope
	Family   string
	Revision int32
}

// parseTaskDefinition reads ref; a bare name belongs to scope s.
func parseTaskDefinition(s cluster.Scope, ref string) (taskDefinitionRef, bool) {
	r := taskDefinitionRef{Scope: s}
	if strings.HasPrefix(ref, "arn:") {
		p := strings.SplitN(ref, ":", 6)
		if len(p) != 6 || p[2] != "ecs" || !strings.HasPrefix(p[5], "task-definition/") {
			return r, false
		}
		r.Scope = cluster.Scope{Account: p[4], Region: p[3]}
		ref = strings.TrimPrefix(p[5], "task-definition/")
	}
	family, revision, explicit := strings.Cut(ref, ":")
	if family == "" || strings.Contains(family, "/") {
		return r, false
	}
	r.Family = family
	if explicit {
		n, err := strconv.ParseInt(revision, 10, 32)
		if err != nil || n < 1 {
			return r, false
		}
		r.Revision = int32(n)
	}
	return r, true
}

// lookupTaskDefinition finds the revision that ref names, whatever its status;
// without a revision, the newest ACTIVE one. Other accounts' and regions'
// definitions are not found.
func lookupTaskDefinition(r store.Reader, s cluster.Scope, ref string) (cluster.TaskDefinition, bool) {
	p, ok := parseTaskDefinition(s, ref)
	if !ok || p.Scope != s {
		return cluster.TaskDefinition{}, false
	}
	if p.Revision != 0 {
		return cluster.TaskDefinitions.Get(r, cluster.TaskDefinitionKey(s, p.Family, p.Revision))
	}
	// The newest is nearly always ACTIVE: walking down beats listing a family
	// that has been deployed a thousand times.
	f, _ := cluster.Families.Get(r, s.Key(p.Family))
	if f.Active == 0 {
		return cluster.TaskDefinition{}, false
	}
	for rev := f.Last; rev > 0; rev-- {
		d, ok := cluster.TaskDefinitions.Get(r, cluster.TaskDefinitionKey(s, p.Family, rev))
		if ok && d.Def.Status == types.TaskDefinitionStatusActive {
			return d, true
		}
	}
	return cluster.TaskDefinition{}, false
}

// findTaskDefinition finds the ACTIVE task definition that ref names, for new
// tasks and services. Errors are AWS's.
func findTaskDefinition(r store.Reader, s cluster.Scope, ref string) (cluster.TaskDefinition, error) {
	d, ok := lookupTaskDefinition(r, s, ref)
	if !ok {
		return d, &types.ClientException{Message: ptr("TaskDefinition not found.")}
	}
	if d.Def.Status != types.TaskDefinitionStatusActive {
		return d, &types.ClientException{Message: ptr("TaskDefinition is inactive")}
	}
	return d, nil
}
