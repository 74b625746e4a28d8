package lb

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// LoadBalancer is an application load balancer. The handlers are its only
// writer.
type LoadBalancer struct {
	cluster.Scope
	Name           string
	ID             string // 16 hexadecimal digits, in the ARN
	DNSID          string // digits, in the DNS name
	Internal       bool
	VPC            string
	Network        string // the node's network that carries the VPC
	Zones          []Zone
	SecurityGroups []string
	Address        string            // its loopback address
	Attributes     map[string]string // those that were set; see BalancerAttributes
	Ports          []int32           // of its listeners, sorted; kept by PutListener and RemoveListener
	Tags           []Tag
	CreatedAt      time.Time
}

// Zone is a subnet that the load balancer is in, and its Availability Zone.
type Zone struct{ Subnet, Zone string }

// Key is the row's key.
func (b LoadBalancer) Key() string { return b.Scope.Key(b.Name) }

// ARN is the load balancer's name in the API.
func (b LoadBalancer) ARN() string { return b.Scope.ARN(service, "loadbalancer/"+b.path()) }

// path is the part that its ARN shares with those of its listeners.
func (b LoadBalancer) path() string { return "app/" + b.Name + "/" + b.ID }

// Attribute is the value of an attribute: set, or AWS's default.
func (b LoadBalancer) Attribute(key string) string {
	return BalancerAttributes.value(b.Attributes, key)
}

// FindLoadBalancer returns the load balancer of an ARN in scope s.
func FindLoadBalancer(r store.Reader, s cluster.Scope, arn string) (LoadBalancer, error) {
	p := splitARN(arn)
	if p.account != s.Account || p.region != s.Region {
		return LoadBalancer{}, ErrNoLoadBalancer
	}
	if f := strings.Split(p.resource, "/"); len(f) == 4 && f[0] == "loadbalancer" && f[1] == "app" {
		if b, ok := LoadBalancers.Get(r, s.Key(f[2])); ok && b.ID == f[3] {
			return b, nil
		}
	}
	return LoadBalancer{}, ErrNoLoadBalancer
}

// CreateLoadBalancer gives b its ids, a loopback address and the attribute that
// depends on its scheme, and writes it. The
// caller has seen that the name is free.
func CreateLoadBalancer(tx *store.Tx, b *LoadBalancer) error {
	b.ID, b.DNSID = newID(), newDNSID()
	a, err := allocate(tx, b.Key())
	if err != nil {
		return err
	}
	b.Address = a
	if b.Internal {
		b.Attributes = map[string]string{attrDenyIGW: "true"}
	}
	return LoadBalancers.Put(tx, *b)
}

// RemoveLoadBalancer deletes b with its listeners and gives back its address.
// Of listeners it takes some at a time, since their target groups fill the
// transaction: a load balancer that had many is still there after it, and it
// wants to be called again.
func RemoveLoadBalancer(tx *store.Tx, b LoadBalancer) error {
	const some = 10 // of up to five target groups each
	listeners := ListenersOf(tx, b)
	for _, l := range listeners[:min(some, len(listeners))] {
		if err := RemoveListener(tx, l); err != nil {
			return err
		}
	}
	if len(listeners) > some {
		return nil
	}
	Addresses.Delete(tx, b.Address)
	LoadBalancers.Delete(tx, b.Key())
	return nil
}

// Listener is a port of a load balancer and what happens to its requests. The
// handlers are its only writer.
type Listener struct {
	cluster.Scope
	Balancer   string // name of the load balancer
	BalancerID string
	ID         string // 16 hexadecimal digits
	Port       int32
	Action     Action
	Attributes map[string]string // those that were set; see ListenerAttributes
	Tags       []Tag
}

// Key is the row's key.
func (l Listener) Key() string { return listenerKey(l.Scope, l.Balancer, l.Port) }

func listenerKey(s cluster.Scope, balancer string, port int32) string {
	return s.Key(balancer, fmt.Sprintf("%05d", port))
}

// ARN is the listener's name in the API.
func (l Listener) ARN() string {
	return l.Scope.ARN(service, "listener/app/"+l.Balancer+"/"+l.BalancerID+"/"+l.ID)
}

// BalancerARN is the ARN of the load balancer that the listener belongs to.
func (l Listener) BalancerARN() string {
	return l.Scope.ARN(service, "loadbalancer/app/"+l.Balancer+"/"+l.BalancerID)
}

// RuleARN is the ARN of the listener's default rule, the only one it has.
func (l Listener) RuleARN() string {
	return l.Scope.ARN(service, "listener-rule/app/"+l.Balancer+"/"+l.BalancerID+"/"+l.ID+"/"+l.ID)
}

