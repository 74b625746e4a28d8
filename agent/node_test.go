package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/sim"
	"github.com/dhowhq/dhow/internal/acs"
)

func TestStopAll(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		a, b := vpcTask("172.31.0.9", of("a", "sim/stop-3s:1")), taskOf(of("b", "sim/pull-1h:1"))
		n.p.run(a, b)
		n.p.reaches(a, cluster.Running)
		if got := n.a.Tasks(); got[cluster.Running] != 1 || got[cluster.Pending] != 1 {
			t.Errorf("tasks %v", got)
		}
		if err := n.a.StopAll(t.Context()); err != nil {
			t.Error(err)
		}
		n.containers(0)
		n.p.reaches(a, cluster.Stopped)
		n.p.reaches(b, cluster.Stopped)
		n.p.send(&acs.PayloadMessage{MessageID: "late", SeqNum: 99, Tasks: []acs.Task{vpcTask("172.31.0.10", of("c", "busybox:1"))}})
		time.Sleep(time.Minute)
		n.containers(0)
	})
}

func TestPurge(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		a, b := vpcTask("172.31.0.9", of("a", "sim/stop-never:1")), taskOf(of("b", "busybox:1"))
		n.p.run(a, b)
		n.p.reaches(a, cluster.Running)
		n.p.reaches(b, cluster.Running)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := n.a.StopAll(ctx); err == nil {
			t.Error("a container that ignores SIGTERM was gone after a second")
		}
		cancel()
		n.halt()
		if err := n.a.Purge(t.Context()); err != nil {
			t.Error(err)
		}
		n.containers(0)
		if ends, _ := n.net.List(t.Context()); len(ends) != 0 {
			t.Errorf("endpoints are left: %+v", ends)
		}
		if _, err := os.Stat(n.cfg.DataDir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the data directory is left: %v", err)
		}
		if err := os.MkdirAll(n.cfg.DataDir, 0o700); err != nil { // for the bubble's end
			t.Fatal(err)
		}
		n.start()
	})
}

// book is a log service that remembers.
type book struct {
	mu      sync.Mutex
	streams map[string][]string
	open    []LogStream
	refuse  error
}

func (b *book) Open(_ context.Context, s LogStream) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = append(b.open, s)
	return b.refuse
}

func (b *book) Write(_ context.Context, s LogStream, es []LogEvent) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams == nil {
		b.streams = make(map[string][]string)
	}
	k := s.Group + ":" + s.Stream
	for _, e := range es {
		b.streams[k] = append(b.streams[k], e.Message)
	}
	return nil
}

func logged(c types.ContainerDefinition, options map[string]string) types.ContainerDefinition {
	c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: options}
	return c
}

// What containers write arrives in their streams, whole before the task is
// STOPPED; what has no log driver stays in a file.
func TestLogs(t *testing.T) {
	b := &book{}
	inBubble(t, func(t *testing.T, n *node) {
		c := logged(box("job", "echo hello; sleep 3; echo world"), map[string]string{
			"awslogs-group": "/g", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "pre", "awslogs-create-group": "true", "mode": "non-blocking", "max-buffer-size": "1m"})
		task := vpcTask("172.31.0.9", c, optional(box("plain", "echo kept")))
		n.p.run(task)
		n.p.reaches(task, cluster.Stopped)
		id := lastPart(task.ARN)
		b.mu.Lock()
		defer b.mu.Unlock()
		if got := strings.Join(b.streams["/g:pre/job/"+id], "|"); got != "hello|world" {
			t.Errorf("log %q of %v", got, b.streams)
		}
		if s := b.open[0]; !s.CreateGroup || s.Region != "eu-west-1" || s.Account != "000000000000" {
			t.Errorf("stream %+v", s)
		}
		if got, err := os.ReadFile(LogPath(n.cfg.DataDir, id, "plain")); err != nil || string(got) != "kept\n" {
			t.Errorf("local output %q, %v", got, err)
		}
		time.Sleep(time.Minute)
		if left, _ := filepath.Glob(LogPath(n.cfg.DataDir, id, "job") + "*"); len(left) != 0 {
			t.Errorf("left of what was taken: %v", left)
		}
	}, func(c *Config) { c.Logs = b })
}

