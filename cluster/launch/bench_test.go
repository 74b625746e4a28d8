package launch

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// BenchmarkLaunch places and commits tasks on ten thousand nodes, as many at a
// time as a transaction takes, from several callers at once. The floor is the
// same rows committed without a choice of nodes.
func BenchmarkLaunch(b *testing.B) {
	const nodes = 10_000
	for _, lt := range []types.LaunchType{types.LaunchTypeFargate, types.LaunchTypeEc2} {
		db := crowd(b, nodes, 1<<20)
		r := request(MaxCount, func(r *Request) { r.LaunchType = lt })
		b.Run(string(lt), func(b *testing.B) {
			commits(b, db, func(tx *store.Tx) (int, error) {
				got, _, err := Launch(tx, r)
				return len(got), err
			})
		})
		var next atomic.Int64
		b.Run(string(lt)+"-floor", func(b *testing.B) {
			commits(b, db, func(tx *store.Tx) (int, error) {
				l := &launcher{Request: r, tx: tx}
				for range MaxCount {
					node := fmt.Sprintf("n%05d", next.Add(1)%nodes)
					if _, _, err := l.start(home{node: node, zone: "us-east-1a"}); err != nil {
						return 0, err
					}
				}
				return MaxCount, nil
			})
		})
	}
}

// commits runs f in transactions side by side and reports how many tasks it
// makes a second, and the processor time of one.
func commits(b *testing.B, db *store.DB, f func(*store.Tx) (int, error)) {
	var tasks atomic.Int64
	before := processor()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			made := 0
			err := db.Update(context.Background(), func(tx *store.Tx) (err error) {
				made, err = f(tx)
				return err
			})
			if err != nil {
				b.Error(err)
				return
			}
			tasks.Add(int64(made))
		}
	})
	n := float64(tasks.Load())
	b.ReportMetric(n/b.Elapsed().Seconds(), "tasks/s")
	b.ReportMetric(float64((processor()-before).Microseconds())/n, "cpu-µs/task")
}

// processor is the time that this process has had of the processors.
func processor() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