// Attribute is the value of an attribute: set, or AWS's default.
func (l Listener) Attribute(key string) string { return ListenerAttributes.value(l.Attributes, key) }

// ListenersOf yields the listeners of b by port.
func ListenersOf(r store.Reader, b LoadBalancer) []Listener {
	var all []Listener
	for _, p := range b.Ports {
		if l, ok := Listeners.Get(r, listenerKey(b.Scope, b.Name, p)); ok {
			all = append(all, l)
		}
	}
	return all
}

// FindListener returns the listener of an ARN in scope s, or the one whose
// default rule has that ARN.
func FindListener(r store.Reader, s cluster.Scope, arn string) (Listener, error) {
	p := splitARN(arn)
	f := strings.Split(p.resource, "/")
	ok := p.account == s.Account && p.region == s.Region && len(f) >= 5 && f[1] == "app" &&
		(f[0] == "listener" && len(f) == 5 || f[0] == "listener-rule" && len(f) == 6 && f[5] == f[4])
	if !ok {
		return Listener{}, ErrNoListener
	}
	b, ok := LoadBalancers.Get(r, s.Key(f[2]))
	if !ok || b.ID != f[3] {
		return Listener{}, ErrNoListener
	}
	for _, l := range ListenersOf(r, b) {
		if l.ID == f[4] {
			return l, nil
		}
	}
	return Listener{}, ErrNoListener
}

// PutListener writes l, new if it has no ID yet, and keeps what the load
// balancer and the target groups know of it. A target group that is not there
// is ErrNoTargetGroup.
func PutListener(tx *store.Tx, l *Listener) error {
	b, ok := LoadBalancers.Get(tx, l.Scope.Key(l.Balancer))
	if !ok || b.ID != l.BalancerID {
		return ErrNoLoadBalancer
	}
	var old Listener
	if l.ID == "" {
		l.ID = newID()
	} else {
		for _, o := range ListenersOf(tx, b) {
			if o.ID == l.ID {
				old = o
			}
		}
		if old.ID == "" {
			return ErrNoListener
		}
	}
	if _, taken := Listeners.Get(tx, l.Key()); taken && old.Port != l.Port {
		return ErrPortInUse
	}
	if old.ID != "" && old.Port != l.Port {
		Listeners.Delete(tx, old.Key())
	}
	b.Ports = slices.DeleteFunc(slices.Clone(b.Ports), func(p int32) bool { return p == old.Port })
	b.Ports = append(b.Ports, l.Port)
	slices.Sort(b.Ports)
	if err := LoadBalancers.Put(tx, b); err != nil {
		return err
	}
	if err := use(tx, l.ARN(), old.Action.groups(), l.Action.groups()); err != nil {
		return err
	}
	return Listeners.Put(tx, *l)
}

// RemoveListener deletes l and what others know of it.
func RemoveListener(tx *store.Tx, l Listener) error {
	b, ok := LoadBalancers.Get(tx, l.Scope.Key(l.Balancer))
	if !ok {
		return ErrNoLoadBalancer
	}
	if now, ok := Listeners.Get(tx, l.Key()); !ok || now.ID != l.ID {
		return ErrNoListener
	}
	b.Ports = slices.DeleteFunc(slices.Clone(b.Ports), func(p int32) bool { return p == l.Port })
	if err := LoadBalancers.Put(tx, b); err != nil {
		return err
	}
	Listeners.Delete(tx, l.Key())
	return use(tx, l.ARN(), l.Action.groups(), nil)
}

// use moves listener's name from the target groups it used to those it uses.
func use(tx *store.Tx, listener string, before, now []string) error {
	for _, arn := range before {
		if slices.Contains(now, arn) {
			continue
		}
		if g, err := FindTargetGroup(tx, scopeOf(arn), arn); err == nil {
			g.Users = slices.DeleteFunc(slices.Clone(g.Users), func(u string) bool { return u == listener })
			if err := TargetGroups.Put(tx, g); err != nil {
				return err
			}
		}
	}
	for _, arn := range now {
		g, err := FindTargetGroup(tx, scopeOf(listener), arn)
		if err != nil {
			return err
		}
		if !slices.Contains(g.Users, listener) {
			g.Users = append(slices.Clone(g.Users), listener)
			if err := TargetGroups.Put(tx, g); err != nil {
				return err
			}
		}
	}
	return nil
}

// groups are the ARNs of the target groups that the action forwards to.
func (a Action) groups() []string {
	var arns []string
	for _, g := range a.Forward {
		if !slices.Contains(arns, g.Group) {
			arns = append(arns, g.Group)
		}
	}
	return arns
}