func TestLogsRefused(t *testing.T) {
	b := &book{refuse: errors.New("ResourceNotFoundException: The specified log group does not exist.")}
	for _, c := range []struct {
		options map[string]string
		want    string
	}{
		{map[string]string{"awslogs-group": "/g"}, "The specified log group does not exist"},
		{map[string]string{}, "awslogs-group"},
		{map[string]string{"awslogs-group": "/g", "nonsense": "1"}, "unknown log opt 'nonsense'"},
		{map[string]string{"awslogs-group": "/g", "awslogs-multiline-pattern": "("}, "is no pattern"},
	} {
		inBubble(t, func(t *testing.T, n *node) {
			task := vpcTask("172.31.0.9", logged(of("a", "busybox:1"), c.options))
			n.p.run(task)
			end := n.p.reaches(task, cluster.Stopped)
			if !strings.HasPrefix(end.Reason, "ResourceInitializationError: ") || !strings.Contains(end.Reason, c.want) {
				t.Errorf("%v: reason %q", c.options, end.Reason)
			}
		}, func(c *Config) { c.Logs = b })
	}
}

func TestDatetimePattern(t *testing.T) {
	a := logged(of("a", "i"), map[string]string{"awslogs-group": "g", "awslogs-datetime-format": "[%b %d, %Y %H:%M:%S.%f]"})
	tk := &task{eng: &engine{cfg: Config{Logs: &book{}}}, msg: acs.Task{Dhow: &acs.Dhow{}}}
	l, err := tk.logOptions(&a)
	if err != nil {
		t.Fatal(err)
	}
	if !l.split([]byte("x [May 01, 2026 18:01:13.123] y")) || l.split([]byte("  at main(x.go:3)")) {
		t.Error("the pattern does not tell a time from none")
	}
}

func TestStopSignal(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		"": syscall.SIGTERM, "SIGQUIT": syscall.SIGQUIT, "quit": syscall.SIGQUIT, "3": syscall.SIGQUIT, "SIGRTMIN+3": 37, "RTMAX-1": 63,
		"nonsense": syscall.SIGTERM, "99": syscall.SIGTERM, "SIGRTMIN+99": syscall.SIGTERM,
	} {
		if got := stopSignal(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "256": 256, "1 vCPU": 1024, ".5 vcpu": 512, "2vCPU": 2048} {
		if got, err := size(text, "vcpu", 1024); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"x", "-1", "1 GB", "1e99"} {
		if got, err := size(bad, "vcpu", 1024); err == nil {
			t.Errorf("%q: %d", bad, got)
		}
	}
}

