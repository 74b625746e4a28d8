// Package sim is a container runtime that runs nothing: it keeps the states
// and timings of containers in memory, or in a directory too. A million
// containers on ten thousand simulated nodes fit in one process, because they
// share one timer heap and none has a goroutine.
//
// What a container does is taken from its image's name (see Behaviour) and
// its command (see script): a task definition written for real containers
// that sleep, exit and trap signals means the same here. Everything else runs
// until it is told to stop.
//
// Time is package time's, so that tests run it in testing/synctest bubbles.
package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dhowhq/dhow/driver"
)

// Config says how long things take. The zero value takes no time at all and
// keeps everything in memory.
type Config struct {
	Dir    string  // where containers and images are kept for the next Open; "" for memory only
	Engine *Engine // shared by drivers; nil makes one of its own

	Pull   time.Duration // of an image that is not present
	Create time.Duration
	Start  time.Duration
	Stop   time.Duration // from SIGTERM to the exit
	Delete time.Duration

	// Images overrides what names say, by full reference.
	Images map[string]Behaviour
}

// Typical is a Config with the timings of real containers on a small host.
func Typical() Config {
	return Config{
		Pull: 2 * time.Second, Create: 6 * time.Millisecond, Start: 55 * time.Millisecond,
		Stop: 200 * time.Millisecond, Delete: 40 * time.Millisecond,
	}
}

// Driver is a simulated driver.Driver. Use Open.
type Driver struct {
	cfg    Config
	engine *Engine
	ctx    context.Context
	cancel context.CancelFunc

	mu         sync.Mutex
	containers map[string]*container
	images     map[string]*pulled
	nextPid    int
	closed     bool

	exits   chan driver.Exit
	queue   []driver.Exit
	pumping bool
	pump    sync.WaitGroup
}

var _ driver.Driver = (*Driver)(nil)

// pulled is an image that is present, or being pulled until done is closed.
type pulled struct {
	image driver.Image
	does  Behaviour
	done  chan struct{}
	err   error
}

// Open returns a Driver with the containers that are in cfg.Dir. Those whose
// time came while no Driver was there have ended.
func Open(cfg Config) (*Driver, error) {
	d := &Driver{
		cfg: cfg, engine: cfg.Engine, containers: map[string]*container{}, images: map[string]*pulled{},
		exits: make(chan driver.Exit),
	}
	if d.engine == nil {
		d.engine = NewEngine()
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if err := d.load(); err != nil {
		return nil, err
	}
	return d, nil
}

// New is Open for a Driver that keeps nothing: it cannot fail.
func New(cfg Config) *Driver {
	cfg.Dir = ""
	d, _ := Open(cfg)
	return d
}

// Version names this runtime.
func (d *Driver) Version() string { return "sim" }

// Exits delivers each exit once. The channel is closed by Close.
func (d *Driver) Exits() <-chan driver.Exit { return d.exits }

// Close detaches. Containers in a directory go on; those in memory are gone.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	for _, c := range d.containers {
		d.engine.stop(c.timer)
	}
	d.mu.Unlock()
	d.cancel()
	d.pump.Wait()
	close(d.exits)
	return nil
}

// errClosed is what every method returns after Close.
var errClosed = errors.New("the driver is closed")

// pause takes the time that a step takes.
func (d *Driver) pause(ctx context.Context, t time.Duration) error {
	if d.ctx.Err() != nil {
		return errClosed
	}
	if t <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return errClosed
	}
}

// Pull makes an image present after the time that its name or the Config
// says, or fails as the name says.
func (d *Driver) Pull(ctx context.Context, p driver.Pull, progress func(done, total int64)) (driver.Image, error) {
	does, err := d.behaviour(p.Ref)
	if err != nil {
		return driver.Image{}, err
	}
	for {
		d.mu.Lock()
		im := d.images[p.Ref]
		mine := im == nil
		if mine {
			im = &pulled{does: does, done: make(chan struct{})}
			d.images[p.Ref] = im
		}
		d.mu.Unlock()
		if mine {
			d.pull(ctx, p.Ref, im, progress)
		}
		select {
		case <-im.done:
		case <-ctx.Done():
			return driver.Image{}, ctx.Err()
		}
		if !mine && errors.Is(im.err, context.Canceled) && ctx.Err() == nil {
			continue // the one who pulled gave up
		}
		return im.image, im.err
	}
}

func (d *Driver) pull(ctx context.Context, ref string, im *pulled, progress func(done, total int64)) {
	im.image = driver.Image{Ref: ref, Digest: digest(ref), Size: simulatedSize}
	im.err = d.pause(ctx, im.does.pull(d.cfg))
	if im.err == nil {
		im.err = im.does.pullError(ref)
	}
	if im.err == nil && progress != nil {
		progress(simulatedSize, simulatedSize)
	}
	d.mu.Lock()
	if im.err == nil {
		im.err = d.saveImage(im)
	}
	if im.err != nil {
		delete(d.images, ref)
	}
	d.mu.Unlock()
	close(im.done)
}

const simulatedSize = 10 << 20

// digest is made of the reference: the same image has the same everywhere.
func digest(ref string) string {
	h := fnv.New64a()
	h.Write([]byte(ref))
	return fmt.Sprintf("sha256:%064x", binary.BigEndian.AppendUint64(nil, h.Sum64()))
}

// Image returns the image if it was pulled.
func (d *Driver) Image(_ context.Context, ref string) (driver.Image, error) {
	im, err := d.present(ref)
	if err != nil {
		return driver.Image{}, err
	}
	return im.image, nil
}

// Images returns the images that were pulled.
func (d *Driver) Images(ctx context.Context) ([]driver.Image, error) {
	d.mu.Lock()
	refs := slices.Sorted(maps.Keys(d.images))
	d.mu.Unlock()
	out := make([]driver.Image, 0, len(refs))
	for _, ref := range refs {
		if im, err := d.Image(ctx, ref); err == nil {
			out = append(out, im)
		}
	}
	return out, nil
}

// RemoveImage forgets an image.
func (d *Driver) RemoveImage(_ context.Context, ref string) error {
	if _, err := d.present(ref); err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.images, ref)
	return d.forget("images", ref)
}

func (d *Driver) present(ref string) (*pulled, error) {
	d.mu.Lock()
	im := d.images[ref]
	d.mu.Unlock()
	if im != nil {
		select {
		case <-im.done:
			if im.err == nil {
				return im, nil
			}
		default:
		}
	}
	return nil, fmt.Errorf("%s: %w", ref, driver.ErrImageNotFound)
}

// List returns every container.
func (d *Driver) List(context.Context) ([]driver.Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]driver.Container, 0, len(d.containers))
	for _, id := range slices.Sorted(maps.Keys(d.containers)) {
		out = append(out, d.containers[id].public())
	}
	return out, nil
}

// tell queues an exit for the reader of Exits; the goroutine that hands it
// over lives only while there is something to hand over. d.mu is held.
func (d *Driver) tell(e driver.Exit) {
	if d.closed {
		return
	}
	d.queue = append(d.queue, e)
	if d.pumping {
		return
	}
	d.pumping = true
	d.pump.Go(func() {
		for {
			d.mu.Lock()
			list := d.queue
			d.queue = nil
			if len(list) == 0 {
				d.pumping = false
				d.mu.Unlock()
				return
			}
			d.mu.Unlock()
			for _, e := range list {
				select {
				case d.exits <- e:
				case <-d.ctx.Done():
					return
				}
			}
		}
	})
}
