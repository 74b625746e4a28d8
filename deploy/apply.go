package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

// errStale means that the service changed under a plan.
var errStale = errors.New("deploy: the service has changed meanwhile")

const (
	retryTargets = 2 * time.Second  // after a load balancer refused something
	retryPlace   = 30 * time.Second // after a task found no place; freed capacity comes sooner
)

// pass looks at one service and does what its plan says. It returns how soon
// to look again: 0 at once, negative when something happens.
func (e *Engine) pass(ctx context.Context, key string, now time.Time) (time.Duration, error) {
	e.passes.Add(1)
	v, ok := e.gather(key, now)
	if !ok {
		return -1, nil
	}
	c := plan(v)
	again := e.targets(ctx, v, &c)
	a := &applier{base: v.Service, c: c, now: now}
	err := e.cfg.DB.Update(ctx, a.commit)
	if errors.Is(err, errStale) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if a.waits {
		again = sooner(again, retryPlace)
	}
	e.setWaiting(key, a.waits)
	if c.More || a.more {
		return 0, nil
	}
	if !c.Wake.IsZero() {
		again = sooner(again, max(c.Wake.Sub(now), time.Millisecond))
	}
	return again, nil
}

func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b < a {
		return b
	}
	return a
}

// targets makes the plan's calls to load balancers and adds what came of them
// to its messages.
func (e *Engine) targets(ctx context.Context, v view, c *Changes) (again time.Duration) {
	again = -1
	if e.cfg.Targets == nil {
		return again
	}
	say := func(once bool, format string, args ...any) {
		c.Messages = append(c.Messages, message{Text: "(service " + v.Service.Name + ") " + fmt.Sprintf(format, args...), Once: once})
	}
	each := func(bound []Bound, call func(context.Context, string, Target) error, done, failed string) (bad bool) {
		var groups []string
		count := map[string]int{}
		for _, b := range bound {
			if err := call(ctx, b.Group, b.Target); err != nil {
				say(once, "%s in (target-group %s) with (error %s)", failed, b.Group, err)
				e.cfg.Log.Warn(failed, "service", v.Service.ARN(), "group", b.Group, "target", b.Target.ID, "err", err)
				again, bad = retryTargets, true
				continue
			}
			if count[b.Group]++; count[b.Group] == 1 {
				groups = append(groups, b.Group)
			}
		}
		for _, g := range groups {
			say(always, "%s %d targets in (target-group %s)", done, count[g], g)
		}
		return bad
	}
	if each(c.Deregister, e.cfg.Targets.Deregister, "deregistered", "failed to deregister targets") {
		// Who ended must not be forgotten while the load balancer knows it.
		c.Tasks = slices.DeleteFunc(c.Tasks, func(t taskChange) bool { return t.Do == note })
	}
	each(c.Register, e.cfg.Targets.Register, "registered", "failed to register targets")
	return again
}

// applier writes a plan in one transaction. commit may run more than once.
type applier struct {
	base cluster.Service
	c    Changes
	now  time.Time

	waits, more bool // what the last commit found
}

func (a *applier) commit(tx *store.Tx) error {
	a.waits, a.more = false, false
	s := a.c.Service
	current, ok := cluster.Services.Get(tx, s.Key())
	if !ok || !same(current, a.base) {
		return errStale
	}
	s.Deployments = slices.Clone(s.Deployments)
	lines := slices.Clone(a.c.Messages)
	actions := slices.Clone(a.c.Actions)

	told, drained, err := a.changeTasks(tx)
	if err != nil {
		return err
	}
	if drained > 0 {
		text := fmt.Sprintf("(service %s) has begun draining connections on %d tasks.", s.Name, drained)
		lines = slices.Insert(lines, 0, message{Text: text})
	}
	if len(told) > 0 {
		lines = append(lines, message{Text: fmt.Sprintf("(service %s) %s", s.Name, stopped(told))})
	}
	if a.c.Start > 0 {
		more, act, err := a.launch(tx, &s)
		if err != nil {
			return err
		}
		lines, actions = append(lines, more...), append(actions, act...)
	}
	for _, d := range s.Deployments {
		if d.Status == "PRIMARY" && d.PlacementFailure != "" {
			a.waits = true
		}
	}
	if !same(s, current) {
		if err := cluster.Services.Put(tx, s); err != nil {
			return err
		}
	}
	for _, x := range actions {
		err := cluster.Emit(tx, cluster.Event{Scope: s.Scope, Kind: x.Kind, Resource: s.ARN(), Action: &cluster.Action{
			Name: x.Name, Type: x.Type, Reason: x.Reason, Cluster: cluster.ClusterARN(s.Scope, s.Cluster), Service: s.ARN(),
			Deployment: x.Deployment, CreatedAt: a.now}})
		if err != nil {
			return err
		}
	}
	return appendLog(tx, s.Key(), lines, a.now)
}

