package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/containerd"
	"github.com/dhowhq/dhow/driver/drivertest"
	"github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/network"
)

// real is an agent over containerd and Linux namespaces, whose host network is
// a namespace of the test's own.
type real struct {
	*node
	logs  *book
	image string
	rdrv  *containerd.Driver
}

func newReal(t *testing.T, more ...drivertest.File) *real {
	t.Helper()
	if problems := containerd.Check(); len(problems) > 0 {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatal(problems[0])
		}
		t.Skip("containers cannot run here: ", problems[0])
	}
	dir := t.TempDir()
	if _, err := containerd.Claim(filepath.Join(dir, "containerd")); err != nil {
		t.Fatal(err)
	}
	drv, err := containerd.Open(t.Context(), containerd.Config{DataDir: filepath.Join(dir, "containerd"), Private: true, InitPath: initProgram(t), Log: logTo(t)})
	if err != nil {
		t.Fatal(err)
	}
	nw, err := network.Open(t.Context(), network.Config{DataDir: filepath.Join(dir, "network"), Log: logTo(t), HostNamespace: hostNamespace(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := drv.Purge(ctx); err != nil {
			t.Errorf("purge containers: %v", err)
		}
		drv.Close()
		if err := nw.Purge(ctx); err != nil {
			t.Errorf("purge network: %v", err)
		}
		nw.Close()
	})
	reg := drivertest.NewRegistry(t)
	image := reg.Push(t, "busybox:1", drivertest.Busybox(t, v1.Config{StopSignal: "SIGTERM", Volumes: map[string]struct{}{"/given": {}}}, more...))
	r := &real{logs: &book{}, image: image, rdrv: drv}
	p := newPlane(t)
	p.patience = 30 * time.Second
	r.node = &node{t: t, p: p, cfg: p.config(filepath.Join(dir, "node"))}
	r.cfg.Driver, r.cfg.Network, r.cfg.Logs = drv, nw, r.logs
	r.cfg.Registry = func(ref string) (driver.Pull, bool) {
		return driver.Pull{Ref: ref, PlainHTTP: true}, strings.HasPrefix(ref, reg.Host)
	}
	api := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the API\n") })}
	r.cfg.ServeAPI = api.Serve
	r.start()
	t.Cleanup(func() {
		r.halt()
		p.stop()
		api.Close()
	})
	p.ready()
	return r
}

// initProgram builds what containers run as an init.
func initProgram(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "dhow-init")
	cmd := exec.Command("go", "build", "-o", bin, "../driver/containerd/initproc/dhow-init")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// hostNamespace makes a network namespace to stand for the host's.
func hostNamespace(t *testing.T) string {
	t.Helper()
	path := fmt.Sprintf("/run/dhow-agent-test-%d", os.Getpid())
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			err = netlink.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}})
		}
		if err == nil {
			err = os.WriteFile(path, nil, 0o400)
		}
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		// It may be the process's first thread, which cannot end and stands for
		// the whole process in /proc/self.
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Unmount(path, unix.MNT_DETACH)
		os.Remove(path)
	})
	return path
}

// sh is a container of the test's image that runs a script.
func (r *real) sh(name, script string) types.ContainerDefinition {
	return types.ContainerDefinition{Name: &name, Image: &r.image, Memory: aws.Int32(64), Command: []string{"sh", "-c", script}}
}

func (r *real) logOf(t acs.Task, name string) string {
	r.logs.mu.Lock()
	defer r.logs.mu.Unlock()
	return strings.Join(r.logs.streams["/g:p/"+name+"/"+lastPart(t.ARN)], "\n")
}

var toGroup = map[string]string{"awslogs-group": "/g", "awslogs-stream-prefix": "p"}

// A task sees its address, its name, metadata, the API and its environment;
// what it says arrives in its log stream before it is reported as stopped.
func TestRealTask(t *testing.T) {
	r := newReal(t)
	get := `ask() { printf "GET $2 HTTP/1.0\r\nHost: x\r\n\r\n" | nc $1 | tail -n 1; }; `
	c := logged(r.sh("app", get+`
		hostname; cat /etc/hosts; cat /etc/resolv.conf
		ask "169.254.170.2 80" ${ECS_CONTAINER_METADATA_URI_V4#http://169.254.170.2}/task
		ask "169.254.170.2 4566" /
		echo region $AWS_REGION endpoint $AWS_ENDPOINT_URL
		cat /data/note; echo more > /data/other; exit 3`), toGroup)
	c.MountPoints = []types.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/data")}}
	first := optional(r.sh("first", "echo from first > /data/note"))
	first.MountPoints = c.MountPoints
	task := vpcTask("172.31.0.9", after(c, "first", "SUCCESS"), first)
	task.Dhow.Definition.Volumes = []types.Volume{{Name: aws.String("v")}}
	task.Dhow.Definition.Cpu, task.Dhow.Definition.Memory = aws.String("512"), aws.String("256")
	r.p.run(task)
	end := r.p.reaches(task, cluster.Stopped)
	if k := end.Containers[0]; k.ExitCode == nil || *k.ExitCode != 3 || end.Reason != essentialExited {
		t.Errorf("reported %+v", end)
	}
	log := r.logOf(task, "app")
	for _, want := range []string{"ip-172-31-0-9.ec2.internal", "172.31.0.9\tip-172-31-0-9.ec2.internal", `"TaskARN":"` + task.ARN, "the API",
		"region us-east-1 endpoint http://169.254.170.2:4566", "from first", "nameserver"} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %q:\n%s", want, log)
		}
	}
	r.gone()
}

