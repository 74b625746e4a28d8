package test

import (
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestTaskRole runs a program that finds everything by the SDK's default chain:
// it is the task's role, in the task's account, in each network mode.
func TestTaskRole(t *testing.T) {
	l := newLab(t)
	role := "arn:aws:iam::" + l.account + ":role/apps/orders"
	for _, mode := range []types.NetworkMode{types.NetworkModeAwsvpc, types.NetworkModeBridge, types.NetworkModeHost} {
		t.Run(string(mode), func(t *testing.T) {
			l := l.in(t)
			task := l.run(mode, &ecs.RegisterTaskDefinitionInput{TaskRoleArn: &role, ContainerDefinitions: []types.ContainerDefinition{l.probe("whoami")}})
			l.stopped(task)
			var got struct {
				Account, Arn, UserId, Region string
				Clusters                     []string
			}
			if err := json.Unmarshal([]byte(l.said(task)), &got); err != nil {
				t.Fatalf("it said %q: %v", l.said(task), err)
			}
			id := path.Base(task)
			if got.Account != l.account || got.Arn != "arn:aws:sts::"+l.account+":assumed-role/orders/"+id || got.Region != "us-east-1" ||
				!strings.HasPrefix(got.UserId, "AROA") || !strings.HasSuffix(got.UserId, ":"+id) ||
				len(got.Clusters) != 1 || !strings.HasSuffix(got.Clusters[0], ":"+l.account+":cluster/lab") {
				t.Errorf("it is %+v", got)
			}
		})
	}
}
