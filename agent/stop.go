package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
)

// errDraining is why a node that is being emptied takes no tasks.
var errDraining = errors.New("agent: this node is stopping all tasks and takes no more")

// StopAll stops every task of a running agent, each in its own order and with
// its own stop timeouts, takes no new ones, and returns when nothing of them is
// left and the control plane knows. When ctx ends first the error says how many
// remain; Purge removes those.
func (a *Agent) StopAll(ctx context.Context) error {
	e := a.engine
	e.mu.Lock()
	e.draining = true
	e.mu.Unlock()
	for _, t := range e.all() {
		t.halt("The node was told to stop all tasks")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left := len(e.all())
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("agent: %d tasks are not gone yet: %w", left, ctx.Err())
		case <-tick.C:
		}
	}
}

// halt ends the task for a reason of the node's own.
func (t *task) halt(reason string) {
	t.change(func(s *state) { s.fail(reason) })
	t.wind()
}

// Purge removes all that an agent with this configuration left on the machine,
// without regard for what runs: containers, network endpoints and the data
// directory. Run must have returned.
func (a *Agent) Purge(ctx context.Context) error {
	list, err := a.cfg.Driver.List(ctx)
	if err != nil {
		return fmt.Errorf("agent: containers: %w", err)
	}
	ends, err := a.cfg.Network.List(ctx)
	if err != nil {
		return fmt.Errorf("agent: network endpoints: %w", err)
	}
	var mu sync.Mutex
	var errs []error
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
		}
	}
	var all sync.WaitGroup
	limit := make(chan struct{}, 8)
	do := func(f func() error) {
		limit <- struct{}{}
		all.Go(func() {
			defer func() { <-limit }()
			note(f())
		})
	}
	for _, c := range list {
		do(func() error { return a.cfg.Driver.Delete(ctx, c.ID) })
	}
	all.Wait() // a namespace goes when nothing runs in it
	for _, n := range ends {
		do(func() error { return a.cfg.Network.Remove(ctx, n.ID) })
	}
	all.Wait()
	if len(errs) == 0 {
		note(os.RemoveAll(a.cfg.DataDir))
	}
	return errors.Join(errs...)
}

// Tasks is how many tasks the node has in each status.
func (a *Agent) Tasks() map[cluster.Status]int {
	n := make(map[cluster.Status]int)
	for _, t := range a.engine.all() {
		n[t.now().Last]++
	}
	return n
}
