package deploy

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

const (
	retryError  = time.Second            // after the store failed
	wakeEvery   = 250 * time.Millisecond // services that wait for capacity are woken no oftener
	groupsEvery = 20 * time.Millisecond  // services with target groups are looked at no oftener for their sake
	zonesEvery  = time.Second            // the nodes' zones are read no oftener
	sweepEvery  = 10 * time.Minute
)

// Run leads the loop whenever no other process does, until ctx ends.
func (e *Engine) Run(ctx context.Context) error { return e.cfg.DB.Lead(ctx, "deploy", e.lead) }

// lead runs the loop while ctx lives.
func (e *Engine) lead(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.queue.clear()
	defer e.queue.clear()
	e.index, e.zones = newIndex(), new(zones)
	defer e.follow()()
	nodes, unwatch := e.cfg.DB.Watch(cluster.Nodes, cluster.Instances)
	defer unwatch()
	e.zones.read(e.cfg.DB)

	// Followed first, listed then: no service is missed.
	var keys []string
	e.cfg.DB.View(func(r store.Reader) error {
		for s := range cluster.Services.List(r, "") {
			e.index.put(s.Key(), &s)
			keys = append(keys, s.Key())
		}
		return nil
	})
	for _, k := range keys {
		e.queue.add(k)
	}

	var workers sync.WaitGroup
	for range e.cfg.Workers {
		workers.Go(func() { e.work(ctx) })
	}
	workers.Go(func() { e.listen(ctx, nodes) })
	workers.Wait()
}

// work looks at one service after the other.
func (e *Engine) work(ctx context.Context) {
	for {
		key, ok := e.queue.next(ctx)
		if !ok {
			return
		}
		wait, err := e.pass(ctx, key, time.Now().UTC())
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			e.cfg.Log.Warn("deploy pass failed, will retry", "service", key, "err", err)
			wait = retryError
		}
		e.queue.done(key, wait)
	}
}

// follow turns commits into looks at the services that they concern.
func (e *Engine) follow() (stop func()) {
	db := e.cfg.DB
	stops := []func(){
		cluster.Services.Follow(db, func(c store.Change[cluster.Service]) {
			e.index.put(c.Key, c.New)
			e.queue.add(c.Key)
		}),
		cluster.Tasks.Follow(db, func(c store.Change[cluster.Task]) {
			t := c.New
			if t == nil || t.Service == "" {
				return
			}
			e.queue.add(cluster.ServiceKey(t.Scope, t.Cluster, t.Service))
		}),
		cluster.Instances.Follow(db, func(c store.Change[cluster.Instance]) {
			leaves := func(i *cluster.Instance) bool {
				return i == nil || i.Status == types.ContainerInstanceStatusDraining
			}
			if c.Old != nil && leaves(c.Old) != leaves(c.New) {
				e.index.touch(*c.Old)
			}
			if !leaves(c.New) {
				e.index.wake()
			}
		}),
		cluster.Nodes.Follow(db, func(c store.Change[cluster.Node]) {
			if c.New != nil && c.New.Connected && (c.Old == nil || !c.Old.Connected) {
				e.index.wake()
			}
		}),
		cluster.Ledgers.Follow(db, func(c store.Change[cluster.Ledger]) {
			if c.Old == nil || c.New == nil || c.New.Tasks < c.Old.Tasks {
				e.index.wake()
			}
		}),
	}
	return func() {
		for _, s := range stops {
			s()
		}
	}
}

// listen serves the signals that concern more than one service, and sweeps.
func (e *Engine) listen(ctx context.Context, nodes <-chan struct{}) {
	var groups <-chan struct{}
	if e.cfg.Targets != nil {
		groups = e.cfg.Targets.Changed()
	}
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	// A signal that was just served is served again after a pause.
	var pausedGroups, pausedWake, pausedNodes <-chan time.Time
	listenGroups, listenWake, listenNodes := groups, (<-chan struct{})(e.index.woken), nodes
	for {
		select {
		case <-ctx.Done():
			return
		case <-listenGroups:
			for _, k := range e.index.balanced() {
				e.queue.add(k)
			}
			listenGroups, pausedGroups = nil, time.After(groupsEvery)
		case <-pausedGroups:
			listenGroups, pausedGroups = groups, nil
		case <-listenWake:
			for _, k := range e.index.waiting() {
				e.queue.add(k)
			}
			listenWake, pausedWake = nil, time.After(wakeEvery)
		case <-pausedWake:
			listenWake, pausedWake = e.index.woken, nil
		case <-listenNodes:
			if opened := e.zones.read(e.cfg.DB); len(opened) > 0 {
				for _, k := range e.zones.services(e.cfg.DB, opened) {
					e.queue.add(k)
				}
			}
			listenNodes, pausedNodes = nil, time.After(zonesEvery)
		case <-pausedNodes:
			listenNodes, pausedNodes = nodes, nil
		case <-e.index.touched:
			for _, k := range e.leaving() {
				e.queue.add(k)
			}
		case <-sweep.C:
			if err := Sweep(ctx, e.cfg.DB, time.Now().UTC()); err != nil && ctx.Err() == nil {
				e.cfg.Log.Warn("sweep failed, will retry", "err", err)
			}
		}
	}
}

// leaving are the services with tasks on the instances that began to leave, or
// came back.
func (e *Engine) leaving() (keys []string) {
	for _, i := range e.index.takeTouched() {
		e.cfg.DB.View(func(r store.Reader) error {
			for t := range cluster.Tasks.By(r, "node", i.Node) {
				if t.Instance == i.ID && t.Service != "" {
					keys = append(keys, cluster.ServiceKey(t.Scope, t.Cluster, t.Service))
				}
			}
			return nil
		})
	}
	return keys
}

func (e *Engine) setWaiting(key string, waits bool) {
	if e.index != nil {
		e.index.setWaiting(key, waits)
	}
}
