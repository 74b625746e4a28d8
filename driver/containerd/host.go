package containerd

import (
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// host is what this machine and the containerd in use allow. A container
// gets no more than containerd itself has: runc runs as its child.
type host struct {
	cgroups   cgroups
	caps      uint64           // capability bounding set
	limits    map[string]int64 // hard limits by ulimit name
	canRaise  bool             // CAP_SYS_RESOURCE: hard limits may be raised
	memory    uint64           // bytes of RAM
	cgroupNS  bool
	seccomp   bool
	swapLimit bool // memory+swap can be limited
	runtime   int  // pid of containerd; of this process where it is not known
}

const (
	capSysAdmin    = 21
	capSysResource = 24
)

func readHost(socket string) (host, error) {
	h := host{runtime: peerPid(socket)}
	var err error
	if h.cgroups, err = findCgroups(); err != nil {
		return h, Problem{fmt.Errorf("%w: %w", ErrKernel, err), "mount the cgroup file systems"}
	}
	if h.caps, err = capabilitySet(fmt.Sprint(h.runtime), "CapBnd:"); err != nil {
		return h, err
	}
	h.canRaise = h.caps&(1<<capSysResource) != 0
	if h.limits, err = hardLimits(h.runtime); err != nil {
		return h, err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		h.memory = uint64(info.Totalram) * uint64(info.Unit)
	}
	_, err = os.Stat("/proc/self/ns/cgroup")
	h.cgroupNS = err == nil
	_, err = os.Stat("/proc/sys/kernel/seccomp")
	h.seccomp = err == nil
	if h.cgroups.unified != "" {
		h.swapLimit = true // runc leaves out what the kernel lacks
	} else {
		_, err = os.Stat(h.cgroups.v1["memory"] + "/memory.memsw.limit_in_bytes")
		h.swapLimit = err == nil
	}
	return h, nil
}

// peerPid is the process behind a unix socket if it is a containerd; with
// socket activation it may be init, which says nothing of containerd's limits.
func peerPid(socket string) int {
	self := os.Getpid()
	c, err := net.Dial("unix", socket)
	if err != nil {
		return self
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return self
	}
	pid := self
	_ = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil || cred.Pid <= 0 {
			return
		}
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cred.Pid))
		if strings.TrimSpace(string(comm)) == "containerd" {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// capabilitySet reads one of a process's capability sets.
func capabilitySet(pid, set string) (uint64, error) {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, set); ok {
			return strconv.ParseUint(strings.TrimSpace(v), 16, 64)
		}
	}
	return 0, fmt.Errorf("no %s in /proc/%s/status", set, pid)
}

// capNames are the kernel's capabilities by number.
var capNames = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// rlimits are the ulimits of a task definition: name, the row of
// /proc/PID/limits and OCI's name.
var rlimits = []struct{ name, row, oci string }{
	{"core", "Max core file size", "RLIMIT_CORE"},
	{"cpu", "Max cpu time", "RLIMIT_CPU"},
	{"data", "Max data size", "RLIMIT_DATA"},
	{"fsize", "Max file size", "RLIMIT_FSIZE"},
	{"locks", "Max file locks", "RLIMIT_LOCKS"},
	{"memlock", "Max locked memory", "RLIMIT_MEMLOCK"},
	{"msgqueue", "Max msgqueue size", "RLIMIT_MSGQUEUE"},
	{"nice", "Max nice priority", "RLIMIT_NICE"},
	{"nofile", "Max open files", "RLIMIT_NOFILE"},
	{"nproc", "Max processes", "RLIMIT_NPROC"},
	{"rss", "Max resident set", "RLIMIT_RSS"},
	{"rtprio", "Max realtime priority", "RLIMIT_RTPRIO"},
	{"rttime", "Max realtime timeout", "RLIMIT_RTTIME"},
	{"sigpending", "Max pending signals", "RLIMIT_SIGPENDING"},
	{"stack", "Max stack size", "RLIMIT_STACK"},
}

// hardLimits reads a process's hard limits; unlimited is math.MaxInt64.
func hardLimits(pid int) (map[string]int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		for _, r := range rlimits {
			rest, ok := strings.CutPrefix(line, r.row)
			fields := strings.Fields(rest)
			if !ok || len(fields) < 2 {
				continue
			}
			if fields[1] == "unlimited" {
				out[r.name] = math.MaxInt64
			} else if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				out[r.name] = n
			}
		}
	}
	return out, nil
}
