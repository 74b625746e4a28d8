package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dhowhq/dhow/driver"
)

// Stats reads the counters from the container's cgroup, which costs no call
// to containerd.
func (d *Driver) Stats(_ context.Context, id string) (driver.Stats, error) {
	c, _, err := d.running(id)
	if err != nil {
		return driver.Stats{}, err
	}
	s, ok := d.host.cgroups.stats(c.meta.Cgroup)
	if !ok {
		return s, fmt.Errorf("container %s is not running: %w", id, driver.ErrNotFound)
	}
	if s.MemoryLimit == 0 || s.MemoryLimit > d.host.memory {
		s.MemoryLimit = d.host.memory
	}
	s.At = time.Now()
	return s, nil
}

func (c cgroups) stats(path string) (s driver.Stats, ok bool) {
	if c.unified != "" {
		return c.statsV2(path)
	}
	mem := filepath.Join(c.v1["memory"], path)
	if _, err := os.Stat(mem); err != nil {
		return s, false
	}
	acct := c.v1["cpuacct"]
	if acct == "" {
		acct = c.v1["cpu"]
	}
	s.CPUNanos = unsigned(readInt(filepath.Join(acct, path, "cpuacct.usage")))
	usage := readInt(filepath.Join(mem, "memory.usage_in_bytes"))
	s.MemoryBytes = unsigned(usage - readKey(filepath.Join(mem, "memory.stat"), "total_inactive_file"))
	s.MemoryLimit = unsigned(readKey(filepath.Join(mem, "memory.stat"), "hierarchical_memory_limit"))
	s.Pids = unsigned(readInt(filepath.Join(c.v1["pids"], path, "pids.current")))
	if blkio := c.v1["blkio"]; blkio != "" {
		b, _ := os.ReadFile(filepath.Join(blkio, path, "blkio.throttle.io_service_bytes"))
		for line := range strings.Lines(string(b)) { // 254:0 Read 4096
			f := strings.Fields(line)
			if len(f) == 3 {
				n, _ := strconv.ParseUint(f[2], 10, 64)
				switch f[1] {
				case "Read":
					s.ReadBytes += n
				case "Write":
					s.WriteBytes += n
				}
			}
		}
	}
	return s, true
}

func (c cgroups) statsV2(path string) (s driver.Stats, ok bool) {
	dir := filepath.Join(c.unified, path)
	if _, err := os.Stat(dir); err != nil {
		return s, false
	}
	s.CPUNanos = unsigned(readKey(filepath.Join(dir, "cpu.stat"), "usage_usec")) * 1000
	s.MemoryBytes = unsigned(readInt(filepath.Join(dir, "memory.current")) - readKey(filepath.Join(dir, "memory.stat"), "inactive_file"))
	// The least limit on the way up counts.
	for at := dir; strings.HasPrefix(at, c.unified+"/"); at = filepath.Dir(at) {
		if n := readInt(filepath.Join(at, "memory.max")); n > 0 && (s.MemoryLimit == 0 || uint64(n) < s.MemoryLimit) {
			s.MemoryLimit = uint64(n)
		}
	}
	s.Pids = unsigned(readInt(filepath.Join(dir, "pids.current")))
	b, _ := os.ReadFile(filepath.Join(dir, "io.stat"))
	for field := range strings.FieldsSeq(string(b)) { // 254:0 rbytes=4096 wbytes=0 rios=…
		k, v, _ := strings.Cut(field, "=")
		n, _ := strconv.ParseUint(v, 10, 64)
		switch k {
		case "rbytes":
			s.ReadBytes += n
		case "wbytes":
			s.WriteBytes += n
		}
	}
	return s, true
}

func unsigned(n int64) uint64 { return uint64(max(n, 0)) }
