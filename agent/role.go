package agent

import (
	"github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/network"
)

// setRole takes new credentials of one of the task's roles. Those of its
// execution role are for what an agent does on the task's behalf by calls of
// AWS's APIs, and this one does nothing so: it pulls images and writes logs as
// the node.
func (t *task) setRole(kind string, c *acs.RoleCredentials) {
	if kind != acs.TaskApplication || c == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.role = c
}

func (t *task) roleNow() *acs.RoleCredentials {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.role
}

// withoutKeys is what of c is no secret: its name and role.
func withoutKeys(c *acs.RoleCredentials) *acs.RoleCredentials {
	if c == nil {
		return nil
	}
	return &acs.RoleCredentials{ID: c.ID, RoleARN: c.RoleARN}
}

// roleEnv is the variable by which SDKs find the task role's credentials. In
// host mode it is a whole URL: they take one without TLS where its host is a
// loopback address.
func (t *task) roleEnv(meta string) (env [][2]string) {
	c := t.roleNow()
	switch path := "/v2/credentials/"; {
	case c == nil:
		return nil
	case t.mode() != network.Host:
		return [][2]string{{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path + c.ID}}
	case meta != "":
		return [][2]string{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", meta + path + c.ID}}
	}
	return nil
}
