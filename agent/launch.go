package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/network"
)

// launch brings the task to RUNNING, or halts it. Taken up again after a crash
// it does what is left to do.
func (t *task) launch() {
	net := &netwait{done: make(chan struct{})}
	go func() {
		defer close(net.done)
		net.path, net.err = t.attach(t.ctx)
		switch {
		case net.err == nil:
			t.pass(cluster.Pending)
		case t.ctx.Err() == nil:
			// No container can start: images need not be waited for.
			t.halt((&failure{resourceInit, net.err}).Error())
		}
	}()
	if len(t.def.ContainerDefinitions) == 1 {
		t.bring(&t.def.ContainerDefinitions[0], net)
	} else {
		var all sync.WaitGroup
		for i := range t.def.ContainerDefinitions {
			all.Go(func() { t.bring(&t.def.ContainerDefinitions[i], net) })
		}
		all.Wait()
	}
	<-net.done
}

// netwait is the task's network, once it is there.
type netwait struct {
	done chan struct{}
	path string // of the namespace, "" in bridge and host mode
	err  error
}

// failure is why a container, or its task, cannot start: AWS's kind of error
// and the reason.
type failure struct {
	kind string
	err  error
}

func (f *failure) Error() string { return f.kind + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// bring starts one container as soon as its image, the network and its
// dependencies are there, and deals with the failure if it cannot.
func (t *task) bring(c *types.ContainerDefinition, net *netwait) {
	name := deref(c.Name)
	if k := t.containerNow(name); k.Started != nil || k.Status == cluster.Stopped {
		return // before a restart of the agent
	}
	err := t.tryBring(c, net)
	if err == nil || t.ctx.Err() != nil {
		return
	}
	t.log.Info("container cannot start", "container", name, "err", err)
	var f *failure
	fatal := essential(c) || errors.As(err, &f) && f.kind == resourceInit
	t.change(func(s *state) {
		k := s.find(name)
		k.Status, k.Reason, k.Finished = cluster.Stopped, err.Error(), nowUTC()
		if fatal {
			s.fail(err.Error())
		}
		s.settle(t.def)
	})
	if fatal {
		t.wind()
	}
}

// AWS's kinds of failure.
const (
	cannotPull   = "CannotPullContainerError"
	cannotCreate = "CannotCreateContainerError"
	cannotStart  = "CannotStartContainerError"
	cannotVolume = "CannotCreateVolumeError"
	resourceInit = "ResourceInitializationError"
)

func (t *task) tryBring(c *types.ContainerDefinition, net *netwait) error {
	ctx := t.ctx
	img, err := t.pull(ctx, c)
	if err != nil {
		return &failure{cannotPull, t.meant(deref(c.Image), err)}
	}
	select {
	case <-net.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if net.err != nil {
		return net.err // which ended the task
	}
	if err := t.await(ctx, c); err != nil {
		return err
	}
	t.pass(cluster.Activating)
	return t.run(ctx, c, img, net.path)
}

// await waits for c's dependencies.
func (t *task) await(ctx context.Context, c *types.ContainerDefinition) error {
	if len(c.DependsOn) == 0 && len(startsAfter(c)) == 0 {
		return nil
	}
	for {
		s := t.now()
		limit, on := giveUpAt(t.def, c, &s)
		wctx, cancel := ctx, context.CancelFunc(func() {})
		if !limit.IsZero() {
			wctx, cancel = context.WithDeadline(ctx, limit)
		}
		err := t.wait(wctx, func(now *state) (bool, error) {
			if ok, err := mayStart(c, now); ok || err != nil {
				return ok, err
			}
			// A dependency that has just started brings a limit of its own.
			at, _ := giveUpAt(t.def, c, now)
			if !at.Equal(limit) {
				return false, errLimitChanged
			}
			return false, nil
		})
		cancel()
		switch {
		case errors.Is(err, errLimitChanged):
			continue
		case err == nil || ctx.Err() != nil:
			return err
		case errors.Is(err, context.DeadlineExceeded):
			return &failure{cannotStart, fmt.Errorf("dependency %s did not meet its condition within its startTimeout", on)}
		}
		return &failure{cannotStart, err}
	}
}

var errLimitChanged = errors.New("limit changed")

// run creates and starts a container.
func (t *task) run(ctx context.Context, c *types.ContainerDefinition, img driver.Image, netns string) error {
	name := deref(c.Name)
	var bindings []types.NetworkBinding
	if err := t.hostPorts(c); err != nil {
		return &failure{cannotStart, err}
	}
	if t.mode() == network.Bridge {
		a, err := t.attachContainer(ctx, c)
		if errors.Is(err, network.ErrPortTaken) {
			return &failure{cannotStart, err}
		}
		if err != nil {
			return &failure{resourceInit, err}
		}
		netns, bindings = a.Path, bindingsOf(a)
	}
	began := time.Now()
	if err := t.openLog(ctx, c); err != nil {
		return &failure{resourceInit, err}
	}
	if err := t.share(ctx, img, netns); err != nil {
		return &failure{cannotCreate, err}
	}
	k := t.containerNow(name)
	spec, err := t.spec(c, k.ID, img, netns)
	if err != nil {
		return err
	}
	created := nowUTC()
	if err := t.create(ctx, spec); err != nil {
		return &failure{cannotCreate, err}
	}
	t.observe(StepCreate, began)
	t.followLog(c)
	began = time.Now()
	if _, err := t.eng.cfg.Driver.Start(ctx, k.ID); err != nil {
		return &failure{cannotStart, err}
	}
	t.observe(StepStart, began)
	t.started(c, func(k *container) {
		k.Created, k.Digest, k.StopSignal, k.Bindings = created, img.Digest, img.StopSignal, bindings
	})
	return nil
}

// hostPorts checks that a container in host mode can have the ports that it
// names. What it does not name it finds out for itself.
func (t *task) hostPorts(c *types.ContainerDefinition) error {
	if t.mode() != network.Host || t.eng.cfg.HostPort == nil {
		return nil
	}
	for _, m := range c.PortMappings {
		ps, err := ports(m)
		if err != nil {
			return err
		}
		for _, p := range ps {
			if p.Protocol != "tcp" {
				continue
			}
			if err := t.eng.cfg.HostPort(p.ContainerPort); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes a container, in place of one that a crash may have left half
// made under the same id.
func (t *task) create(ctx context.Context, s driver.Spec) error {
	err := t.eng.cfg.Driver.Create(ctx, s)
	if err == nil || !t.eng.resumed || ctx.Err() != nil {
		return err
	}
	if err := t.eng.cfg.Driver.Delete(ctx, s.ID); err != nil {
		return err
	}
	return t.eng.cfg.Driver.Create(ctx, s)
}

// started notes that a container runs, unless its end was noted already.
func (t *task) started(c *types.ContainerDefinition, f func(k *container)) {
	t.change(func(s *state) {
		k := s.find(deref(c.Name))
		f(k)
		if k.Status != cluster.Stopped {
			k.Status, k.Started = cluster.Running, nowUTC()
		}
		s.settle(t.def)
	})
	t.armHealth(c)
}

// pull makes the container's image present.
func (t *task) pull(ctx context.Context, c *types.ContainerDefinition) (driver.Image, error) {
	t.mu.Lock()
	if t.st.PullStarted == nil {
		t.st.PullStarted = nowUTC()
	}
	t.mu.Unlock()
	began := time.Now()
	img, err := t.eng.images.get(ctx, deref(c.Image))
	if err == nil {
		t.observe(StepImage, began)
	}
	t.mu.Lock()
	t.st.PullStopped = nowUTC()
	t.mu.Unlock()
	return img, err
}

// meant adds to the error of a pull what the image should have been called.
func (t *task) meant(ref string, err error) error {
	if t.eng.cfg.Meant == nil || t.ctx.Err() != nil {
		return err
	}
	if hint := t.eng.cfg.Meant(t.msg.Dhow.Account, t.msg.Dhow.Region, ref); hint != "" {
		return fmt.Errorf("%s: %w", hint, err) // ahead of what is long, and may be cut
	}
	return err
}

// fail makes the node end the task; the first reason stays.
func (s *state) fail(reason string) {
	if s.Desired != cluster.Stopped {
		s.Desired, s.Reason = cluster.Stopped, reason
	}
}
