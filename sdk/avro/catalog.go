package avro

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/wire"
)

// catalog is the newest versions of one schema, as far as they are known. It
// only grows, whatever the registry says later: versions do not change.
type catalog struct {
	name string // REGISTRY/NAME or an ARN
	// versions are newest first. Written by renew only.
	versions atomic.Pointer[[]*Version]

	busy    chan struct{} // of one; full while renew runs, who has what follows to itself
	numbers map[int64]*Version
	void    map[int64]bool // numbers of deleted or failed versions
	at      time.Time      // the end of the last renewal
	err     error          // of the last renewal

	began atomic.Pointer[time.Time] // when the last renewal that has ended began
}

func (c *catalog) list() []*Version {
	if l := c.versions.Load(); l != nil {
		return *l
	}
	return nil
}

// atOnce is how many questions a renewal asks at the same time.
const atOnce = 8

// renew fetches what is new in a catalog, unless a renewal that began no earlier
// than since has ended, or the registry could not be reached shortly ago: then it
// returns what came of that. What could be fetched is kept even where it returns
// an error.
func (r *Registry) renew(ctx context.Context, c *catalog, since time.Time) error {
	select {
	case c.busy <- struct{}{}:
		defer func() { <-c.busy }()
	case <-ctx.Done():
		return fmt.Errorf("the registry did not answer within %s", r.o.Timeout)
	}
	away := c.err != nil && !errors.Is(c.err, ErrUnknown) && time.Since(c.at) < r.o.Retry
	if c.since(since) || away {
		return c.err
	}
	began := time.Now()
	c.err = r.renewAlone(ctx, c)
	c.at = time.Now()
	c.began.Store(&began)
	return c.err
}

// since reports whether the last renewal began at a time or later, so that it
// tells of all versions that there were at that time.
func (c *catalog) since(t time.Time) bool {
	began := c.began.Load()
	return began != nil && !began.Before(t)
}

func (r *Registry) renewAlone(ctx context.Context, c *catalog) error {
	newest, v, err := r.latest(ctx, c.name)
	if err != nil {
		return err
	}
	if v != nil && c.numbers[newest] == nil {
		if err := r.describe(ctx, v); err != nil {
			return err
		}
		c.numbers[newest] = v
	}
	err = r.fill(ctx, c, newest)
	c.publish(r.o.Depth)
	for _, v := range c.list() {
		ref := wire.Reference{Form: wire.Glue, UUID: v.UUID}
		if _, ok := r.known.get(&ref); !ok {
			r.known.put(ref, v)
		}
	}
	return err
}

// fill fetches the versions before the newest that are missing.
func (r *Registry) fill(ctx context.Context, c *catalog, newest int64) error {
	var (
		mu     sync.Mutex
		failed error // the first
		wg     sync.WaitGroup
		slots  = make(chan struct{}, atOnce)
	)
	for n := newest; n > max(0, newest-int64(r.o.Depth)); n-- {
		mu.Lock()
		skip := c.numbers[n] != nil || c.void[n] || failed != nil
		mu.Unlock()
		if skip {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			v, err := r.numbered(ctx, c.name, n)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				c.numbers[n] = v
			case errors.Is(err, errVoid) || errors.Is(err, ErrUnknown):
				c.void[n] = true
			case !errors.Is(err, errPending):
				if failed == nil {
					failed = err
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// publish makes the list of what is known, of at most depth versions.
func (c *catalog) publish(depth int) {
	numbers := slices.Sorted(maps.Keys(c.numbers))
	slices.Reverse(numbers)
	for len(numbers) > depth {
		delete(c.numbers, numbers[len(numbers)-1])
		numbers = numbers[:len(numbers)-1]
	}
	list := make([]*Version, len(numbers))
	for i, n := range numbers {
		list[i] = c.numbers[n]
	}
	c.versions.Store(&list)
}

// latest asks for the number of the newest version, and the version where it
// can be used.
func (r *Registry) latest(ctx context.Context, name string) (int64, *Version, error) {
	out, err := r.get(ctx, schemaVersion(name, &types.SchemaVersionNumber{LatestVersion: true}))
	if err != nil {
		return 0, nil, err
	}
	if out.VersionNumber == nil || *out.VersionNumber < 1 {
		return 0, nil, lie("the newest version has no number")
	}
	v, err := received(out)
	if errors.Is(err, errVoid) || errors.Is(err, errPending) {
		return *out.VersionNumber, nil, nil
	}
	if err == nil && !sameName(v.Name, name) {
		err = lie("a version of %s came for one of %s", v.Name, name)
	}
	return *out.VersionNumber, v, err
}
