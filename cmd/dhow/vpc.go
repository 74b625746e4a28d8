package main

import (
	"context"

	"github.com/dhowhq/dhow/cluster"
)

// ensureVPC makes the scope's default VPC if it is missing.
func (p *platform) ensureVPC(ctx context.Context, s cluster.Scope) error {
	return cluster.EnsureDefaultVPC(ctx, p.db, s, p.cidr)
}
