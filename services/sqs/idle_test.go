package sqs

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIdle has a thousand queues with a long poll each: what a poll takes
// of memory, and all of them of a processor.
func BenchmarkIdle(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("reads /proc")
	}
	const queues = 1000
	cmd, url := startChild(b, b.TempDir())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	c := &client{f: &fixture{t: b, url: url, said: map[string]bool{}}}
	urls := make([]any, queues)
	for i := range urls {
		urls[i] = c.must("CreateQueue", object{"QueueName": fmt.Sprint("q", i)})["QueueUrl"]
		c.must("ReceiveMessage", object{"QueueUrl": urls[i]})
	}
	before, _ := procOf(b, cmd.Process.Pid)
	done := make(chan error, queues)
	for i := range urls {
		p := dial(b, url)
		req := request("ReceiveMessage", fmt.Sprintf(`{"QueueUrl":"%s","WaitTimeSeconds":20}`, urls[i]))
		go func() {
			for {
				if _, err := p.do(req); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	time.Sleep(3 * time.Second)
	_, from := procOf(b, cmd.Process.Pid)
	time.Sleep(20 * time.Second)
	after, to := procOf(b, cmd.Process.Pid)
	b.ReportMetric(float64(after-before)/queues, "KiB/poll")
	b.ReportMetric(float64(to-from)/20, "%core") // a tick a second is a hundredth
	b.ReportMetric(0, "ns/op")
	select {
	case err := <-done:
		b.Fatal(err)
	default:
	}
}

// procOf is a process's resident memory in KiB and processor time in ticks of
// 10 ms.
func procOf(b *testing.B, pid int) (kib, ticks int) {
	syscall.Kill(pid, syscall.SIGUSR1) // garbage is no poll's
	time.Sleep(time.Second)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(data)[strings.LastIndexByte(string(data), ')')+2:])
	var user, system, pages int
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	fmt.Sscan(fields[21], &pages)
	return pages * os.Getpagesize() / 1024, user + system
}
