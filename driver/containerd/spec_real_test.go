package containerd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

// busybox opens a Driver with the busybox image in it.
func busybox(t testing.TB, config v1.Config, more ...drivertest.File) (*Driver, string) {
	t.Helper()
	d := openTest(t, Config{})
	reg := drivertest.NewRegistry(t)
	ref := reg.Push(t, "test/busybox:1", drivertest.Busybox(t, config, more...))
	if _, err := d.Pull(t.Context(), driver.Pull{Ref: ref, PlainHTTP: true}, nil); err != nil {
		t.Fatal(err)
	}
	return d, ref
}

// result runs a container to its end and returns its output and exit.
func result(t testing.TB, d *Driver, s driver.Spec) (string, driver.Exit) {
	t.Helper()
	if s.ID == "" {
		s.ID = "c" + randomName()
	}
	s.LogPath = filepath.Join(t.TempDir(), "log")
	if err := d.Create(t.Context(), s); err != nil {
		t.Fatalf("create: %v", err)
	}
	defer d.Delete(t.Context(), s.ID)
	if _, err := d.Start(t.Context(), s.ID); err != nil {
		t.Fatalf("start: %v", err)
	}
	var e driver.Exit
	for e = range d.Exits() {
		if e.ID == s.ID {
			break
		}
	}
	if err := d.Delete(t.Context(), s.ID); err != nil { // the shim has written all by then
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), e
}

func sh(script string) []string { return []string{"sh", "-c", script} }

