package test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestKill9 kills the platform in the middle of a deployment while clients
// write and call the service. After the restart on the same directory the
// deployment completes, the tasks that were running are the same containers,
// and every write that was acknowledged is there.
func TestKill9(t *testing.T) {
	need(t)
	p, err := startPlatform(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if err := p.purge(); err != nil {
			t.Error(err)
		}
		if left := leftovers(p.dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	ctx := t.Context()
	s := newStack(t, p, "111111111111")
	s.pushHello(t)
	s.deploy(t, "1", 2)
	s.stable(t, 60*time.Second)
	before := s.runningContainers(t)

	// Traffic and acknowledged writes go on while the next version rolls out.
	var acknowledged atomic.Int64
	traffic, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; traffic.Err() == nil; n++ {
			_, err := s.ecs.RegisterTaskDefinition(traffic, &ecs.RegisterTaskDefinitionInput{Family: aws.String(fmt.Sprintf("w%d", n)),
				ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("a"), Image: aws.String("i"), Memory: aws.Int32(8)}}})
			if err != nil {
				return // killed
			}
			acknowledged.Store(int64(n + 1))
			s.get(traffic) // fails while the platform is down, and may
		}
	}()
	s.register(t, "2")
	if _, err := s.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("kill"), Service: aws.String("hello"), TaskDefinition: aws.String("hello")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		if n := len(s.tasks(t)); n <= 2 {
			return fmt.Errorf("%d tasks: the new deployment has started none", n)
		}
		return nil
	})
	p.kill()
	<-done
	stop()

	address := p.address()
	if err := p.start(address); err != nil {
		t.Fatal(err)
	}
	// The containers that ran before either still run, being the same, or
	// were replaced by the deployment, which goes on at once.
	same := 0
	for id, runtime := range s.runningContainers(t) {
		switch was, ok := before[id]; {
		case ok && was != runtime:
			t.Errorf("task %s runs in container %s, before the kill it was %s", id, runtime, was)
		case ok:
			same++
		}
	}
	if same == 0 {
		t.Error("none of the tasks from before the kill runs: this has shown nothing of their containers")
	}
	s.stable(t, 90*time.Second)
	eventually(t, 30*time.Second, func() error {
		answer, err := s.get(ctx)
		if err == nil && !strings.Contains(answer, "version 2") {
			err = fmt.Errorf("answer %q", answer)
		}
		return err
	})
	families := s.families(t)
	for n := range acknowledged.Load() {
		if name := fmt.Sprintf("w%d", n); !slices.Contains(families, name) {
			t.Errorf("task definition %s was acknowledged and is gone", name)
		}
	}
	if acknowledged.Load() == 0 {
		t.Error("no write was acknowledged before the kill: this has shown nothing")
	}
	t.Logf("%d acknowledged writes before the kill", acknowledged.Load())
}

// TestRestart stops the platform in order: the next start finds the same
// containers, and they have answered all the while.
func TestRestart(t *testing.T) {
	need(t)
	p, err := startPlatform(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if err := p.purge(); err != nil {
			t.Error(err)
		}
	})
	s := newStack(t, p, "222222222222")
	s.pushHello(t)
	s.deploy(t, "1", 2)
	s.stable(t, 60*time.Second)
	before := s.runningContainers(t)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.start(p.address()); err != nil {
		t.Fatal(err)
	}
	after := s.runningContainers(t)
	if len(before) != 2 || !mapsEqual(before, after) {
		t.Errorf("containers before %v, after %v", before, after)
	}
	if _, err := s.get(t.Context()); err != nil {
		t.Errorf("first GET after the restart: %v", err)
	}
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}