// spec is the driver's view of the first container of msg.
func specOf(t *testing.T, cfg Config, msg acs.Task) (driver.Spec, error) {
	t.Helper()
	cfg.DataDir = t.TempDir()
	drv, err := sim.Open(sim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	if _, err := drv.Pull(t.Context(), driver.Pull{Ref: "busybox:1"}, nil); err != nil {
		t.Fatal(err)
	}
	cfg.Driver = drv
	e := idleEngine(t, cfg)
	tk := newTask(e, msg)
	if err := os.MkdirAll(filepath.Join(cfg.DataDir, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &tk.def.ContainerDefinitions[0]
	return tk.spec(c, containerID(tk.id, *c.Name), driver.Image{Ref: "busybox:1"}, "/run/netns/x")
}

func TestSpec(t *testing.T) {
	c := types.ContainerDefinition{
		Name: aws.String("a"), Image: aws.String("busybox:1"), Cpu: 128, Memory: aws.Int32(64), MemoryReservation: aws.Int32(32),
		EntryPoint: []string{"/init"}, User: aws.String("nobody"), WorkingDirectory: aws.String("/srv"),
		Environment: []types.KeyValuePair{{Name: aws.String("AWS_REGION"), Value: aws.String("mine")}, {Name: aws.String("X"), Value: aws.String("1")}},
		Ulimits:     []types.Ulimit{{Name: "nofile", SoftLimit: 10, HardLimit: 20}}, Privileged: aws.Bool(true), ReadonlyRootFilesystem: aws.Bool(true),
		SystemControls: []types.SystemControl{{Namespace: aws.String("net.core.somaxconn"), Value: aws.String("99")}}, DockerSecurityOptions: []string{"no-new-privileges"},
		LinuxParameters: &types.LinuxParameters{
			InitProcessEnabled: aws.Bool(true), MaxSwap: aws.Int32(5), Swappiness: aws.Int32(7), SharedMemorySize: aws.Int32(3),
			Capabilities: &types.KernelCapabilities{Add: []string{"SYS_PTRACE"}}, Tmpfs: []types.Tmpfs{{ContainerPath: aws.String("/t"), Size: 9, MountOptions: []string{"noexec"}}},
			Devices: []types.Device{{HostPath: aws.String("/dev/fuse"), Permissions: []types.DeviceCgroupPermission{"read"}}},
		},
		ExtraHosts: []types.HostEntry{{Hostname: aws.String("h"), IpAddress: aws.String("1.2.3.4")}},
		DnsServers: []string{"9.9.9.9"}, DnsSearchDomains: []string{"example.com"},
		MountPoints:  []types.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/v"), ReadOnly: aws.Bool(true)}},
		DockerLabels: map[string]string{"l": "1"},
	}
	msg := vpcTask("172.31.0.9", c)
	msg.Dhow.Definition.Cpu, msg.Dhow.Definition.Memory = aws.String("0.5 vCPU"), aws.String("256")
	msg.Dhow.Definition.Volumes = []types.Volume{{Name: aws.String("v")}}
	s, err := specOf(t, Config{ServeAPI: discard, Region: "us-east-1"}, msg)
	if err != nil {
		t.Fatal(err)
	}
	id := lastPart(msg.ARN)
	if s.CPUShares != 128 || s.Memory != 64*mib || s.MemoryReservation != 32*mib || s.MemorySwap != 5*mib || *s.Swappiness != 7 || s.ShmSize != 3*mib ||
		s.CgroupParent != id || s.ParentCPUQuota != 512 || s.ParentMemory != 256*mib {
		t.Errorf("sizes %+v", s)
	}
	if s.User != "nobody" || s.WorkingDir != "/srv" || !s.Privileged || !s.ReadonlyRoot || !s.NoNewPrivileges || !s.Init || s.Command == nil || len(s.Command) != 0 ||
		s.Hostname != "ip-172-31-0-9.ec2.internal" || s.NetNS != "/run/netns/x" || s.Sysctls["net.core.somaxconn"] != "99" || s.Labels["l"] != "1" ||
		s.Labels["com.amazonaws.ecs.task-arn"] != msg.ARN || s.Devices[0] != (driver.Device{Host: "/dev/fuse", Container: "/dev/fuse", Permissions: "r"}) {
		t.Errorf("spec %+v", s)
	}
	env := strings.Join(s.Env, " ")
	for _, want := range []string{"AWS_REGION=mine", "AWS_DEFAULT_REGION=us-east-1", "X=1", "AWS_EXECUTION_ENV=AWS_ECS_EC2", "AWS_ENDPOINT_URL=http://169.254.170.2:4566",
		"ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/" + s.ID, "ECS_AGENT_URI=http://169.254.170.2/api/"} {
		if !slices.Contains(s.Env, want) && !strings.Contains(env, want) {
			t.Errorf("environment lacks %s: %v", want, s.Env)
		}
	}
	if strings.Count(env, "AWS_REGION=") != 1 || strings.Contains(env, "CREDENTIALS") {
		t.Errorf("environment %v", s.Env)
	}
	mounts := make(map[string]driver.Mount)
	for _, m := range s.Mounts {
		mounts[m.Target] = m
	}
	if m := mounts["/t"]; m.Type != "tmpfs" || !slices.Equal(m.Options, []string{"noexec", "size=9m"}) {
		t.Errorf("tmpfs %+v", m)
	}
	if m := mounts["/v"]; !m.ReadOnly || !strings.Contains(m.Source, id) {
		t.Errorf("volume %+v", m)
	}
	for file, want := range map[string]string{
		"/etc/hosts": "172.31.0.9\tip-172-31-0-9.ec2.internal ip-172-31-0-9\n1.2.3.4\th\n", "/etc/hostname": "ip-172-31-0-9.ec2.internal\n", "/etc/resolv.conf": "nameserver 9.9.9.9\nsearch example.com\n",
	} {
		if b, err := os.ReadFile(mounts[file].Source); err != nil || !strings.HasSuffix(string(b), want) {
			t.Errorf("%s: %q, %v", file, b, err)
		}
	}
}

// A task has a cgroup of its own if it has limits, or several containers.
func TestCgroup(t *testing.T) {
	a, b := of("a", "busybox:1"), of("b", "busybox:1")
	limited := vpcTask("172.31.0.9", a)
	limited.Dhow.Definition.Memory = aws.String("64")
	for name, c := range map[string]struct {
		msg acs.Task
		own bool
	}{
		"alone":   {vpcTask("172.31.0.9", a), false},
		"limited": {limited, true},
		"two":     {vpcTask("172.31.0.9", a, b), true},
	} {
		s, err := specOf(t, Config{}, c.msg)
		if err != nil || (s.CgroupParent != "") != c.own || c.own && s.CgroupParent != lastPart(c.msg.ARN) {
			t.Errorf("%s: cgroup %q, %v", name, s.CgroupParent, err)
		}
	}
}

func TestVolumes(t *testing.T) {
	with := func(v types.Volume, others ...types.ContainerDefinition) acs.Task {
		v.Name = aws.String("v")
		c := of("a", "busybox:1")
		c.MountPoints = []types.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/v")}}
		msg := vpcTask("172.31.0.9", append([]types.ContainerDefinition{c}, others...)...)
		msg.Dhow.Definition.Volumes = []types.Volume{v}
		return msg
	}
	host := filepath.Join(t.TempDir(), "made", "below")
	for name, c := range map[string]struct {
		v    types.Volume
		want string // part of the source, or of the error after "!"
	}{
		"scratch":        {types.Volume{}, "/tasks/"},
		"host":           {types.Volume{Host: &types.HostVolumeProperties{SourcePath: &host}}, host},
		"docker task":    {types.Volume{DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Scope: "task"}}, "/tasks/"},
		"docker shared":  {types.Volume{DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Scope: "shared", Autoprovision: aws.Bool(true)}}, "/volumes/000000000000/v"},
		"not there":      {types.Volume{DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Scope: "shared"}}, "!autoprovision is off"},
		"foreign driver": {types.Volume{DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Driver: aws.String("rexray")}}, `!driver "rexray"`},
		"driver options": {types.Volume{DockerVolumeConfiguration: &types.DockerVolumeConfiguration{DriverOpts: map[string]string{"type": "nfs"}}}, "!driverOpts"},
		"efs":            {types.Volume{EfsVolumeConfiguration: &types.EFSVolumeConfiguration{}}, "!only host and docker volumes"},
	} {
		s, err := specOf(t, Config{}, with(c.v))
		if part, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), part) || !strings.HasPrefix(err.Error(), cannotVolume) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if src := s.Mounts[0].Source; !strings.Contains(src, c.want) || s.Mounts[0].Fill == (name == "host") {
			t.Errorf("%s: mounted as %+v", name, s.Mounts[0])
		} else if st, err := os.Stat(src); err != nil || !st.IsDir() {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Volumes of another container, and of one that takes this one's.
	msg := with(types.Volume{}, of("b", "busybox:1"))
	cs := msg.Dhow.Definition.ContainerDefinitions
	cs[0], cs[1] = cs[1], cs[0]
	cs[0].VolumesFrom = []types.VolumeFrom{{SourceContainer: aws.String("a"), ReadOnly: aws.Bool(true)}}
	s, err := specOf(t, Config{}, msg)
	if err != nil || s.Mounts[0].Target != "/v" || !s.Mounts[0].ReadOnly {
		t.Errorf("volumesFrom: %+v, %v", s.Mounts, err)
	}
	cs[1].VolumesFrom = []types.VolumeFrom{{SourceContainer: aws.String("b")}}
	if _, err := specOf(t, Config{}, msg); err == nil {
		t.Error("containers that take volumes from each other were accepted")
	}
	if _, err := makeVolume(t.TempDir(), "../x"); err == nil {
		t.Error("a volume outside its place was made")
	}
}