func TestSpec(t *testing.T) {
	d, ref := busybox(t, v1.Config{Env: []string{"PATH=/bin", "IMAGE=yes", "BOTH=image"}, WorkingDir: "/home/app"})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte("10.1.2.3 db\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	swappiness := int64(10)
	for _, c := range []struct {
		name string
		spec driver.Spec
		want string
	}{
		{"env", driver.Spec{Env: []string{"BOTH=spec", "MINE=a=b"}, Hostname: "h1", Command: sh("echo $IMAGE $BOTH $MINE $HOSTNAME $HOME $TERM")}, "yes spec a=b h1 /root"},
		{"workdir of the image", driver.Spec{Command: sh("pwd")}, "/home/app"},
		{"workdir", driver.Spec{WorkingDir: "/tmp", Command: sh("pwd")}, "/tmp"},
		{"workdir is made", driver.Spec{WorkingDir: "/made/here", Command: sh("pwd")}, "/made/here"},
		{"hostname", driver.Spec{Hostname: "web-1", Command: sh("hostname")}, "web-1"},
		{"user by name", driver.Spec{User: "app", Command: sh("id -u; id -G; echo $HOME")}, "1000\n1000 2000\n/home/app"},
		{"user by number", driver.Spec{User: "1000", Command: sh("id -G")}, "1000 2000"},
		{"unknown number", driver.Spec{User: "4711", Command: sh("id -u; id -g")}, "4711\n0"},
		{"user and group", driver.Spec{User: "app:extra", Command: sh("id -g")}, "2000"},
		{"numbers", driver.Spec{User: "5:6", Command: sh("id -u; id -g")}, "5\n6"},
		{"bind mount", driver.Spec{Mounts: []driver.Mount{{Type: "bind", Source: filepath.Join(dir, "hosts"), Target: "/etc/hosts"}}, Command: sh("cat /etc/hosts")}, "10.1.2.3 db"},
		{"read-only bind mount", driver.Spec{Mounts: []driver.Mount{{Type: "bind", Source: dir, Target: "/data", ReadOnly: true}}, Command: sh("touch /data/x 2>/dev/null || echo refused")}, "refused"},
		{"nested mounts", driver.Spec{Mounts: []driver.Mount{{Type: "bind", Source: filepath.Join(dir, "hosts"), Target: "/v/a/hosts"}, {Type: "tmpfs", Target: "/v"}}, Command: sh("ls /v; cat /v/a/hosts")}, "a\n10.1.2.3 db"},
		{"tmpfs", driver.Spec{Mounts: []driver.Mount{{Type: "tmpfs", Target: "/t", Options: []string{"size=1m", "mode=700"}}}, Command: sh("stat -c %a /t; dd if=/dev/zero of=/t/x bs=1M count=2 2>/dev/null; stat -c %s /t/x")}, "700\n1048576"},
		{"shm size", driver.Spec{ShmSize: 2 << 20, Command: sh("dd if=/dev/zero of=/dev/shm/x bs=1M count=3 2>/dev/null; stat -c %s /dev/shm/x")}, "2097152"},
		{"read-only root", driver.Spec{ReadonlyRoot: true, Command: sh("touch /x 2>/dev/null || echo refused")}, "refused"},
		{"root is writable", driver.Spec{Command: sh("touch /x && echo ok")}, "ok"},
		{"no new privileges", driver.Spec{NoNewPrivileges: true, Command: sh("grep NoNewPrivs /proc/self/status | tr -d '\\t'")}, "NoNewPrivs:1"},
		{"seccomp", driver.Spec{Command: sh("grep ^Seccomp: /proc/self/status | tr -d '\\t'; mount -t tmpfs x /tmp 2>/dev/null || echo refused")}, "Seccomp:2\nrefused"},
		{"default capabilities", driver.Spec{Command: sh("grep CapEff /proc/self/status | tr -d '\\t'")}, "CapEff:00000000a80425fb"},
		{"user has no capabilities", driver.Spec{User: "app", Command: sh("grep CapEff /proc/self/status | tr -d '\\t'")}, "CapEff:0000000000000000"},
		{"capabilities", driver.Spec{CapDrop: []string{"ALL"}, CapAdd: []string{"NET_ADMIN", "cap_kill"}, Command: sh("grep CapEff /proc/self/status | tr -d '\\t'")}, "CapEff:0000000000001020"},
		{"privileged", driver.Spec{Privileged: true, Command: sh("grep CapEff /proc/self/status | tr -d '\\t'; mount -t tmpfs x /tmp && echo mounted")}, fmt.Sprintf("CapEff:%016x\nmounted", d.host.caps&(1<<len(capNames)-1))},
		{"ulimits", driver.Spec{Ulimits: []driver.Ulimit{{Name: "nofile", Soft: 100, Hard: 200}, {Name: "core", Soft: 0, Hard: 0}}, Command: sh("ulimit -Sn; ulimit -Hn; ulimit -c")}, "100\n200\n0"},
		{"sysctl", driver.Spec{Sysctls: map[string]string{"kernel.msgmax": "1234"}, Command: sh("cat /proc/sys/kernel/msgmax")}, "1234"},
		{"device", driver.Spec{Devices: []driver.Device{{Host: "/dev/null", Container: "/dev/mynull", Permissions: "rw"}}, Command: sh("echo x > /dev/mynull && echo ok")}, "ok"},
		{"entry point drops the command", driver.Spec{Entrypoint: []string{"echo", "entry"}}, "entry"},
		{"entry point and command", driver.Spec{Entrypoint: []string{"echo", "entry"}, Command: []string{"command"}}, "entry command"},
		{"own pid namespace", driver.Spec{Command: sh("echo $$")}, "1"},
		{"standard error too", driver.Spec{Command: sh("echo err >&2; usleep 100000; echo out")}, "err\nout"},
		{"terminal", driver.Spec{TTY: true, Command: sh("test -t 0 && test -t 1 && echo $TERM")}, "xterm"},
		{"closed input", driver.Spec{Command: sh("cat; echo end")}, "end"},
		{"memory limit is visible", driver.Spec{Memory: 32 << 20, Swappiness: &swappiness, MemoryReservation: 16 << 20, Command: sh("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null")}, "33554432"},
		{"control groups are read-only", driver.Spec{Memory: 32 << 20, Command: sh("cd /sys/fs/cgroup; for d in x memory/x pids/x; do mkdir $d 2>/dev/null && echo made $d; done; echo 64000000 2>/dev/null >memory/memory.limit_in_bytes; echo 64000000 2>/dev/null >memory.max; echo end")}, "end"},
		{"control groups by one's own mount", driver.Spec{Mounts: []driver.Mount{{Type: "bind", Source: dir, Target: "/sys/fs/cgroup"}}, Command: sh("ls /sys/fs/cgroup")}, "hosts"},
		{"pids limit", driver.Spec{PidsLimit: 16, Command: sh("cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null")}, "16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Image = ref
			out, e := result(t, d, c.spec)
			out = strings.TrimSpace(strings.ReplaceAll(out, "\r\n", "\n"))
			if out != c.want || e.OOMKilled {
				t.Errorf("output %q, exit %+v; want %q", out, e, c.want)
			}
		})
	}
}

