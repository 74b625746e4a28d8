package acs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/cluster"
	wire "github.com/dhowhq/dhow/internal/acs"
	ecsface "github.com/dhowhq/dhow/services/ecs"
	"github.com/dhowhq/dhow/store"
)

// withRoles defines f with a task role of another account's ARN and with an
// execution role that is named by its path.
func (w *world) withRoles() {
	w.register(ecs.RegisterTaskDefinitionInput{
		TaskRoleArn: aws.String("arn:aws:iam::111122223333:role/apps/orders"), ExecutionRoleArn: aws.String("service/runner"),
		NetworkMode:          types.NetworkModeBridge,
		ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("web"), Image: aws.String("nginx")}},
	})
}

// as makes calls with the credentials of a role.
func (w *world) as(c *wire.RoleCredentials) error {
	_, err := w.client(credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)).
		DescribeClusters(w.t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"c"}})
	return err
}

func refusedWith(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}

// A stock agent gets the credentials of both roles with a task, again when it
// connects anew, and new ones in good time, always by the same id; they are
// good until the task has stopped, and appear nowhere else.
func TestRoles(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RoleLife = 12 * time.Second })
	instance := w.stock()
	c := w.connect(instance)
	w.until("agentConnected", func() bool { return w.connected(instance) })
	w.withRoles()
	arn := w.run(1)[0]
	p := next[wire.PayloadMessage](c)
	role, execution := p.Tasks[0].Role, p.Tasks[0].ExecutionRole
	if role == nil || execution == nil {
		t.Fatalf("task %+v", p.Tasks[0])
	}
	if role.RoleARN != "arn:aws:iam::111122223333:role/apps/orders" || execution.RoleARN != "arn:aws:iam::000000000000:role/service/runner" || role.ID == execution.ID {
		t.Errorf("roles %+v, %+v", role, execution)
	}
	if at, err := time.Parse(time.RFC3339, role.Expiration); err != nil || !strings.HasSuffix(role.Expiration, "Z") || time.Until(at) > 12*time.Second {
		t.Errorf("expiration %s", role.Expiration)
	}
	for _, k := range []*wire.RoleCredentials{role, execution} {
		if err := w.as(k); err != nil {
			t.Errorf("as %s: %v", k.RoleARN, err)
		}
	}
	c.ack(p.MessageID)
	c.say(&wire.IAMRoleCredentialsAckRequest{MessageID: p.MessageID, Expiration: role.Expiration, CredentialsID: role.ID})

	// New ones, in this session and at the start of the next.
	for range 2 {
		kinds := map[string]*wire.RoleCredentials{}
		for len(kinds) < 2 {
			m := next[wire.IAMRoleCredentialsMessage](c)
			if m.Task != arn || m.MessageID == "" {
				t.Fatalf("message %+v", m)
			}
			kinds[m.RoleType] = m.Credentials
			c.say(&wire.IAMRoleCredentialsAckRequest{MessageID: m.MessageID, Expiration: m.Credentials.Expiration, CredentialsID: m.Credentials.ID})
		}
		again, other := kinds[wire.TaskApplication], kinds[wire.TaskExecution]
		if again == nil || other == nil || again.ID != role.ID || other.ID != execution.ID || again.AccessKeyID == role.AccessKeyID {
			t.Errorf("renewed as %+v, %+v", again, other)
		}
		if err := w.as(again); err != nil {
			t.Errorf("with new credentials: %v", err)
		}
		w.report(arn, "RUNNING")
		c = w.connect(instance)
	}

	secrets := []string{role.SecretAccessKey, role.SessionToken, role.ID}
	text, _ := json.Marshal(w.task(arn))
	w.db.View(func(r store.Reader) error {
		for e := range cluster.Events.List(r, "") {
			b, err := ecsface.EventRenderer(w.db)(e)
			if err != nil {
				t.Error(err)
			}
			text = append(text, b...)
		}
		return nil
	})
	for _, s := range secrets {
		if strings.Contains(string(text), s) {
			t.Errorf("%s is told", s)
		}
	}

	// Until it has stopped.
	fresh := w.srv.role(w.row(arn), wire.TaskApplication, "orders", time.Now().Add(time.Hour))
	w.must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("c"), Task: &arn}))
	if err := w.as(fresh); err != nil {
		t.Errorf("while it stops: %v", err)
	}
	w.report(arn, "STOPPED")
	if err := w.as(fresh); !refusedWith(err, "ExpiredTokenException") {
		t.Errorf("after its end: %v", err)
	}
}

// The override of a task comes before its definition.
func TestRoleOverride(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	c := w.connect(instance)
	w.until("agentConnected", func() bool { return w.connected(instance) })
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	w.run(1)
	if p := next[wire.PayloadMessage](c); p.Tasks[0].Role != nil || p.Tasks[0].ExecutionRole != nil {
		t.Errorf("a task without roles has %+v", p.Tasks[0])
	}
	w.run(1, func(in *ecs.RunTaskInput) { in.Overrides = &types.TaskOverride{TaskRoleArn: aws.String("other")} })
	for {
		p := next[wire.PayloadMessage](c)
		if r := p.Tasks[len(p.Tasks)-1].Role; r != nil {
			if r.RoleARN != "arn:aws:iam::000000000000:role/other" {
				t.Errorf("role %+v", r)
			}
			return
		}
	}
}

// report tells of a task as its agent does.
func (w *world) report(arn, status string) {
	w.t.Helper()
	w.must(w.ecs.SubmitTaskStateChange(w.t.Context(), &ecs.SubmitTaskStateChangeInput{Cluster: aws.String("c"), Task: &arn, Status: &status,
		Containers: []types.ContainerStateChange{{ContainerName: aws.String("web"), Status: &status}}}))
}

// row is a task as the store has it.
func (w *world) row(arn string) (row cluster.Task) {
	w.t.Helper()
	key, _ := taskKey(arn)
	err := w.db.View(func(r store.Reader) (err error) {
		var ok bool
		if row, ok = cluster.Tasks.Get(r, key); !ok {
			err = fmt.Errorf("no task %s", arn)
		}
		return err
	})
	w.must(nil, err)
	return row
}
