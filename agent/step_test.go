package agent

import (
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
)

// Each step of a start is told once, with the time that the simulated machine
// takes for it; a start that an earlier agent began is not timed as a whole.
func TestSteps(t *testing.T) {
	var mu sync.Mutex
	took := map[Step][]time.Duration{}
	inBubble(t, func(t *testing.T, n *node) {
		times := func(want map[Step]int) map[Step][]time.Duration {
			t.Helper()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			got := took
			took = map[Step][]time.Duration{}
			for _, s := range []Step{StepNetwork, StepImage, StepCreate, StepStart, StepReport, StepTask} {
				if len(got[s]) != want[s] {
					t.Errorf("%s was told %d times, want %d", s, len(got[s]), want[s])
				}
			}
			return got
		}
		alone := map[Step]int{StepNetwork: 1, StepImage: 1, StepCreate: 1, StepStart: 1, StepReport: 1, StepTask: 1}
		run := func(task acs.Task) acs.Task {
			t.Helper()
			n.p.run(task)
			n.p.reaches(task, cluster.Running)
			return task
		}
		run(vpcTask("172.31.0.9", of("a", "busybox:1")))
		got := times(alone)
		if d := got[StepImage][0]; d < 2*time.Second {
			t.Errorf("a pull of 2 s took %v", d)
		}
		if whole, sum := got[StepTask][0], got[StepImage][0]+got[StepCreate][0]+got[StepStart][0]; whole < sum {
			t.Errorf("the whole took %v, its parts %v", whole, sum)
		}
		run(taskOf(of("a", "busybox:1"), of("b", "busybox:1"))) // in bridge mode
		times(map[Step]int{StepNetwork: 2, StepImage: 2, StepCreate: 2, StepStart: 2, StepReport: 1, StepTask: 1})

		slow := vpcTask("172.31.0.10", of("a", "sim/pull-10s:1"))
		n.p.run(slow)
		n.p.reaches(slow, cluster.Pending)
		n.halt()
		times(map[Step]int{StepNetwork: 1})
		n.start()
		n.p.reaches(slow, cluster.Running)
		times(map[Step]int{StepNetwork: 1, StepImage: 1, StepCreate: 1, StepStart: 1})
	}, func(c *Config) {
		c.Observe = func(s Step, d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			took[s] = append(took[s], d)
		}
	})
}
