package agent

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
)

func credsOf(key string) *acs.RoleCredentials {
	return &acs.RoleCredentials{ID: "cred-1", RoleARN: "arn:r", AccessKeyID: key, SecretAccessKey: "SK", SessionToken: "T", Expiration: "2030-01-01T00:00:00Z"}
}

// A task's containers are told where their credentials are, also those that
// start after the agent has come back; the keys come anew from the control
// plane, which may send others at any time.
func TestRole(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "busybox:1"))
		task.Role, task.ExecutionRole = credsOf("AK"), credsOf("EX")
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		env := func() {
			t.Helper()
			x := n.a.engine.get(lastPart(task.ARN))
			if got := x.env(&x.def.ContainerDefinitions[0], "id"); !slices.Contains(got, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/cred-1") {
				t.Errorf("environment %q", got)
			}
		}
		ask := func(want int, key string) {
			t.Helper()
			rec := &recorder{header: make(http.Header)}
			r, _ := http.NewRequestWithContext(context.WithValue(t.Context(), taskKey{}, lastPart(task.ARN)), "GET", "/v2/credentials/cred-1", nil)
			n.a.engine.meta.server.Handler.ServeHTTP(rec, r)
			if rec.code != want || !strings.Contains(rec.b.String(), key) {
				t.Errorf("credentials: %d %s, want %d %s", rec.code, rec.b.String(), want, key)
			}
		}
		env()
		ask(200, `"AccessKeyId":"AK"`)

		n.halt()
		n.p.note(func() { n.p.session = nil })
		n.start()
		n.p.ready()
		env()
		ask(503, "not here yet")
		for i, kind := range []string{acs.TaskExecution, acs.TaskApplication} {
			n.p.note(func() { n.p.roleAcks = nil })
			n.p.send(&acs.IAMRoleCredentialsMessage{MessageID: "m", Task: task.ARN, RoleType: kind, Credentials: credsOf([]string{"EX2", "AK2"}[i])})
			n.p.until("acknowledgement", func() bool { return len(n.p.roleAcks) == 1 })
		}
		ask(200, `"AccessKeyId":"AK2"`)
		// A payload that comes again has the newest.
		task.Role = credsOf("AK3")
		n.p.run(task)
		ask(200, `"AccessKeyId":"AK3"`)
	})
}

func TestRoleEnv(t *testing.T) {
	for _, c := range []struct {
		mode, meta string
		role       *acs.RoleCredentials
		want       string
	}{
		{"awsvpc", "http://169.254.170.2", credsOf("AK"), "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/cred-1"},
		{"host", "http://127.0.0.1:5", credsOf("AK"), "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:5/v2/credentials/cred-1"},
		{"host", "", credsOf("AK"), ""},
		{"bridge", "http://169.254.170.2", nil, ""},
	} {
		got := ""
		for _, kv := range (&task{msg: acs.Task{NetworkMode: c.mode}, role: c.role}).roleEnv(c.meta) {
			got += kv[0] + "=" + kv[1]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.mode, got, c.want)
		}
	}
}
