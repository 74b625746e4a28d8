package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/services/ecs"
	"github.com/dhowhq/dhow/store"
)

// reset answers POST /_dhow/reset: it empties the caller's account, in all
// regions, and returns when its tasks are gone.
func (p *platform) reset(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Minute)
	defer cancel()
	account := p.callScope(r).Account
	if err := p.empty(ctx, account); err != nil {
		p.log.Error("reset failed", "account", account, "err", err)
		http.Error(w, "reset stopped half way: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *platform) empty(ctx context.Context, account string) error {
	// A task that starts meanwhile holds capacity and an address, which only its
	// end gives back: its row is not dropped before.
	for left := 1; left > 0; {
		if err := p.stopAll(ctx, account); err != nil {
			return fmt.Errorf("tasks: %w", err)
		}
		var err error
		if left, err = p.dropEnded(ctx, account+"/"); err != nil {
			return fmt.Errorf("tasks: %w", err)
		}
	}
	if err := p.logstore.Reset(ctx, account); err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	if err := p.images.Reset(ctx, account); err != nil {
		return fmt.Errorf("images: %w", err)
	}
	if err := p.streams.Reset(ctx, account); err != nil {
		return fmt.Errorf("streams: %w", err)
	}
	if err := p.topics.Reset(ctx, account); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	if err := p.queues.Reset(ctx, account); err != nil {
		return fmt.Errorf("queues: %w", err)
	}
	if err := p.schemas.Reset(ctx, account); err != nil {
		return fmt.Errorf("schemas: %w", err)
	}
	if err := p.broker.Reset(ctx, account); err != nil {
		return fmt.Errorf("use of schemas: %w", err)
	}
	if err := p.impact.Reset(ctx, account); err != nil {
		return fmt.Errorf("contracts of deployments: %w", err)
	}
	prefix := account + "/"
	if err := p.removeBalancers(ctx, prefix); err != nil {
		return fmt.Errorf("load balancers: %w", err)
	}
	for _, clear := range []func(context.Context, *store.DB, string) error{
		cluster.ServiceLogs.Clear, cluster.Instances.Clear, cluster.Clusters.Clear, cluster.TaskDefinitions.Clear,
		cluster.Families.Clear, cluster.Settings.Clear, cluster.Tokens.Clear,
		bus.Rules.Clear, bus.Runs.Clear, bus.Replays.Clear, bus.Archives.Clear,
		bus.Destinations.Clear, bus.Connections.Clear, bus.Functions.Clear, bus.Buses.Clear,
	} {
		if err := clear(ctx, p.db, prefix); err != nil {
			return err
		}
	}
	p.balancer.Sync()
	return nil
}

// removeBalancers removes the account's load balancers, whose listeners let go
// of their target groups, and then the groups.
func (p *platform) removeBalancers(ctx context.Context, prefix string) error {
	for more := true; more; {
		if err := p.db.Update(ctx, func(tx *store.Tx) error {
			more = false
			for b := range lb.LoadBalancers.List(tx, prefix) {
				more = true
				return lb.RemoveLoadBalancer(tx, b)
			}
			for g := range lb.TargetGroups.List(tx, prefix) {
				more = true
				return lb.RemoveTargetGroup(tx, g)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// dropEnded deletes the services, of which none are active, and the rows of
// tasks that have stopped. It returns how many tasks are left.
func (p *platform) dropEnded(ctx context.Context, prefix string) (left int, err error) {
	if err := cluster.Services.Clear(ctx, p.db, prefix); err != nil {
		return 0, err
	}
	for n := 1; n > 0; {
		err := p.db.Update(ctx, func(tx *store.Tx) error {
			n, left = 0, 0
			for t := range cluster.Tasks.List(tx, prefix) {
				if t.Last != cluster.Stopped {
					left++
				} else if n < 90 {
					cluster.Tasks.Delete(tx, t.Key())
					n++
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return left, nil
}

// stopAll deletes the account's services, stops its tasks and waits until they
// have ended.
func (p *platform) stopAll(ctx context.Context, account string) error {
	api := ecs.New(ecs.Config{DB: p.db, Log: p.log, TargetGroup: p.balancer.TargetGroup, DefaultCIDR: p.cidr})
	commits, stop := p.db.Watch(cluster.Tasks, cluster.Services)
	defer stop()
	for {
		var services []cluster.Service
		var tasks []cluster.Task
		p.db.View(func(r store.Reader) error {
			for s := range cluster.Services.List(r, account+"/") {
				if s.Status == "ACTIVE" {
					services = append(services, s)
				}
			}
			for t := range cluster.Tasks.List(r, account+"/") {
				if t.Last != cluster.Stopped {
					tasks = append(tasks, t)
				}
			}
			return nil
		})
		if len(services) == 0 && len(tasks) == 0 {
			return nil
		}
		as := func(s cluster.Scope) context.Context {
			return awsapi.WithCall(ctx, &awsapi.Call{Account: s.Account, Region: s.Region})
		}
		for _, s := range services {
			force := true
			if _, err := api.DeleteService(as(s.Scope), &awsecs.DeleteServiceInput{Cluster: &s.Cluster, Service: &s.Name, Force: &force}); err != nil {
				return err
			}
		}
		reason := "account reset"
		for _, t := range tasks {
			if t.Desired == cluster.Stopped {
				continue
			}
			if _, err := api.StopTask(as(t.Scope), &awsecs.StopTaskInput{Cluster: &t.Cluster, Task: &t.ID, Reason: &reason}); err != nil {
				return err
			}
		}
		select {
		case <-commits:
		case <-ctx.Done():
			return fmt.Errorf("%d tasks have not ended: %w", len(tasks), ctx.Err())
		}
	}
}
