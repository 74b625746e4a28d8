package avro

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dhowhq/dhow/contract/wire"
)

// flights lets many wait for one answer. The zero value is ready.
type flights struct {
	mu   sync.Mutex
	open map[wire.Reference]*flight
}

type flight struct {
	done chan struct{} // closed when the rest is written
	v    *Version
	err  error
}

// do calls ask, unless somebody else does already, and returns what comes of it.
// The question goes on in its own time when a caller gives up: others wait too.
func (f *flights) do(ctx context.Context, key wire.Reference, ask func(context.Context) (*Version, error), timeout time.Duration) (*Version, error) {
	f.mu.Lock()
	in, ok := f.open[key]
	if !ok {
		in = &flight{done: make(chan struct{})}
		if f.open == nil {
			f.open = map[wire.Reference]*flight{}
		}
		f.open[key] = in
		go f.fly(context.WithoutCancel(ctx), key, in, ask, timeout)
	}
	f.mu.Unlock()
	select {
	case <-in.done:
		return in.v, in.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the registry: %w", context.Cause(ctx))
	}
}

func (f *flights) fly(ctx context.Context, key wire.Reference, in *flight, ask func(context.Context) (*Version, error), timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	in.v, in.err = ask(ctx)
	f.mu.Lock()
	delete(f.open, key)
	f.mu.Unlock()
	close(in.done)
}

// maxRefused is how many refusals are remembered.
const maxRefused = 1_000

// refused remembers what could not be found, for a short time. The zero value is
// ready.
type refused struct {
	mu    sync.Mutex
	until map[wire.Reference]refusal
}

type refusal struct {
	err error
	end time.Time
}

func (r *refused) get(ref wire.Reference) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if no, ok := r.until[ref]; ok && time.Now().Before(no.end) {
		return no.err
	}
	return nil
}

// put remembers an error and returns it.
func (r *refused) put(ref wire.Reference, err error, within time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until == nil || len(r.until) >= maxRefused {
		r.until = map[wire.Reference]refusal{}
	}
	r.until[ref] = refusal{err, time.Now().Add(within)}
	return err
}
