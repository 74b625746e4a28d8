package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// events follows the platform's events, so that a task's state is known the
// moment it changes, without calls that would cost the platform time.
type events struct {
	body interface{ Close() error }

	mu      sync.Mutex
	seen    map[string]time.Time // task ARN and state
	waiting map[string]chan time.Time
	failed  chan struct{} // closed when no more will come
	reason  map[string]string
	started func(arn string, at time.Time) // told of each task that runs; may be nil
}

// follow starts following.
func follow(url string) (*events, error) {
	res, err := http.Get(url + "/_dhow/events?follow=1")
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("events: %s", res.Status)
	}
	e := &events{body: res.Body, seen: map[string]time.Time{}, waiting: map[string]chan time.Time{}, failed: make(chan struct{}), reason: map[string]string{}}
	go func() {
		defer close(e.failed)
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			e.take(lines.Bytes(), time.Now())
		}
	}()
	return e, nil
}

func (e *events) take(line []byte, at time.Time) {
	var v struct {
		Detail struct{ TaskArn, LastStatus, StoppedReason string }
	}
	if json.Unmarshal(line, &v) != nil || v.Detail.TaskArn == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := v.Detail.TaskArn + " " + v.Detail.LastStatus
	if _, again := e.seen[key]; again {
		return
	}
	e.seen[key] = at
	e.reason[v.Detail.TaskArn] = v.Detail.StoppedReason
	if w := e.waiting[key]; w != nil {
		w <- at
	}
	if e.started != nil && v.Detail.LastStatus == "RUNNING" {
		e.started(v.Detail.TaskArn, at)
	}
	if v.Detail.LastStatus == "STOPPED" { // who waits for RUNNING waits in vain
		if w := e.waiting[v.Detail.TaskArn+" RUNNING"]; w != nil {
			close(w)
		}
	}
}

// await returns when the task came to the state; it may have done so already.
func (e *events) await(ctx context.Context, arn, state string) (time.Time, error) {
	key := arn + " " + state
	e.mu.Lock()
	if at, ok := e.seen[key]; ok {
		e.mu.Unlock()
		return at, nil
	}
	w := make(chan time.Time, 1)
	e.waiting[key] = w
	e.mu.Unlock()
	defer func() { e.mu.Lock(); delete(e.waiting, key); e.mu.Unlock() }()
	select {
	case at, ok := <-w:
		if !ok {
			e.mu.Lock()
			defer e.mu.Unlock()
			return at, fmt.Errorf("task %s stopped instead of running: %s", arn, e.reason[arn])
		}
		return at, nil
	case <-e.failed:
		return time.Time{}, fmt.Errorf("the stream of events ended before task %s was %s", arn, state)
	case <-time.After(time.Minute):
		return time.Time{}, fmt.Errorf("task %s is not %s after a minute", arn, state)
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// tell lets f know of tasks that run from now on; it must not wait.
func (e *events) tell(f func(arn string, at time.Time)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started = f
}

func (e *events) close() { e.body.Close() }
