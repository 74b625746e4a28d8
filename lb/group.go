package lb

import (
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// TargetGroup is a set of targets with one health check. The handlers are its
// only writer.
type TargetGroup struct {
	cluster.Scope
	Name       string
	ID         string // 16 hexadecimal digits
	Type       string // ip or instance
	Protocol   string // to the targets: HTTP or HTTPS
	Port       int32  // of targets that are registered without one
	VPC        string
	Network    string // the node's network that carries the VPC
	CIDR       string // of the VPC
	Check      Check
	Attributes map[string]string // those that were set; see GroupAttributes
	Users      []string          // ARNs of the listeners that forward here; kept by PutListener and RemoveListener
	Tags       []Tag
	CreatedAt  time.Time
}

// Check is how a target group's targets are checked.
type Check struct {
	Protocol  string // HTTP, HTTPS or TCP
	Port      string // a number, or traffic-port
	Path      string
	Interval  int32 // seconds
	Timeout   int32 // seconds
	Healthy   int32 // successes in a row that make an unhealthy target healthy
	Unhealthy int32 // failures in a row that make a target unhealthy
	Matcher   string
}

// Key is the row's key.
func (g TargetGroup) Key() string { return g.Scope.Key(g.Name) }

// ARN is the target group's name in the API.
func (g TargetGroup) ARN() string { return g.Scope.ARN(service, "targetgroup/"+g.Name+"/"+g.ID) }

// Attribute is the value of an attribute: set, or AWS's default.
func (g TargetGroup) Attribute(key string) string { return GroupAttributes.value(g.Attributes, key) }

// LoadBalancers are the ARNs of the load balancers that forward to the group.
func (g TargetGroup) LoadBalancers() []string {
	var arns []string
	for _, u := range g.Users {
		p := splitARN(u)
		f := strings.Split(p.resource, "/")
		if len(f) != 5 {
			continue
		}
		arn := scopeOf(u).ARN(service, "loadbalancer/app/"+f[2]+"/"+f[3])
		if !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	return arns
}

// FindTargetGroup returns the target group of an ARN in scope s.
func FindTargetGroup(r store.Reader, s cluster.Scope, arn string) (TargetGroup, error) {
	p := splitARN(arn)
	f := strings.Split(p.resource, "/")
	if p.account == s.Account && p.region == s.Region && len(f) == 3 && f[0] == "targetgroup" {
		if g, ok := TargetGroups.Get(r, s.Key(f[1])); ok && g.ID == f[2] {
			return g, nil
		}
	}
	return TargetGroup{}, ErrNoTargetGroup
}

// CreateTargetGroup gives g its id and writes it. The caller has seen that the
// name is free.
func CreateTargetGroup(tx *store.Tx, g *TargetGroup) error {
	g.ID = newID()
	return TargetGroups.Put(tx, *g)
}

// RemoveTargetGroup deletes g, which no listener may use. Its targets' rows are
// the engine's to sweep: there may be more of them than a transaction holds.
func RemoveTargetGroup(tx *store.Tx, g TargetGroup) error {
	now, ok := TargetGroups.Get(tx, g.Key())
	if !ok || now.ID != g.ID {
		return ErrNoTargetGroup
	}
	if len(now.Users) > 0 {
		return ErrGroupInUse
	}
	TargetGroups.Delete(tx, g.Key())
	return nil
}

// Target names a target of a group.
type Target struct {
	ID   string // an address, or the id of an instance
	Port int32  // 0 means the target group's
	Zone string // Availability Zone, "all", or "" for unknown
}

// Registration is a target as it is registered. Whoever registers and
// deregisters writes it; the engine deletes it when it has drained.
type Registration struct {
	cluster.Scope
	Group, GroupID string
	ID             string
	Port           int32
	Zone           string
	At             time.Time
	Draining       *time.Time // since when it is being deregistered
}

// Key is the row's key.
func (t Registration) Key() string {
	return t.Scope.Key(t.Group, t.GroupID, t.ID, strconv.Itoa(int(t.Port)))
}

// Mark remembers over a restart that a target was healthy: it gets traffic at
// once. The engine is its only writer.
type Mark struct {
	Target string // key of the Registration
}

// TargetsOf yields the targets registered in g, in the order of their keys.
func TargetsOf(r store.Reader, g TargetGroup) iter.Seq[Registration] {
	return Targets.List(r, g.targetPrefix())
}

// targetPrefix is the prefix of the keys of g's targets.
func (g TargetGroup) targetPrefix() string { return g.Scope.Prefix(g.Name, g.ID) }

// registration is the row that t has in g.
func (g TargetGroup) registration(t Target) Registration {
	if t.Port == 0 {
		t.Port = g.Port
	}
	return Registration{Scope: g.Scope, Group: g.Name, GroupID: g.ID, ID: t.ID, Port: t.Port, Zone: t.Zone}
}

// Inside says whether a is in the VPC of the group.
func (g TargetGroup) Inside(a netip.Addr) bool {
	p, err := netip.ParsePrefix(g.CIDR)
	return err == nil && p.Contains(a)
}
