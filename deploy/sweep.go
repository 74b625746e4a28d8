package deploy

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// inactiveLife is how long a deleted service can still be described. AWS keeps
// no promise about it.
const inactiveLife = 24 * time.Hour

// Sweep deletes what nobody needs any more: what cluster.Sweep does, services
// that were deleted a day ago, and task definitions in deletion that no task
// and no service names.
func Sweep(ctx context.Context, db *store.DB, now time.Time) error {
	if _, err := cluster.Sweep(ctx, db, now); err != nil {
		return err
	}
	var services, definitions []string
	db.View(func(r store.Reader) error {
		used := map[string]bool{}
		for s := range cluster.Services.List(r, "") {
			if s.Status == "INACTIVE" && now.Sub(s.UpdatedAt) > inactiveLife {
				services = append(services, s.Key())
				continue
			}
			for _, d := range s.Deployments {
				used[cluster.TaskDefinitionKey(s.Scope, d.Family, d.Revision)] = true
			}
			if s.Stable != nil {
				used[cluster.TaskDefinitionKey(s.Scope, s.Stable.Family, s.Stable.Revision)] = true
			}
		}
		for d := range cluster.TaskDefinitions.List(r, "") {
			if d.Def.Status == types.TaskDefinitionStatusDeleteInProgress && !used[d.Key()] {
				definitions = append(definitions, d.Key())
			}
		}
		if len(definitions) == 0 {
			return nil
		}
		for t := range cluster.Tasks.List(r, "") {
			if t.Last != cluster.Stopped {
				used[cluster.TaskDefinitionKey(t.Scope, t.Family, t.Revision)] = true
			}
		}
		kept := definitions[:0]
		for _, k := range definitions {
			if !used[k] {
				kept = append(kept, k)
			}
		}
		definitions = kept
		return nil
	})
	for _, k := range services {
		err := db.Update(ctx, func(tx *store.Tx) error {
			if s, ok := cluster.Services.Get(tx, k); ok && s.Status == "INACTIVE" && now.Sub(s.UpdatedAt) > inactiveLife {
				cluster.Services.Delete(tx, k)
				cluster.ServiceLogs.Delete(tx, k)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, k := range definitions {
		// A revision in deletion starts nothing, so that none begins to use it.
		err := db.Update(ctx, func(tx *store.Tx) error {
			cluster.TaskDefinitions.Delete(tx, k)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
