package ecs

import (
	"regexp"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

var nameOK = regexp.MustCompile(`^[a-zA-Z0-9\-_]{1,255}$`)

// resourceARN is a parsed ARN of an ECS resource: kind/rest.
type resourceARN struct {
	cluster.Scope
	Kind string   // cluster, task, container-instance, service, task-definition, …
	Rest []string // what follows the kind, split at slashes
}

// parseARN reads an ECS ARN. It reports false for what is none, and does not
// check the scope.
func parseARN(s string) (resourceARN, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "ecs" || p[3] == "" || p[4] == "" {
		return resourceARN{}, false
	}
	kind, rest, ok := strings.Cut(p[5], "/")
	if !ok || rest == "" {
		return resourceARN{}, false
	}
	return resourceARN{Scope: cluster.Scope{Account: p[4], Region: p[3]}, Kind: kind, Rest: strings.Split(rest, "/")}, true
}

// inScope is parseARN for an ARN that must be of the caller's account and
// region; the sentences are AWS's.
func inScope(s cluster.Scope, ref string) (resourceARN, error) {
	a, ok := parseARN(ref)
	switch {
	case !ok:
		return a, invalidParam("Invalid identifier: %s is no ARN of an ECS resource.", ref)
	case a.Region != s.Region:
		return a, invalidParam("Invalid Region in ARN")
	case a.Account != s.Account:
		return a, invalidParam("Invalid account in ARN")
	}
	return a, nil
}

// clusterName is the name in ref: nil is "default", else a name or an ARN.
func clusterName(s cluster.Scope, ref *string) (string, error) {
	if ref == nil || *ref == "" {
		return "default", nil
	}
	if !strings.HasPrefix(*ref, "arn:") {
		if !nameOK.MatchString(*ref) {
			return "", invalidParam(`Cluster must match ^[a-zA-Z0-9\-_]{1,255}$, but was %s`, *ref)
		}
		return *ref, nil
	}
	a, err := inScope(s, *ref)
	if err != nil {
		return "", err
	}
	if a.Kind != "cluster" || len(a.Rest) != 1 {
		return "", invalidParam("Invalid identifier: %s is no ARN of a cluster.", *ref)
	}
	return a.Rest[0], nil
}

// findCluster finds the cluster that ref names: nil means "default", else a
// name or an ARN. A cluster that was deleted is not found.
func findCluster(r store.Reader, s cluster.Scope, ref *string) (cluster.Cluster, error) {
	name, err := clusterName(s, ref)
	if err != nil {
		return cluster.Cluster{}, err
	}
	c, ok := cluster.Clusters.Get(r, s.Key(name))
	if !ok || c.Status != "ACTIVE" {
		return cluster.Cluster{}, clusterNotFound()
	}
	return c, nil
}

// memberID is the id in ref, an id or an ARN of a resource of kind in the
// cluster: old ARNs (kind/ID) and new ones (kind/CLUSTER/ID) are taken.
func memberID(c cluster.Cluster, kind, ref string) (string, error) {
	if !strings.HasPrefix(ref, "arn:") {
		return ref, nil
	}
	a, err := inScope(c.Scope, ref)
	if err != nil {
		return "", err
	}
	if a.Kind != kind {
		return "", invalidParam("Invalid identifier: %s is no ARN of a %s.", ref, strings.ReplaceAll(kind, "-", " "))
	}
	switch len(a.Rest) {
	case 1:
		return a.Rest[0], nil
	case 2:
		if a.Rest[0] != c.Name {
			return "", invalidParam("Invalid identifier: Identifier is for cluster %s. Your cluster is %s", a.Rest[0], c.Name)
		}
		return a.Rest[1], nil
	}
	return "", invalidParam("Invalid identifier: Unexpected number of separators")
}
