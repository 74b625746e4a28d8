package containerd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/drivertest"
)

// TestLogBurst writes 100 MB at once with a reader that punches holes: the
// writer must not stall, the shim must not hoard, and no byte may be lost.
func TestLogBurst(t *testing.T) {
	const size = 100 << 20
	d, ref := busybox(t, v1.Config{})
	log := filepath.Join(t.TempDir(), "burst.log")
	start(t, d, driver.Spec{ID: "burst", Image: ref, LogPath: log, Command: sh(fmt.Sprintf("yes 0123456789abcde | head -c %d; touch /done; sleep 3600", size))})
	f, err := os.OpenFile(log, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := []byte("0123456789abcde\n")
	var offset int64
	var most int64
	buf := make([]byte, 1<<20)
	drivertest.Eventually(t, "100 MB of output", func() bool {
		for {
			n, err := f.ReadAt(buf, offset)
			for i := 0; i < n; i++ {
				if buf[i] != line[(offset+int64(i))%int64(len(line))] {
					t.Fatalf("wrong byte at %d", offset+int64(i))
				}
			}
			offset += int64(n)
			if hole := offset &^ 4095; hole > 0 {
				if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, hole); err != nil {
					t.Skip("no holes on this file system: ", err)
				}
			}
			most = max(most, shimMemory(t, d))
			if err == io.EOF || n == 0 {
				return offset == size
			}
		}
	})
	var st unix.Stat_t
	if err := unix.Stat(log, &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != size || st.Blocks*512 > 1<<20 {
		t.Errorf("file of %d bytes has %d on disk after punching", st.Size, st.Blocks*512)
	}
	if most > 64<<20 {
		t.Errorf("the shim held %d MiB", most>>20)
	}
	t.Logf("the shim held at most %d MiB", most>>20)
}

// shimMemory is the resident set of a driver's largest shim.
func shimMemory(t testing.TB, d *Driver) (most int64) {
	t.Helper()
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		args, _ := os.ReadFile(p)
		if !bytes.Contains(args, []byte("containerd-shim")) || !bytes.Contains(args, []byte(d.paths.namespace())) {
			continue
		}
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "status"))
		for l := range strings.Lines(string(status)) {
			if v, ok := strings.CutPrefix(l, "VmRSS:"); ok {
				kb, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
				most = max(most, kb<<10)
			}
		}
	}
	return most
}

// TestLogOfTerminal proves that a terminal's output reaches the file, and
// goes on after holes.
func TestLogOfTerminal(t *testing.T) {
	d, ref := busybox(t, v1.Config{})
	out, e := result(t, d, driver.Spec{Image: ref, TTY: true, Command: sh("seq 20000; exit 2")})
	if lines := strings.Count(out, "\r\n"); lines != 20000 || e.Code != 2 || !strings.HasSuffix(out, "20000\r\n") {
		t.Errorf("%d lines, exit %+v", lines, e)
	}
}

// TestLogWithoutReader proves that output is kept while no Driver is there.
func TestLogWithoutReader(t *testing.T) {
	d, ref := busybox(t, v1.Config{})
	log := filepath.Join(t.TempDir(), "a log with spaces & 100%.log")
	start(t, d, driver.Spec{ID: "talker", Image: ref, LogPath: log, Command: sh("usleep 300000; seq 100000; echo end")})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	drivertest.Eventually(t, "the end of the output", func() bool {
		b, _ := os.ReadFile(log)
		return bytes.HasSuffix(b, []byte("100000\nend\n")) && bytes.Count(b, []byte("\n")) == 100001
	})
}
