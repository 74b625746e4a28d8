package containerd

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// gate keeps cleaning out of the way of starts: it lets few deletions run at
// once, and none begin while a start is under way, unless one has waited long.
type gate struct {
	once  sync.Once
	turns chan struct{} // of starts
	slots chan struct{} // of cleaners

	mu     sync.Mutex
	starts int
	idle   chan struct{} // closed when starts falls to 0; nil when it is 0
}

const (
	cleaners   = 2
	maxPostpon = 2 * time.Second
)

// starting waits for one of the turns that starts have at once, and marks a
// start until the returned function is called. Half of a start is waiting for
// the kernel, so that there are more turns than processors, but hundreds at
// once would only make all of them late.
func (g *gate) starting(ctx context.Context) (done func(), err error) {
	g.once.Do(g.init)
	g.mark()
	select {
	case g.turns <- struct{}{}:
		return func() { <-g.turns; g.unmark() }, nil
	case <-ctx.Done():
		g.unmark()
		return nil, ctx.Err()
	}
}

func (g *gate) init() {
	g.slots = make(chan struct{}, cleaners)
	g.turns = make(chan struct{}, max(24, 4*runtime.GOMAXPROCS(0)))
}

func (g *gate) mark() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.starts == 0 {
		g.idle = make(chan struct{})
	}
	g.starts++
}

func (g *gate) unmark() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.starts--; g.starts == 0 {
		close(g.idle)
		g.idle = nil
	}
}

// cleaning waits for its turn.
func (g *gate) cleaning(ctx context.Context) (release func(), err error) {
	g.once.Do(g.init)
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release = func() { <-g.slots }
	patience := time.NewTimer(maxPostpon)
	defer patience.Stop()
	for {
		g.mu.Lock()
		idle := g.idle
		g.mu.Unlock()
		if idle == nil {
			return release, nil
		}
		select {
		case <-idle:
		case <-patience.C:
			return release, nil
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		}
	}
}