func TestSpecErrors(t *testing.T) {
	d, ref := busybox(t, v1.Config{})
	hard := d.host.limits["nofile"]
	for _, c := range []struct {
		name string
		spec driver.Spec
		kind error
		want string
	}{
		{"no command", driver.Spec{}, driver.ErrCommand, "no command specified"},
		{"missing program", driver.Spec{Command: []string{"nope"}}, driver.ErrCommand, `exec: "nope": executable file not found in $PATH`},
		{"missing path", driver.Spec{Command: []string{"/nope"}}, driver.ErrCommand, `exec: "/nope": stat /nope: no such file or directory`},
		{"not executable", driver.Spec{Command: []string{"/etc/passwd"}}, driver.ErrCommand, `exec: "/etc/passwd": permission denied`},
		{"directory", driver.Spec{Command: []string{"/etc"}}, driver.ErrCommand, `exec: "/etc": `},
		{"unknown user", driver.Spec{User: "bob", Command: []string{"true"}}, driver.ErrCommand, "unable to find user bob: no matching entries in passwd file"},
		{"unknown group", driver.Spec{User: "app:wheel", Command: []string{"true"}}, driver.ErrCommand, "unable to find group wheel"},
		{"bind source", driver.Spec{Mounts: []driver.Mount{{Type: "bind", Source: "/no/such", Target: "/x"}}, Command: []string{"true"}}, driver.ErrCommand, "bind source path does not exist: /no/such"},
		{"relative target", driver.Spec{Mounts: []driver.Mount{{Type: "tmpfs", Target: "x"}}, Command: []string{"true"}}, driver.ErrCommand, "absolute"},
		{"work dir is a file", driver.Spec{WorkingDir: "/etc/passwd", Command: []string{"true"}}, driver.ErrCommand, "not a directory"},
		{"ulimit", driver.Spec{Ulimits: []driver.Ulimit{{Name: "nofile", Soft: 1, Hard: hard + 1}}, Command: []string{"true"}}, nil, fmt.Sprintf("ulimit nofile hard limit %d exceeds the host's %d", hard+1, hard)},
		{"unknown ulimit", driver.Spec{Ulimits: []driver.Ulimit{{Name: "speed"}}, Command: []string{"true"}}, nil, `unknown ulimit "speed"`},
		{"unknown capability", driver.Spec{CapAdd: []string{"FLY"}, Command: []string{"true"}}, nil, `unknown capability "FLY"`},
		{"missing capability", driver.Spec{CapAdd: []string{"SYS_RESOURCE"}, Command: []string{"true"}}, nil, "capability SYS_RESOURCE cannot be added: this host does not have it"},
		{"sysctl of the host", driver.Spec{Sysctls: map[string]string{"net.ipv4.ip_forward": "1"}, Command: []string{"true"}}, nil, "net.ipv4.ip_forward"},
		{"init without path", driver.Spec{Init: true, Command: []string{"true"}}, nil, "no init"},
		{"cgroup parent", driver.Spec{CgroupParent: "../../x", Command: []string{"true"}}, nil, "cgroup parent"},
		{"pid namespace of nobody", driver.Spec{PidNS: "container:nobody", Command: []string{"true"}}, driver.ErrNotFound, "cannot join the pid namespace of container nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "missing capability" && d.host.canRaise || c.name == "ulimit" && d.host.canRaise {
				t.Skip("this host has CAP_SYS_RESOURCE")
			}
			c.spec.ID, c.spec.Image = "c"+randomName(), ref
			err := d.Create(t.Context(), c.spec)
			if err == nil {
				_, err = d.Start(t.Context(), c.spec.ID)
				if derr := d.Delete(t.Context(), c.spec.ID); derr != nil {
					t.Error(derr)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("error %q (wraps %v), want %q", err, c.kind, c.want)
			}
			if _, err := d.find(c.spec.ID); err == nil {
				t.Error("a failed create left the container")
			}
		})
	}
}
