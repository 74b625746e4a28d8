package ecs

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// ListTaskDefinitions lists ARNs by family and revision. familyPrefix is a
// whole family's name, in spite of its own name.
func (a *API) ListTaskDefinitions(ctx context.Context, in *ecs.ListTaskDefinitionsInput) (*ecs.ListTaskDefinitionsOutput, error) {
	status := in.Status
	if status == "" {
		status = types.TaskDefinitionStatusActive
	}
	s, prefix := scope(ctx), scope(ctx).Prefix()
	if f := deref(in.FamilyPrefix); f != "" {
		prefix = s.Prefix(f)
	}
	out := &ecs.ListTaskDefinitionsOutput{TaskDefinitionArns: []string{}}
	err := a.db.View(func(r store.Reader) error {
		rows, key := cluster.TaskDefinitions.List(r, prefix), cluster.TaskDefinition.Key
		if in.Sort == types.SortOrderDesc {
			all := slices.Collect(rows)
			slices.Reverse(all)
			rows, key = slices.Values(all), func(d cluster.TaskDefinition) string { return descending(d.Key()) }
		}
		wanted := func(d cluster.TaskDefinition) bool { return d.Def.Status == status }
		found, next, err := page(ctx, filter(rows, wanted), key, in.MaxResults, 100, in.NextToken)
		for _, d := range found {
			out.TaskDefinitionArns = append(out.TaskDefinitionArns, d.ARN())
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListTaskDefinitionFamilies lists families by name. A family is ACTIVE while
// one of its revisions is; one whose revisions are all deleted is not listed.
func (a *API) ListTaskDefinitionFamilies(ctx context.Context, in *ecs.ListTaskDefinitionFamiliesInput) (*ecs.ListTaskDefinitionFamiliesOutput, error) {
	s := scope(ctx)
	out := &ecs.ListTaskDefinitionFamiliesOutput{Families: []string{}}
	err := a.db.View(func(r store.Reader) error {
		wanted := func(f cluster.Family) bool {
			switch {
			case f.Active > 0:
				return in.Status != types.TaskDefinitionFamilyStatusInactive
			case in.Status == types.TaskDefinitionFamilyStatusActive:
				return false
			}
			for range cluster.TaskDefinitions.List(r, s.Prefix(f.Name)) {
				return true
			}
			return false
		}
		rows := cluster.Families.List(r, s.Prefix()+deref(in.FamilyPrefix))
		found, next, err := page(ctx, filter(rows, wanted), cluster.Family.Key, in.MaxResults, 100, in.NextToken)
		for _, f := range found {
			out.Families = append(out.Families, f.Name)
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// descending maps keys so that they sort the other way round.
func descending(key string) string {
	var b strings.Builder
	for i := range len(key) {
		b.WriteByte(0xff - key[i])
	}
	b.WriteByte(0xff) // a prefix sorts after what it begins
	return b.String()
}

func filter[T any](rows iter.Seq[T], keep func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range rows {
			if keep(v) && !yield(v) {
				return
			}
		}
	}
}