// gone waits until nothing of ended tasks is left.
func (r *real) gone() {
	r.t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		list, err := r.rdrv.List(r.t.Context())
		ends, nerr := r.cfg.Network.List(r.t.Context())
		if err == nil && nerr == nil && len(list) == 0 && len(ends) == 0 && len(r.a.engine.all()) == 0 {
			return
		}
		if time.Now().After(limit) {
			r.t.Fatalf("left: containers %+v, endpoints %+v, %v, %v", list, ends, err, nerr)
		}
	}
}

// Real containers survive the agent, are stopped by signal, are killed when
// they run out of memory, and fail in AWS's words.
func TestRealLife(t *testing.T) {
	r := newReal(t)
	polite := vpcTask("172.31.0.20", r.sh("a", `trap "echo bye; exit 7" TERM; while :; do usleep 50000; done`))
	ports := r.sh("b", "while :; do usleep 100000; done")
	ports.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(80)}}
	ports.StopTimeout = aws.Int32(2)
	ports.HealthCheck = &types.HealthCheck{Command: []string{"CMD-SHELL", "test -f /tmp/ok || touch /tmp/ok"}}
	bridged := taskOf(ports)
	greedy := taskOf(r.sh("c", "usleep 300000; tail /dev/zero"))
	missing := taskOf(types.ContainerDefinition{Name: aws.String("d"), Image: &r.image, Command: []string{"/nope"}})
	nothing := taskOf(types.ContainerDefinition{Name: aws.String("e"), Image: aws.String(r.image + "-not")})
	r.p.run(polite, bridged, greedy, missing, nothing)
	r.p.reaches(polite, cluster.Running)
	if b := r.p.reaches(bridged, cluster.Running).Containers[0].NetworkBindings; len(b) != 1 || b[0].HostPort == 0 {
		t.Errorf("bindings %+v", b)
	}
	r.p.until("health", func() bool { return r.p.health["b"] == "HEALTHY" })
	if end := r.p.reaches(greedy, cluster.Stopped); *end.Containers[0].ExitCode != 137 || !strings.HasPrefix(end.Containers[0].Reason, "OutOfMemoryError: ") {
		t.Errorf("out of memory: %+v", end)
	}
	if end := r.p.reaches(missing, cluster.Stopped); !strings.HasPrefix(end.Reason, "CannotStartContainerError: ") || !strings.Contains(end.Reason, "/nope") {
		t.Errorf("no command: %+v", end)
	}
	if end := r.p.reaches(nothing, cluster.Stopped); !strings.HasPrefix(end.Reason, "CannotPullContainerError: ") {
		t.Errorf("no image: %+v", end)
	}
	r.halt()
	r.p.note(func() { r.p.session = nil })
	r.start()
	r.p.end(polite)
	if end := r.p.reaches(polite, cluster.Stopped); *end.Containers[0].ExitCode != 7 {
		t.Errorf("polite: %+v", end)
	}
	r.p.end(bridged)
	r.p.reaches(bridged, cluster.Stopped)
	r.gone()
}

// Starting a task costs hardly more than creating and starting its container.
func TestRealLaunchTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	r := newReal(t)
	warm := vpcTask("172.31.0.4", r.sh("a", "sleep 600"))
	r.p.run(warm)
	r.p.reaches(warm, cluster.Running)

	var floor, full []time.Duration
	for i := range 10 {
		began := time.Now()
		id := fmt.Sprintf("floor-%d", i)
		if err := r.rdrv.Create(t.Context(), driver.Spec{ID: id, Image: r.image, Command: []string{"sleep", "600"}, CgroupParent: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.rdrv.Start(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		floor = append(floor, time.Since(began))
		task := vpcTask(fmt.Sprintf("172.31.0.%d", 30+i), r.sh("a", "sleep 600"))
		began = time.Now()
		r.p.send(&acs.PayloadMessage{MessageID: cluster.NewID(), SeqNum: int64(1000 + i), Tasks: []acs.Task{task}})
		r.p.reaches(task, cluster.Running)
		full = append(full, time.Since(began))
	}
	slices.Sort(floor)
	slices.Sort(full)
	ratio := float64(full[5]) / float64(floor[5])
	t.Logf("p50: driver's create and start %v, payload to RUNNING told %v: %.2f times", floor[5], full[5], ratio)

	// 20 at once: the bare loop before and after, for what runs already slows
	// down what follows.
	before := r.bareBurst("before")
	m := &acs.PayloadMessage{MessageID: cluster.NewID(), SeqNum: 5000}
	for i := range 20 {
		m.Tasks = append(m.Tasks, vpcTask(fmt.Sprintf("172.31.0.%d", 60+i), r.sh("a", "sleep 600")))
	}
	began := time.Now()
	r.p.send(m)
	for _, task := range m.Tasks {
		r.p.reaches(task, cluster.Running)
	}
	burst := time.Since(began)
	bare := (before + r.bareBurst("after")) / 2
	t.Logf("20 at once: driver %v, agent %v: %.2f times", bare, burst, float64(burst)/float64(bare))
	// Generous: other work on the machine counts in too.
	if ratio > 2.5 {
		t.Errorf("a task takes %.2f times as long as its container", ratio)
	}
}

// bareBurst is how long 20 containers take that are made at once.
func (r *real) bareBurst(name string) time.Duration {
	var all sync.WaitGroup
	began := time.Now()
	for i := range 20 {
		all.Go(func() {
			id := fmt.Sprintf("%s-%d", name, i)
			if err := r.rdrv.Create(context.Background(), driver.Spec{ID: id, Image: r.image, Command: []string{"sleep", "600"}, CgroupParent: id}); err != nil {
				r.t.Error(err)
				return
			}
			if _, err := r.rdrv.Start(context.Background(), id); err != nil {
				r.t.Error(err)
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

var _ net.Listener = (*plane)(nil)
