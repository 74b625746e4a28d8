package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func taskID(arn string) string { return path.Base(arn) }

// client calls names of load balancers, on the API's port. They end in
// .localhost, which not every resolver knows: the address is the API's.
func (d *deployment) client() *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(d.p.url, "http://"))
		},
	}}
}

// get calls the service through its load balancer.
func (d *deployment) get(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.host+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := d.client().Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return strings.TrimSpace(string(body)), err
}

func (d *deployment) call(ctx context.Context) error {
	seen := map[string]bool{}
	return d.until(ctx, 30*time.Second, func() (bool, error) {
		answer, err := d.get(ctx)
		if err != nil {
			return false, err
		}
		if !seen[answer] {
			seen[answer] = true
			fmt.Println("  GET / →", answer)
		}
		return len(seen) == 2, nil
	})
}

// kill ends the first process of one of the tasks with SIGKILL, and calls the
// service all the while until a new task answers.
func (d *deployment) kill(ctx context.Context) error {
	var victim string
	for id, t := range d.tasks {
		if t == (task{name, "RUNNING"}) {
			victim = id
		}
	}
	pid, err := processOf(victim)
	if err != nil {
		return err
	}
	before := map[string]bool{}
	for id := range d.tasks {
		before[id] = true
	}
	calls, end := d.callOn(ctx)
	fmt.Printf("  kill -9 %d, the container of task %s\n", pid, victim[:8])
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		end()
		return err
	}
	killed := time.Now()
	err = d.until(ctx, time.Minute, func() (bool, error) {
		answer, err := d.get(ctx)
		if err != nil {
			return false, err
		}
		for id, t := range d.tasks {
			if !before[id] && t.state == "RUNNING" && strings.Contains(answer, id) {
				fmt.Printf("  GET / → %s (%d ms after the kill)\n", answer, time.Since(killed).Milliseconds())
				return true, nil
			}
		}
		return false, nil
	})
	end()
	if err != nil {
		return err
	}
	fmt.Printf("  %d GETs meanwhile, %d failed\n", calls.done, len(calls.failed))
	if len(calls.failed) > 0 {
		return fmt.Errorf("a GET failed: %w", calls.failed[0])
	}
	return nil
}

type tally struct {
	done   int
	failed []error
}

// callOn calls the service from four loops until end is called, which waits
// for them.
func (d *deployment) callOn(ctx context.Context) (t *tally, end func()) {
	t = &tally{}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	var mu sync.Mutex
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for ctx.Err() == nil {
				_, err := d.get(ctx)
				mu.Lock()
				if ctx.Err() == nil {
					t.done++
					if err != nil {
						t.failed = append(t.failed, err)
					}
				}
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
	}
	return t, func() { cancel(); loops.Wait() }
}

// processOf finds the first process of a task's container: its control group
// carries the task's id.
func processOf(task string) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err == nil && task != "" && strings.Contains(string(data), task) {
			return strconv.Atoi(filepath.Base(filepath.Dir(f)))
		}
	}
	return 0, fmt.Errorf("no process of task %s is here", task)
}
