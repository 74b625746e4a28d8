package lb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// batchRows is how many targets are registered in one transaction.
const batchRows = 90

// Register adds targets to the group, and takes back those that drain; what is
// registered already stays as it is. When it returns the engine has begun to
// check them. The error is ErrNoTargetGroup or the store's. The ARN's account
// and region are taken as they are: the caller has seen that the group is its
// own.
func (e *Engine) Register(ctx context.Context, groupARN string, targets ...Target) error {
	return e.registered(ctx, groupARN, targets, func(tx *store.Tx, g TargetGroup, t Target) error {
		row := g.registration(t)
		old, ok := Targets.Get(tx, row.Key())
		if ok && old.Draining == nil && old.Zone == row.Zone {
			return nil
		}
		row.At = time.Now()
		return Targets.Put(tx, row)
	})
}

// Deregister takes targets out of the group: no new requests go to them once it
// returns, those under way may end. A target is gone when the last has ended,
// at the latest after the group's deregistration delay. Targets that are not
// registered are no error.
func (e *Engine) Deregister(ctx context.Context, groupARN string, targets ...Target) error {
	now := time.Now()
	return e.registered(ctx, groupARN, targets, func(tx *store.Tx, g TargetGroup, t Target) error {
		row, ok := Targets.Get(tx, g.registration(t).Key())
		if !ok || row.Draining != nil {
			return nil
		}
		row.Draining = &now
		return Targets.Put(tx, row)
	})
}

// registered runs f for each target, in batches, and then makes the engine take
// in what it wrote.
func (e *Engine) registered(ctx context.Context, arn string, targets []Target, f func(*store.Tx, TargetGroup, Target) error) error {
	for part := range slices.Chunk(targets, batchRows) {
		err := e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
			g, err := FindTargetGroup(tx, scopeOf(arn), arn)
			if err != nil {
				return fmt.Errorf("%w: %s", err, arn)
			}
			for _, t := range part {
				if err := f(tx, g, t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	e.Sync(arn)
	return nil
}

// Health returns what a target is: initial, healthy, unhealthy, draining or
// unused, and the reason's description; "" for a target that is not
// registered.
func (e *Engine) Health(groupARN string, t Target) (state, reason string) {
	h := e.Describe(groupARN, t)
	if h == unregistered {
		return "", ""
	}
	return string(h.State), h.Description
}

// Describe returns a target's health in the words of DescribeTargetHealth.
func (e *Engine) Describe(groupARN string, t Target) Health {
	kind, name, _ := nameOf(groupARN)
	if kind != "targetgroup" {
		return unregistered
	}
	e.mu.Lock()
	g := e.groups[scopeOf(groupARN).Key(name)]
	e.mu.Unlock()
	if g == nil {
		return unregistered
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.row == nil || g.row.ARN() != groupARN {
		return unregistered
	}
	if at, ok := g.targets[g.row.registration(t).Key()]; ok {
		return at.rec.Health
	}
	return unregistered
}

// TargetGroup returns the type, ip or instance, of a target group of s, and the
// ARNs of the load balancers that forward to it; "" if s has no such group.
func (e *Engine) TargetGroup(s cluster.Scope, arn string) (targetType string, loadBalancers []string) {
	e.cfg.DB.View(func(r store.Reader) error {
		if g, err := FindTargetGroup(r, s, arn); err == nil {
			targetType, loadBalancers = g.Type, g.LoadBalancers()
		}
		return nil
	})
	return targetType, loadBalancers
}
