package containerd

import (
	"context"
	"sync"
	"time"
)

// gate keeps cleaning out of the way of starts: it lets few deletions run at
// once, and none begin while a start is under way, unless one has waited long.
type gate struct {
	once  sync.Once
	slots chan struct{}

	mu     sync.Mutex
	starts int
	idle   chan struct{} // closed when starts falls to 0; nil when it is 0
}

const (
	cleaners   = 2
	maxPostpon = 2 * time.Second
)

// starting marks a start until the returned function is called.
func (g *gate) starting() (done func()) {
	g.mu.Lock()
	if g.starts == 0 {
		g.idle = make(chan struct{})
	}
	g.starts++
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.starts--; g.starts == 0 {
			close(g.idle)
			g.idle = nil
		}
	}
}

// cleaning waits for its turn.
func (g *gate) cleaning(ctx context.Context) (release func(), err error) {
	g.once.Do(func() { g.slots = make(chan struct{}, cleaners) })
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
