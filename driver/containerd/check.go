package containerd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What Open and Check find missing. Errors that wrap them say how to mend it.
var (
	ErrNotRoot      = errors.New("not root")
	ErrNoContainerd = errors.New("containerd is not installed")
	ErrNoRunc       = errors.New("runc is not installed")
	ErrKernel       = errors.New("the kernel lacks what containers need")
	ErrDaemon       = errors.New("containerd does not work")
)

// Problem is one thing that keeps containers from running here.
type Problem struct {
	Err error  // wraps one of the sentinel errors
	Fix string // what to do, a command where there is one
}

func (p Problem) Error() string { return p.Err.Error() + ": " + p.Fix }

// Unwrap makes errors.Is find the sentinel.
func (p Problem) Unwrap() error { return p.Err }

const installHint = "on Debian and Ubuntu `apt-get install containerd runc`; elsewhere see https://containerd.io/downloads"

// Check looks for what Open needs, without starting anything. It returns
// nothing where containers can run. `dhow doctor` prints it.
func Check() []Problem {
	var out []Problem
	add := func(sentinel error, detail, fix string) {
		err := sentinel
		if detail != "" {
			err = fmt.Errorf("%w: %s", sentinel, detail)
		}
		out = append(out, Problem{Err: err, Fix: fix})
	}
	if os.Geteuid() != 0 {
		add(ErrNotRoot, fmt.Sprintf("running as uid %d", os.Geteuid()), "run as root (`sudo`), or use --driver sim, which runs no containers")
	}
	if caps, err := capabilitySet("self", "CapEff:"); err == nil && os.Geteuid() == 0 && caps&(1<<capSysAdmin) == 0 {
		add(ErrNotRoot, "root here lacks CAP_SYS_ADMIN", "run outside of an unprivileged container, or give the container `--privileged`")
	}
	// A system containerd brings its own shim and runc, which need not be in
	// this process's PATH; without one they must be.
	if !socketAnswers(systemSocket) {
		if lookPath("containerd") == "" {
			add(ErrNoContainerd, "", installHint)
		} else if lookPath("containerd-shim-runc-v2") == "" {
			add(ErrNoContainerd, "containerd-shim-runc-v2 is not in PATH", installHint)
		}
		if lookPath("runc") == "" {
			add(ErrNoRunc, "", installHint)
		}
		if chrooted() {
			add(ErrKernel, "this is a chroot, from which runc exec, and so a health check, enters the machine's root instead of the container's",
				"enter the directory by pivot_root instead (systemd-nspawn, bubblewrap), or use the containerd of the machine: `--containerd SOCKET`")
		}
	}
	if major, minor := kernelVersion(); major < 4 || major == 4 && minor < 18 {
		add(ErrKernel, fmt.Sprintf("Linux %d.%d", major, minor), "use Linux 4.18 or newer")
	}
	if _, err := os.Stat("/sys/fs/cgroup"); err != nil {
		add(ErrKernel, "no /sys/fs/cgroup", "mount cgroup2 there: `mount -t cgroup2 none /sys/fs/cgroup`")
	} else if _, err := findCgroups(); err != nil {
		add(ErrKernel, err.Error(), "mount cgroup2 at /sys/fs/cgroup, or the cgroup v1 controllers cpu, memory and pids below it")
	}
	for _, ns := range []string{"mnt", "pid", "net", "ipc", "uts"} {
		if _, err := os.Stat("/proc/self/ns/" + ns); err != nil {
			add(ErrKernel, "no "+ns+" namespaces", "use a kernel built with CONFIG_NAMESPACES")
		}
	}
	return out
}

func firstFatal(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return problems[0]
}

// searchPath is where binaries are looked for: services and sudo often have
// no sbin in PATH, where Debian puts runc.
func searchPath() string {
	have := filepath.SplitList(os.Getenv("PATH"))
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		found := false
		for _, h := range have {
			found = found || h == dir
		}
		if !found {
			have = append(have, dir)
		}
	}
	return strings.Join(have, string(filepath.ListSeparator))
}

// lookPath is exec.LookPath over searchPath; "" if there is none.
func lookPath(name string) string {
	for _, dir := range filepath.SplitList(searchPath()) {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(p) {
			return p
		}
	}
	return ""
}

func kernelVersion() (major, minor int) {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return 0, 0
	}
	parts := strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)
	if len(parts) < 2 {
		return 0, 0
	}
	major, _ = strconv.Atoi(parts[0])
	minor, _ = strconv.Atoi(parts[1])
	return major, minor
}
