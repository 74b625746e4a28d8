package containerd

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// cgroups says where the control groups of this machine are mounted.
type cgroups struct {
	unified string            // v2's mount point; "" on v1 and hybrid machines
	v1      map[string]string // controller to mount point
	all     []string          // every mount point, also v1's name=systemd and a hybrid's v2: runc uses them all
}

// findCgroups reads the mount table. On a hybrid machine the controllers are
// v1's, so v2 counts only where it is alone.
func findCgroups() (cgroups, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}, err
	}
	c := parseCgroups(string(b))
	if c.unified == "" && (c.v1["cpu"] == "" || c.v1["memory"] == "" || c.v1["pids"] == "") {
		return c, errors.New("the cgroup controllers cpu, memory and pids are not mounted")
	}
	return c, nil
}

func parseCgroups(mountinfo string) cgroups {
	c := cgroups{v1: map[string]string{}}
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(tail) < 3 {
			continue
		}
		at := fields[4]
		if (tail[0] == "cgroup" || tail[0] == "cgroup2") && !slices.Contains(c.all, at) {
			c.all = append(c.all, at)
		}
		switch tail[0] {
		case "cgroup2":
			c.unified = at
		case "cgroup":
			for _, name := range strings.Split(tail[2], ",") {
				switch name {
				case "cpu", "cpuacct", "memory", "pids", "blkio", "cpuset", "devices", "freezer", "hugetlb", "net_cls", "net_prio", "perf_event", "rdma":
					if c.v1[name] == "" {
						c.v1[name] = at
					}
				}
			}
		}
	}
	if len(c.v1) > 0 {
		c.unified = ""
	}
	return c
}

// dirs are the directories of a cgroup, one on v2.
func (c cgroups) dirs(path string) []string {
	out := make([]string, 0, len(c.all))
	for _, at := range c.all {
		out = append(out, filepath.Join(at, path))
	}
	return out
}

// remove deletes a cgroup and the empty ones below it. What is not there, or
// still has processes, is left.
func (c cgroups) remove(path string) {
	if !ours(path) {
		return
	}
	for _, dir := range c.dirs(path) {
		removeTree(dir)
	}
}

// ours guards what would do harm to a cgroup that no Driver made.
func ours(path string) bool { return strings.HasPrefix(filepath.Clean(path), "/dhow-") }

func removeTree(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeTree(filepath.Join(dir, e.Name()))
		}
	}
	os.Remove(dir) // rmdir; fails where processes are left
}

// kill ends every process in a cgroup and below it: what is left where a shim
// died or hung.
func (c cgroups) kill(path string) {
	if !ours(path) {
		return
	}
	at := c.unified
	if at == "" {
		at = c.v1["pids"]
	}
	_ = filepath.WalkDir(filepath.Join(at, path), func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "cgroup.procs" {
			return nil
		}
		b, _ := os.ReadFile(file)
		for pid := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(pid); err == nil && n > 1 {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
		return nil
	})
}

// limitParent makes a cgroup and limits it as a whole: cpu in 1/1024 vCPU,
// memory in bytes; 0 is no limit.
func (c cgroups) limitParent(path string, cpu, memory int64) error {
	if c.unified != "" {
		if err := c.delegate(path); err != nil {
			return err
		}
		dir := filepath.Join(c.unified, path)
		return errors.Join(
			writeLimit(dir, "cpu.max", cpu > 0, fmt.Sprintf("%d %d", quota(cpu), period)),
			writeLimit(dir, "memory.max", memory > 0, strconv.FormatInt(memory, 10)))
	}
	for _, dir := range []string{filepath.Join(c.v1["cpu"], path), filepath.Join(c.v1["memory"], path)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return errors.Join(
		writeLimit(filepath.Join(c.v1["cpu"], path), "cpu.cfs_period_us", cpu > 0, strconv.Itoa(period)),
		writeLimit(filepath.Join(c.v1["cpu"], path), "cpu.cfs_quota_us", cpu > 0, strconv.FormatInt(quota(cpu), 10)),
		writeLimit(filepath.Join(c.v1["memory"], path), "memory.limit_in_bytes", memory > 0, strconv.FormatInt(memory, 10)))
}

// delegate makes a v2 cgroup whose children may have controllers.
func (c cgroups) delegate(path string) error {
	dir := c.unified
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		enableControllers(dir)
		dir = filepath.Join(dir, part)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	enableControllers(dir)
	return nil
}

// enableControllers turns each controller on by itself, so that one that this
// machine lacks does not keep the others off.
func enableControllers(dir string) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return
	}
	for _, name := range strings.Fields(string(b)) {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+name), 0o644)
	}
}

const period = 100_000 // µs of the CPU quota

// quota turns 1/1024 vCPU into µs of each period; the kernel takes no less
// than 1 ms.
func quota(cpu int64) int64 { return max(cpu*period/1024, 1000) }

func writeLimit(dir, file string, wanted bool, value string) error {
	if !wanted {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644); err != nil {
		return fmt.Errorf("limit %s=%s: %w", file, value, err)
	}
	return nil
}

// oomKills counts the processes of a cgroup that the kernel killed for want
// of memory.
func (c cgroups) oomKills(path string) int64 {
	if c.unified != "" {
		return readKey(filepath.Join(c.unified, path, "memory.events"), "oom_kill")
	}
	return readKey(filepath.Join(c.v1["memory"], path, "memory.oom_control"), "oom_kill")
}

// readKey reads one line of a "key value" file; 0 if it is not there.
func readKey(path, key string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

// readInt reads a file that holds one number; -1 for "max", 0 if there is none.
func readInt(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	s := strings.TrimSpace(string(b))
	if s == "max" {
		return -1
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// moveToOwnCgroup takes the private containerd, and with it its shims, out of
// the cgroup of the service that started it. It is best effort: where it
// fails only a supervisor that ends whole cgroups is a danger.
func moveToOwnCgroup(pid int, parent string) {
	c, err := findCgroups()
	if err != nil {
		return
	}
	if c.unified != "" {
		if c.delegate(parent) != nil {
			return
		}
	}
	for _, dir := range c.dirs(filepath.Join(parent, runtimeCgroup)) {
		if strings.HasPrefix(dir, c.v1["cpuset"]+"/") && c.v1["cpuset"] != "" {
			continue // needs cpus and mems of its own before it takes processes
		}
		if os.MkdirAll(dir, 0o755) == nil {
			_ = os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
		}
	}
}

// runtimeCgroup is the private containerd's cgroup below the driver's own. It
// is no task's name: those are hex.
const runtimeCgroup = "containerd"
