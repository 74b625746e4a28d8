package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/network"
)

// report is how far the control plane knows a task's state. It is told the
// newest state, not each one: a status that was passed while an earlier report
// was under way is left out, but for RUNNING.
type report struct {
	mu      sync.Mutex
	dirty   bool // there is something to tell
	urgent  bool // without waiting whether it will be overtaken
	active  bool // a goroutine or a timer is at it
	backoff time.Duration
	tries   int
	turn    sync.Mutex    // held by the goroutine that reports
	ended   chan struct{} // closed when STOPPED was acknowledged
	over    bool
}

// reports sends reports, of many tasks at once and of one task in order.
type reports struct {
	log  *slog.Logger
	ctx  context.Context
	slot chan struct{}

	mu      sync.Mutex
	submit  func(ctx context.Context, in *ecs.SubmitTaskStateChangeInput) error // nil until registered
	waiting []*task
}

const (
	submitters = 16                     // calls at the same time
	startLag   = time.Second            // that a passing status waits to be overtaken, before RUNNING
	lag        = 50 * time.Millisecond  // and after it
	minBackoff = 100 * time.Millisecond //
	maxBackoff = 30 * time.Second
)

func newReports(log *slog.Logger) *reports {
	return &reports{log: log, slot: make(chan struct{}, submitters)}
}

// start gives reports a way to the control plane.
func (r *reports) start(submit func(ctx context.Context, in *ecs.SubmitTaskStateChangeInput) error) {
	r.mu.Lock()
	r.submit = submit
	waiting := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	for _, t := range waiting {
		r.run(t)
	}
}

// dirty says that t has changed and is now at last. RUNNING and STOPPED go out
// at once, what comes between waits a moment for what follows it: longer while
// the task starts, for many that start at once have no time for reports.
func (r *reports) dirty(t *task, last cluster.Status) {
	rep := &t.report
	rep.mu.Lock()
	defer rep.mu.Unlock()
	rep.dirty = true
	passing := last != cluster.Running && last != cluster.Stopped
	hurry := !passing && !rep.urgent
	rep.urgent = rep.urgent || !passing
	switch {
	case !rep.active && passing:
		rep.active = true
		wait := lag
		if last.Before(cluster.Running) {
			wait = startLag
		}
		time.AfterFunc(wait, func() { r.run(t) })
	case !rep.active || hurry && rep.backoff == 0:
		rep.active = true
		go r.run(t)
	}
}

// run tells what there is to tell of t. Of several at once one does it.
func (r *reports) run(t *task) {
	r.mu.Lock()
	submit := r.submit
	if submit == nil {
		r.waiting = append(r.waiting, t)
	}
	r.mu.Unlock()
	if submit == nil {
		return
	}
	t.report.turn.Lock()
	defer t.report.turn.Unlock()
	for t.report.next() {
		select {
		case r.slot <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		err := r.send(t, submit)
		<-r.slot
		if r.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.later(t, err)
			return
		}
	}
}

// next takes what is dirty, or notes that nobody is at it any more.
func (rep *report) next() bool {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	if !rep.dirty {
		rep.active = false
		return false
	}
	rep.dirty, rep.urgent, rep.backoff = false, false, 0
	return true
}

// later tries again after a while.
func (r *reports) later(t *task, err error) {
	rep := &t.report
	rep.mu.Lock()
	defer rep.mu.Unlock()
	rep.dirty, rep.active = true, true
	rep.tries++
	rep.backoff = min(minBackoff<<min(rep.tries, 10), maxBackoff)
	if rep.tries > 3 {
		r.log.Warn("cannot report a task's state, will retry", "task", t.id, "err", err)
	}
	wait := rep.backoff/2 + rand.N(rep.backoff/2)
	time.AfterFunc(wait, func() { r.run(t) })
}

// send makes one report, or two if the task's having been RUNNING was not told.
func (r *reports) send(t *task, submit func(context.Context, *ecs.SubmitTaskStateChangeInput) error) error {
	s := t.now()
	began := time.Now()
	if s.Ran != nil && !s.RanTold && s.Last != cluster.Running {
		if err := r.accepted(t, submit(r.ctx, t.stateChange(s, cluster.Running))); err != nil {
			return err
		}
	}
	if err := r.accepted(t, submit(r.ctx, t.stateChange(s, s.Last))); err != nil {
		return err
	}
	rep := &t.report
	rep.mu.Lock()
	defer rep.mu.Unlock()
	rep.tries = 0
	if s.Ran != nil && !s.RanTold && !t.arrived.IsZero() {
		t.eng.observe(StepReport, began)
		t.eng.observe(StepTask, t.arrived)
	}
	if s.Ran != nil {
		t.mu.Lock()
		t.st.RanTold = true // on disk with the next change; told twice does no harm
		t.mu.Unlock()
	}
	if s.Last == cluster.Stopped && !rep.over {
		rep.over = true
		close(rep.endedLocked())
	}
	return nil
}

// accepted lets pass the answer that the control plane does not know the task,
// or not any more: then there is nothing to tell.
func (r *reports) accepted(t *task, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode() {
	case "InvalidParameterException", "ClientException", "ClusterNotFoundException":
		r.log.Info("the control plane refused a task's state", "task", t.id, "err", err)
		return nil
	}
	return err
}

func (rep *report) endedLocked() chan struct{} {
	if rep.ended == nil {
		rep.ended = make(chan struct{})
	}
	return rep.ended
}

// reported returns when the control plane knows that the task has STOPPED.
func (t *task) reported(ctx context.Context) error {
	t.report.mu.Lock()
	ended := t.report.endedLocked()
	t.report.mu.Unlock()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stateChange is the report of state s with the given task status.
func (t *task) stateChange(s state, last cluster.Status) *ecs.SubmitTaskStateChangeInput {
	in := &ecs.SubmitTaskStateChangeInput{
		Cluster: ptr(t.msg.Cluster), Task: ptr(t.arn), Status: ptr(string(last)),
		PullStartedAt: s.PullStarted, PullStoppedAt: s.PullStopped,
	}
	if last != cluster.Running {
		in.ExecutionStoppedAt = s.ExecutionStopped
		if s.Reason != "" {
			in.Reason = ptr(s.Reason)
		}
	}
	for _, k := range s.Containers {
		if k.Status == cluster.Pending && k.Restarts > 0 {
			k.Status = cluster.Running // its restart is no matter of the control plane's
		}
		c := types.ContainerStateChange{ContainerName: ptr(k.Name), Status: ptr(string(k.Status)), NetworkBindings: k.Bindings}
		if last == cluster.Running && !s.RanTold && k.Started != nil && essential(t.defOf(k.Name)) {
			// It may have ended since the moment that this tells of.
			c.Status = ptr(string(cluster.Running))
		} else if k.ExitCode != nil && k.Status == cluster.Stopped {
			c.ExitCode = ptr(int32(*k.ExitCode))
		}
		if k.Started != nil {
			c.RuntimeId = ptr(k.ID)
		}
		if k.Digest != "" {
			c.ImageDigest = ptr(k.Digest)
		}
		if k.Reason != "" && *c.Status == string(cluster.Stopped) {
			c.Reason = ptr(k.Reason)
		}
		if t.mode() == network.Host && k.Started != nil {
			c.NetworkBindings = hostBindings(t.defOf(k.Name))
		}
		in.Containers = append(in.Containers, c)
	}
	return in
}
