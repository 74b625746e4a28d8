package acs

import (
	"context"
	"time"

	"github.com/dhowhq/dhow/cluster"
	wire "github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/store"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// push is what a session has sent of a task.
type push struct {
	desired cluster.Status
	message string
	acked   bool
	due     time.Time     // when to send again, unless acknowledged
	wait    time.Duration // until then, from the last sending
}

const (
	perPayload = 10 // tasks in one message
	maxResend  = 5 * time.Minute
)

// push sends the tasks whose desired status the agent has not been told, or
// has not acknowledged in time.
func (c *session) push(ctx context.Context, now time.Time) error {
	todo, err := c.due(now)
	if err != nil {
		return err
	}
	for len(todo) > 0 {
		n := min(len(todo), perPayload)
		if err := c.pushSome(ctx, now, todo[:n]); err != nil {
			return err
		}
		todo = todo[n:]
	}
	return nil
}

// due returns the tasks to send, with their definitions, and forgets the tasks
// that have left the node.
func (c *session) due(now time.Time) (todo []placed, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.srv.cfg.DB.View(func(r store.Reader) error {
		there := make(map[string]bool)
		for t := range cluster.Tasks.By(r, "node", c.node) {
			key := t.Key()
			there[key] = true
			if t.Desired != cluster.Stopped && !t.Last.Before(cluster.Running) {
				continue // the agent has it
			}
			if p := c.pushed[key]; p != nil && p.desired == t.Desired && (p.acked || now.Before(p.due)) {
				continue
			}
			todo = append(todo, read(r, t))
		}
		for key := range c.pushed {
			if !there[key] {
				delete(c.pushed, key)
			}
		}
		return nil
	})
	return todo, err
}

// read adds to a task the rows that describe it.
func read(r store.Reader, t cluster.Task) placed {
	p := placed{task: t}
	if def, ok := cluster.TaskDefinitions.Get(r, cluster.TaskDefinitionKey(t.Scope, t.Family, t.Revision)); ok {
		p.def = &def
	}
	if t.Interface != nil {
		p.vpc, _ = cluster.VPCs.Get(r, t.Interface.Scope.Key(t.Interface.VPC))
	}
	return p
}

func (c *session) pushSome(ctx context.Context, now time.Time, todo []placed) error {
	m := &wire.PayloadMessage{
		MessageID: cluster.NewUUID(), Cluster: c.cluster, ContainerInstance: c.instance,
		SeqNum: c.srv.nextSeq(), GeneratedAt: now.UnixMilli(), Tasks: make([]wire.Task, 0, len(todo)),
	}
	m.Timeline = m.SeqNum
	for _, p := range todo {
		if p.def == nil && p.task.Desired != cluster.Stopped {
			// Its commit comes back here as a stop.
			if err := c.giveUp(ctx, p.task, "TaskFailedToStart: the task definition "+p.task.DefinitionARN()+" is gone"); err != nil {
				return err
			}
			continue
		}
		w, err := p.payload()
		if err != nil {
			if err := c.giveUp(ctx, p.task, "ResourceInitializationError: "+err.Error()); err != nil {
				return err
			}
			continue
		}
		if p.task.Desired != cluster.Stopped {
			w.Role, w.ExecutionRole = c.srv.roles(p, now)
		}
		m.Tasks = append(m.Tasks, w)
	}
	if len(m.Tasks) == 0 {
		return nil
	}
	c.mu.Lock()
	for _, p := range todo {
		key, wait := p.task.Key(), c.srv.cfg.Resend
		if old := c.pushed[key]; old != nil && old.desired == p.task.Desired {
			wait = min(2*old.wait, maxResend)
		}
		c.pushed[key] = &push{desired: p.task.Desired, message: m.MessageID, due: now.Add(wait), wait: wait}
	}
	c.mu.Unlock()
	return c.send(ctx, m)
}

// giveUp ends a task that cannot be handed to its node.
func (c *session) giveUp(ctx context.Context, t cluster.Task, reason string) error {
	return c.srv.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		t, ok := cluster.Tasks.Get(tx, t.Key())
		if !ok || t.Desired == cluster.Stopped {
			return nil
		}
		now := time.Now().UTC()
		t.Desired, t.StopCode, t.StoppedReason, t.StoppingAt = cluster.Stopped, types.TaskStopCodeTaskFailedToStart, reason, &now
		return cluster.SaveTask(tx, t)
	})
}

// acked notes that the agent has taken charge of a message.
func (c *session) acked(message string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pushed {
		if p.message == message {
			p.acked = true
		}
	}
}

// sendManifest lists all that the node should have, and what it should not have
// any more.
func (c *session) sendManifest(ctx context.Context) error {
	m := &wire.TaskManifestMessage{
		MessageID: cluster.NewUUID(), Cluster: c.cluster, ContainerInstance: c.instance,
		GeneratedAt: time.Now().UnixMilli(), Timeline: c.srv.nextSeq(), Tasks: []wire.TaskIdentifier{},
	}
	err := c.srv.cfg.DB.View(func(r store.Reader) error {
		for t := range cluster.Tasks.By(r, "node", c.node) {
			m.Tasks = append(m.Tasks, wire.TaskIdentifier{
				Task: t.ARN(), Cluster: cluster.ClusterARN(t.Scope, t.Cluster),
				DesiredStatus: string(t.Desired), DhowLastStatus: string(t.Last),
			})
		}
		// The agent that has one of these asks whether to stop it, and the one
		// that has not says so: either way it reports it as STOPPED.
		for s := range cluster.Strays.By(r, "node", c.node) {
			m.Tasks = append(m.Tasks, wire.TaskIdentifier{
				Task: s.ARN(), Cluster: cluster.ClusterARN(s.Scope, s.Cluster),
				DesiredStatus: string(cluster.Stopped), DhowLastStatus: string(cluster.Running),
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.send(ctx, m)
}

// verifyStops confirms those of the agent's candidates that are not, or no
// longer, to run on this node.
func (c *session) verifyStops(ctx context.Context, m *wire.TaskStopVerificationMessage) error {
	answer := &wire.TaskStopVerificationAck{MessageID: m.MessageID, GeneratedAt: time.Now().UnixMilli(), StopTasks: []wire.TaskIdentifier{}}
	err := c.srv.cfg.DB.View(func(r store.Reader) error {
		for _, id := range m.StopCandidates {
			key, ok := taskKey(id.Task)
			if !ok {
				continue
			}
			t, ok := cluster.Tasks.Get(r, key)
			if ok && t.Node == c.node && t.Desired != cluster.Stopped && t.Last != cluster.Stopped {
				continue
			}
			id.DesiredStatus = string(cluster.Stopped)
			answer.StopTasks = append(answer.StopTasks, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.send(ctx, answer)
}
