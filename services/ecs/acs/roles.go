package acs

import (
	"context"
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/identity"
	wire "github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/store"
)

// renewals are how often in the life of a role's credentials a session sends
// new ones: what SDKs hold is good for a good while more, and a round may fail.
const renewals = 3

// TaskAlive returns what reports whether the task of that ARN has not stopped:
// then keys that were issued for it are good.
func TaskAlive(db *store.DB) func(arn string) bool {
	return func(arn string) (alive bool) {
		key, ok := taskKey(arn)
		if !ok {
			return false
		}
		db.View(func(r store.Reader) error {
			t, ok := cluster.Tasks.Get(r, key)
			alive = ok && t.Last != cluster.Stopped
			return nil
		})
		return alive
	}
}

// roles returns the credentials of a task's two roles, nil where it names none.
// A role is one of the task's own account, whichever its ARN says: AWS lets
// nobody hand a task the role of another account.
func (s *Server) roles(p placed, now time.Time) (task, execution *wire.RoleCredentials) {
	if p.def == nil || s.cfg.Issuer == nil {
		return nil, nil
	}
	def := effective(p.def.Def, p.task.Overrides)
	return s.role(p.task, wire.TaskApplication, deref(def.TaskRoleArn), now),
		s.role(p.task, wire.TaskExecution, deref(def.ExecutionRoleArn), now)
}

// role makes credentials. Their id is the same each time: containers know it
// from their start.
func (s *Server) role(t cluster.Task, kind, role string, now time.Time) *wire.RoleCredentials {
	if role == "" {
		return nil
	}
	session := identity.Session{
		Account: t.Account, Role: identity.RoleName(role), Name: t.ID, Holder: t.ARN(),
		Expires: now.Add(s.cfg.RoleLife).UTC().Truncate(time.Second),
	}
	k := s.cfg.Issuer.Issue(session)
	if !strings.HasPrefix(role, "arn:") {
		role = "arn:aws:iam::" + t.Account + ":role/" + role
	}
	return &wire.RoleCredentials{
		ID: s.cfg.Issuer.Handle(kind, t.ARN()), RoleARN: role, AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey,
		SessionToken: k.SessionToken, Expiration: session.Expires.Format(time.RFC3339),
	}
}

// sendRoles gives the agent new credentials for the tasks that it has; tasks
// that are on their way bring theirs. It is done whether or not the agent asks for them, at the
// start of each session too: so what was lost with the one before does not
// matter, and what an agent acknowledges need not be remembered.
func (c *session) sendRoles(ctx context.Context, now time.Time) error {
	if c.srv.cfg.Issuer == nil {
		return nil
	}
	all, err := c.taken()
	if err != nil {
		return err
	}
	for _, p := range all {
		task, execution := c.srv.roles(p, now)
		if err := c.sendRole(ctx, p.task, wire.TaskApplication, task); err != nil {
			return err
		}
		if err := c.sendRole(ctx, p.task, wire.TaskExecution, execution); err != nil {
			return err
		}
	}
	return nil
}

// taken are the node's tasks but for those that the agent has yet to take
// charge of.
func (c *session) taken() (all []placed, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.srv.cfg.DB.View(func(r store.Reader) error {
		for t := range cluster.Tasks.By(r, "node", c.node) {
			if p := c.pushed[t.Key()]; p == nil || p.acked {
				all = append(all, read(r, t))
			}
		}
		return nil
	})
	return all, err
}

func (c *session) sendRole(ctx context.Context, t cluster.Task, kind string, role *wire.RoleCredentials) error {
	if role == nil {
		return nil
	}
	return c.send(ctx, &wire.IAMRoleCredentialsMessage{
		MessageID: cluster.NewUUID(), Task: t.ARN(), TaskCluster: cluster.ClusterARN(t.Scope, t.Cluster),
		RoleType: kind, Credentials: role,
	})
}
