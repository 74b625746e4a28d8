// Package lb is the load balancer engine: its nouns and tables (load
// balancers, listeners, target groups, registered targets), the health checks
// and the HTTP data path. The elbv2 service records wishes in the tables; the
// Engine acts on commits.
//
// Each load balancer has a loopback address of its own, so that two of them
// may listen on port 80. A listener is served at that address, at 127.0.0.1
// and at the addresses that tasks reach (Config.ExtraAddrs); the latter two
// are shared by all load balancers that have the port and told apart by the
// request's Host.
package lb

import (
	"errors"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// What the functions on tables return when a row is not there, or is in the
// way.
var (
	ErrNoLoadBalancer = errors.New("load balancer not found")
	ErrNoListener     = errors.New("listener not found")
	ErrNoTargetGroup  = errors.New("target group not found")
	ErrPortInUse      = errors.New("a listener has this port already")
	ErrGroupInUse     = errors.New("target group is used by a listener")
	ErrNoAddress      = errors.New("no loopback address is left")
)

// HostedZone is the hosted zone id that load balancers of us-east-1 have on
// AWS; here all have it.
const HostedZone = "Z35SXDOTRQ7X7K"

// service is the service name in the ARNs of load balancing.
const service = "elasticloadbalancing"

// Tag is a label of a resource.
type Tag struct{ Key, Value string }

// The tables. LoadBalancers and TargetGroups are keyed ACCOUNT/REGION/NAME,
// Listeners ACCOUNT/REGION/LOADBALANCER/PORT, Targets
// ACCOUNT/REGION/GROUP/GROUPID/ID/PORT, Addresses by the address, Marks by the
// key of the target.
var (
	LoadBalancers = store.NewTable("lb.balancers", LoadBalancer.Key,
		store.Index[LoadBalancer]{Name: "host", Values: func(b LoadBalancer) []string { return []string{b.label()} }})
	Listeners    = store.NewTable("lb.listeners", Listener.Key)
	TargetGroups = store.NewTable("lb.groups", TargetGroup.Key)
	Targets      = store.NewTable("lb.targets", Registration.Key)
	Addresses    = store.NewTable("lb.addresses", func(a Address) string { return a.Address })
	Marks        = store.NewTable("lb.marks", func(m Mark) string { return m.Target })
)

// WeightedGroup is a target group's share of a forward action.
type WeightedGroup struct {
	Group  string // ARN
	Weight int32  // 0–999
}

// Action is what a listener does with a request: exactly one of Forward, Fixed
// and Redirect is set.
type Action struct {
	Forward  []WeightedGroup
	Fixed    *FixedResponse
	Redirect *Redirect
	Order    int32
	// StickySeconds is the duration of the stickiness that Forward could have
	// and has not: it is switched off.
	StickySeconds int32 `json:",omitempty"`
}

// FixedResponse is an answer that the load balancer gives by itself.
type FixedResponse struct {
	Status      int
	ContentType string // "" for none
	Body        string
}

// Redirect answers with another URL. Its parts may hold #{protocol}, #{host},
// #{port}, #{path} and #{query}, the parts of the request's URL.
type Redirect struct {
	Status   int // 301 or 302
	Protocol string
	Host     string
	Port     string
	Path     string // with a leading slash; #{path} has none
	Query    string // without the question mark
}

// scopeOf is the account and region of an ARN.
func scopeOf(arn string) cluster.Scope {
	p := splitARN(arn)
	return cluster.Scope{Account: p.account, Region: p.region}
}
