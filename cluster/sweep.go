package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/dhowhq/dhow/store"
)

// Retention is how long stopped tasks and deleted clusters stay visible; AWS
// promises an hour.
const Retention = time.Hour

// sweepBatch is how many rows a transaction deletes.
const sweepBatch = 100

// Sweep deletes what nobody can ask for any more: tasks that stopped and
// clusters that were deleted more than Retention before now, client tokens
// older than TokenLife, and strays of nodes that have left. It returns how many
// tasks it deleted.
func Sweep(ctx context.Context, db *store.DB, now time.Time) (tasks int, err error) {
	var old, clusters, tokens []string
	orphans := map[string]bool{} // strays
	err = db.View(func(r store.Reader) error {
		for s := range Strays.List(r, "") {
			if _, ok := Nodes.Get(r, s.Node); !ok {
				orphans[s.Key()] = true
			}
		}
		for t := range Tasks.By(r, "stopped", "yes") {
			if at := t.StoppedAt; at == nil || now.Sub(*at) > Retention {
				old = append(old, t.Key())
			}
		}
		for c := range Clusters.List(r, "") {
			if c.Status == "INACTIVE" && c.DeletedAt != nil && now.Sub(*c.DeletedAt) > Retention {
				clusters = append(clusters, c.Key())
			}
		}
		for t := range Tokens.List(r, "") {
			if now.Sub(t.At) > TokenLife {
				tokens = append(tokens, t.Key())
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := dropStrays(ctx, db, func(s Stray) bool { return orphans[s.Key()] }); err != nil {
		return 0, err
	}
	if err := deleteRows(ctx, db, Tasks, old, func(t Task) bool { return t.Last == Stopped }); err != nil {
		return 0, err
	}
	if err := deleteRows(ctx, db, Clusters, clusters, func(c Cluster) bool { return c.Status == "INACTIVE" }); err != nil {
		return len(old), err
	}
	return len(old), deleteRows(ctx, db, Tokens, tokens, func(t Token) bool { return now.Sub(t.At) > TokenLife })
}

// deleteRows deletes the rows under keys that are still as ok wants them.
func deleteRows[T any](ctx context.Context, db *store.DB, table *store.Table[T], keys []string, ok func(T) bool) error {
	for batch := range slices.Chunk(keys, sweepBatch) {
		err := db.Update(ctx, func(tx *store.Tx) error {
			for _, k := range batch {
				if v, found := table.Get(tx, k); found && ok(v) {
					table.Delete(tx, k)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
