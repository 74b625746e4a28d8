package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"
)

const systemSocket = "/run/containerd/containerd.sock"

func (p paths) socket() string     { return filepath.Join(p.run, "containerd.sock") }
func (p paths) pidFile() string    { return filepath.Join(p.run, "containerd.pid") }
func (p paths) daemonRoot() string { return filepath.Join(p.data, "containerd") }
func (p paths) daemonLog() string  { return filepath.Join(p.data, "containerd.log") }
func (p paths) choice() string     { return filepath.Join(p.data, "runtime") }

// findDaemon returns the socket of the containerd to use. Containers live in
// the containerd that made them, so the first choice of a data directory is
// kept in a file and a later Open does not drift to another one.
func findDaemon(ctx context.Context, cfg Config, p paths) (string, error) {
	if cfg.Socket != "" {
		if !socketAnswers(cfg.Socket) {
			return "", Problem{fmt.Errorf("%w: nothing listens at %s", ErrDaemon, cfg.Socket), "start that containerd, or give no socket to let dhow find or start one"}
		}
		return cfg.Socket, nil
	}
	choice, _ := os.ReadFile(p.choice())
	switch was := strings.TrimSpace(string(choice)); {
	case cfg.Private || was == p.socket():
	case was != "" && socketAnswers(was):
		return was, nil
	case was != "":
		return "", Problem{
			fmt.Errorf("%w: nothing listens at %s, which has this data directory's containers", ErrDaemon, was),
			"`systemctl start containerd`; or remove " + p.choice() + " to go on without those containers",
		}
	case usable(ctx, cfg.system):
		return cfg.system, os.WriteFile(p.choice(), []byte(cfg.system+"\n"), 0o644)
	}
	if err := startPrivate(ctx, p); err != nil {
		return "", err
	}
	return p.socket(), os.WriteFile(p.choice(), []byte(p.socket()+"\n"), 0o644)
}

func socketAnswers(path string) bool {
	c, err := net.DialTimeout("unix", path, 300*time.Millisecond)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// usable tells whether a containerd answers at the socket and has a
// snapshotter that dhow can use.
func usable(ctx context.Context, socket string) bool {
	if !socketAnswers(socket) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	cl, err := client.New(socket, client.WithTimeout(500*time.Millisecond))
	if err != nil {
		return false
	}
	defer cl.Close()
	_, err = pickSnapshotter(ctx, cl)
	return err == nil
}

// pickSnapshotter prefers overlayfs and falls back to plain copies where the
// file system below containerd cannot carry overlays.
func pickSnapshotter(ctx context.Context, cl *client.Client) (string, error) {
	resp, err := cl.IntrospectionService().Plugins(ctx, "type==io.containerd.snapshotter.v1")
	if err != nil {
		return "", err
	}
	ok := map[string]bool{}
	for _, p := range resp.Plugins {
		ok[p.ID] = p.InitErr == nil
	}
	for _, name := range []string{"overlayfs", "native"} {
		if ok[name] {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: it has neither the overlayfs nor the native snapshotter", ErrDaemon)
}

// tooOld reports versions before 1.6, the oldest that dhow is tried with. A
// version it cannot read is taken for new.
func tooOld(version string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &minor)
	return n == 2 && (major < 1 || major == 1 && minor < 6)
}

// daemonConfig leaves out what dhow does not use: CRI alone doubles the start.
const daemonConfig = `version = 2
root = %q
state = %q
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.monitor.v1.cgroups",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = %q

[ttrpc]
  address = %q

[plugins."io.containerd.snapshotter.v1.overlayfs"]
  async_remove = true
`

// startPrivate starts a containerd of this data directory unless it runs. It
// is in a session and a cgroup of its own, so that it outlives this process
// also where a supervisor ends all of a service's processes.
func startPrivate(ctx context.Context, p paths) error {
	lock, err := lockFile(filepath.Join(p.run, "lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	if socketAnswers(p.socket()) {
		return nil
	}
	bin := lookPath("containerd")
	if bin == "" {
		return Problem{ErrNoContainerd, installHint}
	}
	config := filepath.Join(p.run, "containerd.toml")
	text := fmt.Sprintf(daemonConfig, p.daemonRoot(), filepath.Join(p.run, "state"), p.socket(), p.socket()+".ttrpc")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	logFile, err := os.OpenFile(p.daemonLog(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := exec.Command(bin, "--config", config)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + searchPath()} // not ours: it may hold credentials
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Problem{fmt.Errorf("%w: %s: %w", ErrDaemon, bin, err), installHint}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := os.WriteFile(p.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		return err
	}
	moveToOwnCgroup(cmd.Process.Pid, p.cgroup())
	return awaitDaemon(ctx, p, ended)
}

// awaitDaemon waits until the socket answers.
func awaitDaemon(ctx context.Context, p paths, ended <-chan error) error {
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for !socketAnswers(p.socket()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return Problem{
				fmt.Errorf("%w: the private containerd ended at once (%v): %s", ErrDaemon, err, lastLine(p.daemonLog())),
				"read " + p.daemonLog(),
			}
		case <-deadline.C:
			return Problem{fmt.Errorf("%w: the private containerd does not listen after 10 s", ErrDaemon), "read " + p.daemonLog()}
		}
	}
	return nil
}

// stopPrivate ends the private containerd and waits for it.
func stopPrivate(ctx context.Context, p paths) error {
	pid, ok := privatePid(p)
	if !ok {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	for start := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		if now, ok := privatePid(p); !ok || now != pid {
			return nil
		}
		if time.Since(start) > 5*time.Second || ctx.Err() != nil {
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// privatePid is the pid in the pid file if that process is our containerd and
// not another one that got its number.
func privatePid(p paths) (int, bool) {
	b, err := os.ReadFile(p.pidFile())
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return 0, false
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(args), p.run) {
		return 0, false
	}
	return pid, true
}

// tidy removes what a failed Open left in run, unless a containerd is there.
func (p paths) tidy() {
	if _, ok := privatePid(p); ok {
		return
	}
	for _, name := range []string{"containerd.toml", "containerd.pid", "claim", "lock", "io", "state", "", ".."} {
		os.Remove(filepath.Join(p.run, name)) // directories only if they are empty
	}
}

func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lastLine of a log, for an error message.
func lastLine(path string) string {
	b, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
