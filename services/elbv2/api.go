// Package elbv2 serves the Elastic Load Balancing v2 API for application load
// balancers. Handlers record wishes in the tables of package lb; its engine
// acts on them, before the call returns where a client would notice.
//
// What acts and what does not is refused in words: listeners speak HTTP,
// targets are addresses or instances, each listener has its default rule only.
package elbv2

import (
	"context"
	"log/slog"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// API is the ELBv2 service: its exported methods are the operations.
type API struct {
	db     *store.DB
	engine *lb.Engine
	log    *slog.Logger
	cfg    Config
}

// Config is what the platform tells the service.
type Config struct {
	DB     *store.DB
	Engine *lb.Engine
	Log    *slog.Logger
	// EnsureVPC makes the scope's default VPC and its subnets, if they are
	// missing. Nil makes none.
	EnsureVPC func(ctx context.Context, s cluster.Scope) error
	// Instance reports whether an instance exists, by its id. Nil knows none.
	Instance func(s cluster.Scope, id string) bool
}

// New returns the API over the store.
func New(c Config) *API {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &API{db: c.DB, engine: c.Engine, log: c.Log, cfg: c}
}

// scope is the account and region of the call.
func scope(ctx context.Context) cluster.Scope {
	c := awsapi.CallFrom(ctx)
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

// ensureVPC makes the default VPC where a call names parts of a VPC.
func (a *API) ensureVPC(ctx context.Context) error {
	if a.cfg.EnsureVPC == nil {
		return nil
	}
	return a.cfg.EnsureVPC(ctx, scope(ctx))
}

// view runs f over a consistent view of the tables.
func view[T any](a *API, f func(r store.Reader) (T, error)) (v T, err error) {
	err = a.db.View(func(r store.Reader) error {
		v, err = f(r)
		return err
	})
	return v, err
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }
