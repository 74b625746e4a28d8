// Package ecs serves the Amazon ECS API. Handlers record wishes in the tables
// of package cluster; the service loop and the nodes act on them.
package ecs

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// API is the ECS service: its exported methods are the operations.
type API struct {
	db  *store.DB
	log *slog.Logger
	cfg Config
}

// Config is what the platform tells the service.
type Config struct {
	DB  *store.DB
	Log *slog.Logger
	// TargetGroup returns the type, ip or instance, of a target group of s, and
	// the ARNs of the load balancers that use it; "" if s has no such group.
	TargetGroup func(s cluster.Scope, arn string) (targetType string, loadBalancers []string)
	// DefaultCIDR is the range of the default VPCs. Where it is set, RunTask
	// makes the caller's if it is missing; the zero Prefix leaves that to others.
	DefaultCIDR netip.Prefix
	// Contracts checks what task definitions declare of messages; nil: nobody does.
	Contracts Contracts
}

// New returns the API over the store.
func New(c Config) *API {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &API{db: c.DB, log: c.Log, cfg: c}
}

// scope is the account and region of the call.
func scope(ctx context.Context) cluster.Scope {
	c := awsapi.CallFrom(ctx)
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

// ensureVPC makes the default VPC of s, so that its subnets can be named.
func (a *API) ensureVPC(ctx context.Context, s cluster.Scope) error {
	if !a.cfg.DefaultCIDR.IsValid() {
		return nil
	}
	return cluster.EnsureDefaultVPC(ctx, a.db, s, a.cfg.DefaultCIDR)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }
