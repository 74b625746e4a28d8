package agent

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/internal/acs"
)

// Whatever happens in whichever order (tasks come, are stopped, end by
// themselves; the agent dies and comes back at any moment; the control plane is
// away for a while), in the end exactly the wanted tasks run, and each other
// one has been reported STOPPED.
func TestChaos(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *node) { chaos(t, n, rand.New(rand.NewPCG(uint64(seed), 1))) })
		})
	}
}

func chaos(t *testing.T, n *node, rnd *rand.Rand) {
	n.p.ready()
	wanted := make(map[string]bool)  // by ARN
	asked := make(map[string]string) // status that was asked for last
	var tasks []acs.Task
	// offer sends without waiting; what is lost on the way comes again, as the
	// control plane's own resending does.
	offer := func(task acs.Task, status string) {
		task.DesiredStatus = status
		asked[task.ARN] = status
		_, conn := n.p.nth()
		if conn == nil {
			return
		}
		n.p.mu.Lock()
		n.p.seq++
		b, err := acs.Encode(&acs.PayloadMessage{MessageID: cluster.NewID(), SeqNum: n.p.seq, Tasks: []acs.Task{task}})
		n.p.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(t.Context(), 1, b)
	}
	for range 30 {
		switch k := rnd.IntN(10); {
		case k < 4:
			cs := "busybox:1 sim/stop-3s:1 sim/exit-2-after-40s:1 sim/start-2s:1 sim/fail-command:1"
			images := strings.Fields(cs)
			a := of("a", images[rnd.IntN(len(images))])
			b := after(of("b", "busybox:1"), "a", "START")
			task := vpcTask(fmt.Sprintf("172.31.1.%d", len(tasks)+4), a, b)
			if rnd.IntN(2) == 0 {
				task = taskOf(a, b)
			}
			tasks = append(tasks, task)
			wanted[task.ARN] = !strings.Contains(*a.Image, "exit") && !strings.Contains(*a.Image, "fail")
			offer(task, "RUNNING")
		case k < 6 && len(tasks) > 0:
			task := tasks[rnd.IntN(len(tasks))]
			wanted[task.ARN] = false
			offer(task, "STOPPED")
		case k < 8:
			n.halt()
			time.Sleep(time.Duration(rnd.IntN(20)) * time.Second)
			n.start()
		case k < 9:
			away := rnd.IntN(2) == 0
			n.p.note(func() {
				n.p.fail = nil
				if away {
					n.p.fail = func(string) (string, int) { return "ServerException", 500 }
				}
			})
		}
		time.Sleep(time.Duration(rnd.IntN(4000)) * time.Millisecond)
	}
	n.p.note(func() { n.p.fail = nil })
	told := func(arn, status string) (yes bool) {
		n.p.note(func() {
			for _, s := range n.p.of(arn) {
				yes = yes || s.Status == status
			}
		})
		return yes
	}
	for limit := time.Now().Add(time.Hour); ; time.Sleep(20 * time.Second) {
		left := ""
		for _, task := range tasks {
			status := "STOPPED"
			if wanted[task.ARN] {
				status = "RUNNING"
			}
			if !told(task.ARN, status) {
				left += " " + lastPart(task.ARN)[:6] + ":" + status
				if n.a.engine.get(lastPart(task.ARN)) == nil || asked[task.ARN] == "STOPPED" {
					offer(task, asked[task.ARN])
				}
			}
		}
		if left == "" {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("never told: %s; submitted %v", left, n.p.statuses())
		}
	}
	time.Sleep(2 * time.Minute)
	list, err := n.drv.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running := make(map[string]int)
	for _, c := range list {
		task, _, _ := cutLast(c.ID, '-')
		if c.State != driver.Running {
			t.Errorf("container %s is %s", c.ID, c.State)
		}
		running[task]++
	}
	for _, task := range tasks {
		want := 0
		if wanted[task.ARN] {
			want = 2
		}
		if got := running[lastPart(task.ARN)]; got != want {
			t.Errorf("task %s has %d containers, want %d", lastPart(task.ARN)[:6], got, want)
		}
		if wanted[task.ARN] && told(task.ARN, "STOPPED") {
			t.Errorf("a wanted task was reported STOPPED")
		}
	}
	n.p.patience = time.Minute
}
