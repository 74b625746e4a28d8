package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// peak is the most memory that a process has had since reset, in bytes.
func peak(t *testing.T, pid int) (most int64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(v, &most)
		}
	}
	return most << 10
}

// A container that logs 100 MB in a burst is done as soon as it has written
// them; they arrive whole in its log group, and the platform's memory does not
// grow with them.
func TestLogBurst(t *testing.T) {
	p := need(t)
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("no busybox to log with: ", err)
	}
	account := newAccount()
	const lines, line = 100 << 20 / 128, "0123456789abcdef"
	c := p.config(account)
	run, logs, ctx := ecs.NewFromConfig(c), cwl.NewFromConfig(c), t.Context()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/busybox sh\n/busybox yes %s | /busybox head -n %d\n", strings.Repeat(line, 8)[1:], lines)
	if err := os.WriteFile(filepath.Join(dir, "burst"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "busybox"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command(dhow, "image", "build", "-t", "burst:1", "--entrypoint", "/burst", dir)
	build.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+account)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := run.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("burst")}); err != nil {
		t.Fatal(err)
	}
	if _, err := run.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: aws.String("burst"), NetworkMode: types.NetworkModeNone,
		ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("app"), Image: aws.String(account + ".dkr.ecr.us-east-1.amazonaws.com/burst:1"), Memory: aws.Int32(64),
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": "/burst", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "x", "awslogs-create-group": "true"}}}}}); err != nil {
		t.Fatal(err)
	}
	pid := p.cmd.Process.Pid
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Skip("the peak of memory cannot be reset: ", err)
	}
	before := peak(t, pid)
	out, err := run.RunTask(ctx, &ecs.RunTaskInput{Cluster: aws.String("burst"), TaskDefinition: aws.String("burst")})
	if err != nil || len(out.Failures) > 0 {
		t.Fatal(out, err)
	}
	task := *out.Tasks[0].TaskArn
	var took time.Duration
	eventually(t, 90*time.Second, func() error {
		d, err := run.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("burst"), Tasks: []string{task}})
		if err != nil {
			return err
		}
		k := d.Tasks[0]
		if aws.ToString(k.LastStatus) != "STOPPED" {
			return fmt.Errorf("the task is %s", aws.ToString(k.LastStatus))
		}
		if code := k.Containers[0].ExitCode; code == nil || *code != 0 {
			t.Fatalf("it ended with %+v: %s", k.Containers[0], aws.ToString(k.StoppedReason))
		}
		took = k.ExecutionStoppedAt.Sub(*k.StartedAt)
		return nil
	})
	eventually(t, 60*time.Second, func() error {
		g, err := logs.DescribeLogGroups(ctx, &cwl.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/burst")})
		if err != nil {
			return err
		}
		// A record is a line without its end, and 24 bytes.
		if have, want := *g.LogGroups[0].StoredBytes, int64(lines*(127+24)); have != want {
			return fmt.Errorf("%d bytes of records are stored, want %d", have, want)
		}
		return nil
	})
	grown := peak(t, pid) - before
	t.Logf("the container took %v, the platform's memory grew by %d MiB at most", took, grown>>20)
	if grown > 100<<20 {
		t.Errorf("the platform's memory grew by %d MiB for 100 MiB of output", grown>>20)
	}
}
