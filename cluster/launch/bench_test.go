package launch

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// BenchmarkLaunch places and commits tasks on ten thousand nodes, as many at a
// time as a transaction takes.
func BenchmarkLaunch(b *testing.B) {
	for _, lt := range []types.LaunchType{types.LaunchTypeFargate, types.LaunchTypeEc2} {
		b.Run(string(lt), func(b *testing.B) {
			db := storetest.Open(b)
			ctx := context.Background()
			c := cluster.Cluster{Scope: scope, Name: "c1", Status: "ACTIVE"}
			for from := 0; from < 10000; from += 25 {
				err := db.Update(ctx, func(tx *store.Tx) error {
					for i := from; i < from+25; i++ {
						n := cluster.Node{ID: fmt.Sprintf("n%05d", i), Total: cluster.Resources{CPU: 1 << 20, Memory: 1 << 20}, Fargate: true, Connected: true, Zone: string(rune('a' + i%3))}
						for j := range 20 {
							n.Attributes = append(n.Attributes, types.Attribute{Name: ptr(fmt.Sprint("ecs.capability.", j))})
						}
						if err := cluster.Nodes.Put(tx, n); err != nil {
							return err
						}
						if err := cluster.Enroll(tx, n, c); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			r := request(MaxCount)
			r.LaunchType = lt
			tasks := 0
			for b.Loop() {
				err := db.Update(ctx, func(tx *store.Tx) error {
					got, _, err := Launch(tx, r)
					tasks += len(got)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(tasks)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}