func TestImages(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		m := newImages(n.cfg)
		if _, err := m.get(t.Context(), "busybox:1"); err != nil {
			t.Fatal(err)
		}
		// A registry that cannot be reached does not keep a present image from
		// being used.
		m.registry = func(ref string) (driver.Pull, bool) {
			return driver.Pull{Ref: ref, Endpoint: "127.0.0.1:1"}, strings.HasPrefix(ref, "000000000000.dkr.")
		}
		if got := m.request("000000000000.dkr.ecr.us-east-1.amazonaws.com/x:1"); got.Endpoint == "" {
			t.Errorf("request %+v", got)
		}
		if got := m.request("busybox:1"); got.Endpoint != "" {
			t.Errorf("request %+v", got)
		}
		began := time.Now()
		if _, err := m.get(t.Context(), "sim/fail-unreachable:1"); !errors.Is(err, driver.ErrUnreachable) {
			t.Errorf("unreachable: %v", err)
		}
		if d := time.Since(began); d < 4*time.Second {
			t.Errorf("given up after %v", d)
		}
		began = time.Now()
		if _, err := m.get(t.Context(), "sim/fail-notfound:1"); !errors.Is(err, driver.ErrImageNotFound) {
			t.Errorf("not found: %v", err)
		}
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("an image that does not exist was asked for for %v", d)
		}
	})
}

func TestMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "sim/cpu-50-mem-64:1"))
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.p.until("metrics", func() bool { return len(n.p.metrics) > 0 })
		n.p.note(func() {
			m := n.p.metrics[0]
			if m.Task != task.ARN || len(m.Containers) != 1 {
				t.Fatalf("metrics %+v", m)
			}
			if c := m.Containers[0]; fmt.Sprintf("%.0f %.0f", c.CPU.Sum, c.Memory.Sum) != "50 64" {
				t.Errorf("cpu %+v, memory %+v", c.CPU, c.Memory)
			}
		})
	})
}
