package ecs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// RegisterTaskDefinition checks the definition, fills in the defaults that AWS
// answers with and keeps it as the family's next revision.
func (a *API) RegisterTaskDefinition(ctx context.Context, in *ecs.RegisterTaskDefinitionInput) (*ecs.RegisterTaskDefinitionOutput, error) {
	def, err := newDefinition(in)
	if err != nil {
		return nil, err
	}
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	if a.cfg.Contracts != nil {
		if err := a.cfg.Contracts.Read(def); err != nil {
			return nil, clientErr("%s", err)
		}
	}
	s := scope(ctx)
	def.RegisteredBy = ptr(awsapi.CallFrom(ctx).Principal)
	var d cluster.TaskDefinition
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		f, _ := cluster.Families.Get(tx, s.Key(*def.Family))
		f.Scope, f.Name = s, *def.Family
		f.Last++
		f.Active++
		d = cluster.TaskDefinition{Scope: s, Family: f.Name, Revision: f.Last, Def: def, Tags: in.Tags, Unserved: unserved(def)}
		d.Def.Revision = d.Revision
		d.Def.TaskDefinitionArn = ptr(d.ARN())
		d.Def.RegisteredAt = ptr(now())
		if err := cluster.Families.Put(tx, f); err != nil {
			return err
		}
		return cluster.TaskDefinitions.Put(tx, d)
	})
	if err != nil {
		return nil, err
	}
	return &ecs.RegisterTaskDefinitionOutput{TaskDefinition: &d.Def, Tags: d.Tags}, nil
}

// DescribeTaskDefinition answers for every status, unlike the calls that start
// tasks.
func (a *API) DescribeTaskDefinition(ctx context.Context, in *ecs.DescribeTaskDefinitionInput) (*ecs.DescribeTaskDefinitionOutput, error) {
	out := new(ecs.DescribeTaskDefinitionOutput)
	err := a.db.View(func(r store.Reader) error {
		d, ok := lookupTaskDefinition(r, scope(ctx), deref(in.TaskDefinition))
		if !ok {
			return clientErr("Unable to describe task definition.")
		}
		out.TaskDefinition = &d.Def
		if slices.Contains(in.Include, types.TaskDefinitionFieldTags) {
			out.Tags = orEmpty(d.Tags)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeregisterTaskDefinition makes a revision INACTIVE: what runs of it goes on,
// nothing new starts of it.
func (a *API) DeregisterTaskDefinition(ctx context.Context, in *ecs.DeregisterTaskDefinitionInput) (*ecs.DeregisterTaskDefinitionOutput, error) {
	var d cluster.TaskDefinition
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		p, ok := parseTaskDefinition(scope(ctx), deref(in.TaskDefinition))
		if ok && p.Revision == 0 {
			return invalidParam("Missing revision: %s. Name the revision to deregister as family:revision.", deref(in.TaskDefinition))
		}
		d, ok = lookupTaskDefinition(tx, scope(ctx), deref(in.TaskDefinition))
		switch {
		case !ok:
			return clientErr(noSuchDefinition)
		case d.Def.Status == types.TaskDefinitionStatusDeleteInProgress:
			return clientErr("The specified task definition is in the process of being deleted. Specify a valid account, family, revision and try again.")
		case d.Def.Status != types.TaskDefinitionStatusActive:
			return nil // AWS answers a second time as it did the first
		}
		d.Def.Status, d.Def.DeregisteredAt = types.TaskDefinitionStatusInactive, ptr(now())
		f, _ := cluster.Families.Get(tx, d.Scope.Key(d.Family))
		f.Active--
		if err := cluster.Families.Put(tx, f); err != nil {
			return err
		}
		return cluster.TaskDefinitions.Put(tx, d)
	})
	if err != nil {
		return nil, err
	}
	return &ecs.DeregisterTaskDefinitionOutput{TaskDefinition: &d.Def}, nil
}

const noSuchDefinition = "The specified task definition does not exist. Specify a valid account, family, revision and try again."

// DeleteTaskDefinitions marks revisions DELETE_IN_PROGRESS. The service loop's
// sweep removes each one once no task and no service names it.
func (a *API) DeleteTaskDefinitions(ctx context.Context, in *ecs.DeleteTaskDefinitionsInput) (*ecs.DeleteTaskDefinitionsOutput, error) {
	if n := len(in.TaskDefinitions); n == 0 || n > 10 {
		return nil, invalidParam("Invalid taskDefinitions: %d were given. Specify between 1 and 10.", n)
	}
	s := scope(ctx)
	for _, ref := range in.TaskDefinitions {
		if p, ok := parseTaskDefinition(s, ref); !ok || p.Revision == 0 {
			return nil, invalidParam("Invalid task definition: %s. Name the revision to delete as family:revision.", ref)
		}
	}
	var out *ecs.DeleteTaskDefinitionsOutput
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		out = &ecs.DeleteTaskDefinitionsOutput{Failures: []types.Failure{}, TaskDefinitions: []types.TaskDefinition{}}
		for _, ref := range in.TaskDefinitions {
			d, ok := lookupTaskDefinition(tx, s, ref)
			switch {
			case !ok:
				out.Failures = append(out.Failures, failure(ref, noSuchDefinition, ""))
				continue
			case d.Def.Status == types.TaskDefinitionStatusActive:
				out.Failures = append(out.Failures, failure(d.ARN(),
					"The specified task definition is still in ACTIVE status. Please deregister the target and try again.", ""))
				continue
			case d.Def.Status == types.TaskDefinitionStatusInactive:
				d.Def.Status, d.Def.DeleteRequestedAt = types.TaskDefinitionStatusDeleteInProgress, ptr(now())
				if err := cluster.TaskDefinitions.Put(tx, d); err != nil {
					return err
				}
			}
			out.TaskDefinitions = append(out.TaskDefinitions, d.Def)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// now is the time in AWS's resolution.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// orEmpty is s, or an empty list where s is nil: AWS answers [] there.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