// changeTasks writes the plan's changes of tasks, on their rows as they are by
// now. It returns the ids of those told to stop and how many began to drain.
func (a *applier) changeTasks(tx *store.Tx) (told []string, drained int, err error) {
	for _, ch := range a.c.Tasks {
		t, ok := cluster.Tasks.Get(tx, ch.Task.Key())
		if !ok {
			continue
		}
		at := a.now
		switch ch.Do {
		case note:
			t.Noted = true
			err = cluster.NoteTask(tx, t)
		case healthy:
			t.HealthyAt = &at
			err = cluster.NoteTask(tx, t)
		case drain:
			if t.Desired == cluster.Stopped {
				continue
			}
			drained++
			t.Draining, t.StopCode, t.StoppedReason, t.StoppingAt = &at, ch.Code, ch.Reason, &at
			err = cluster.SaveTask(tx, t)
		case stop:
			if t.Desired == cluster.Stopped || t.Last == cluster.Stopped {
				continue
			}
			told = append(told, t.ID)
			t.Desired, t.StopCode, t.StoppedReason = cluster.Stopped, ch.Code, ch.Reason
			if t.StoppingAt == nil {
				t.StoppingAt = &at
			}
			err = cluster.SaveTask(tx, t)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return told, drained, nil
}

// launch starts tasks of s's primary deployment, as many as the transaction
// has room for, and keeps in s why some found no place.
func (a *applier) launch(tx *store.Tx, s *cluster.Service) (lines []message, actions []action, err error) {
	d := s.Primary()
	n := min(a.c.Start, launch.MaxCount, (90-2*len(a.c.Tasks))/4)
	a.more = n < a.c.Start
	def, ok := cluster.TaskDefinitions.Get(tx, cluster.TaskDefinitionKey(s.Scope, d.Family, d.Revision))
	if !ok {
		d.PlacementFailure = "was unable to place a task. Reason: its task definition is gone: update the service to another one."
		return []message{{Text: "(service " + s.Name + ") " + d.PlacementFailure, Once: once}}, nil, nil
	}
	var tasks []cluster.Task
	var failures []types.Failure
	lt := d.LaunchType
	for _, share := range shares(tx, *s, *d, n) {
		got, failed, err := launch.Launch(tx, share.request(*s, *d, def))
		var invalid *launch.Invalid
		switch {
		case errors.As(err, &invalid):
			failed = []types.Failure{{Reason: &invalid.Reason}}
		case err != nil:
			return nil, nil, err
		}
		tasks, failures, lt = append(tasks, got...), append(failures, failed...), share.launchType
	}
	say := func(once bool, text string) {
		lines = append(lines, message{Text: "(service " + s.Name + ") " + text, Once: once})
	}
	if len(tasks) > 0 {
		say(always, started(tasks))
	}
	before := d.PlacementFailure
	d.PlacementFailure = ""
	if len(failures) > 0 && len(tasks) < n {
		text, code := unplaced(lt, failures)
		d.PlacementFailure = text
		a.more = false
		say(once, text) // every six hours, as long as it lasts
		if text != before {
			actions = append(actions, action{Kind: cluster.ServiceAction, Name: "SERVICE_TASK_PLACEMENT_FAILURE", Type: "ERROR", Reason: code})
		}
	}
	return lines, actions, nil
}

// same reports whether two rows are kept as the same bytes.
func same(a, b cluster.Service) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
