package containerd

import (
	"context"
	"sync"
)

// flights makes concurrent pulls of one reference one pull. The pull goes on
// while anybody waits for it, and is cancelled when the last one has left.
type flights struct {
	mu   sync.Mutex
	byID map[string]*flight
}

type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	im     *image
	err    error

	mu       sync.Mutex
	waiters  int
	progress map[int]func(done, total int64)
	next     int
	last     [2]int64
}

type pullFunc func(ctx context.Context, report func(done, total int64)) (*image, error)

// do joins or starts the flight of a reference. life ends it early.
func (f *flights) do(ctx, life context.Context, id string, progress func(done, total int64), fn pullFunc) (*image, error) {
	f.mu.Lock()
	fl := f.byID[id]
	if fl == nil {
		fl = &flight{done: make(chan struct{}), progress: map[int]func(int64, int64){}}
		if f.byID == nil {
			f.byID = map[string]*flight{}
		}
		f.byID[id] = fl
		var run context.Context
		run, fl.cancel = context.WithCancel(life)
		go func() {
			fl.im, fl.err = fn(run, fl.report)
			f.forget(id, fl)
			fl.cancel()
			close(fl.done)
		}()
	}
	key := fl.join(progress)
	f.mu.Unlock()

	select {
	case <-fl.done:
		fl.leave(key)
		return fl.im, fl.err
	case <-ctx.Done():
		f.mu.Lock()
		last := fl.leave(key)
		if last && f.byID[id] == fl {
			delete(f.byID, id) // the next caller starts anew
		}
		f.mu.Unlock()
		if last {
			fl.cancel()
		}
		return nil, ctx.Err()
	}
}

func (f *flights) forget(id string, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID[id] == fl {
		delete(f.byID, id)
	}
}

func (fl *flight) join(progress func(done, total int64)) int {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.waiters++
	fl.next++
	if progress != nil {
		fl.progress[fl.next] = progress
	}
	return fl.next
}

// leave reports whether nobody waits any more. No progress is told to the
// leaver after it returns.
func (fl *flight) leave(key int) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	delete(fl.progress, key)
	fl.waiters--
	return fl.waiters == 0
}

func (fl *flight) report(done, total int64) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.last == [2]int64{done, total} {
		return
	}
	fl.last = [2]int64{done, total}
	for _, p := range fl.progress {
		p(done, total)
	}
}
