package avro

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/dhowhq/dhow/contract/wire"
)

// Glue is what a registry is asked by. A *glue.Client has it.
type Glue interface {
	GetSchemaVersion(context.Context, *glue.GetSchemaVersionInput, ...func(*glue.Options)) (*glue.GetSchemaVersionOutput, error)
	QuerySchemaVersionMetadata(context.Context, *glue.QuerySchemaVersionMetadataInput, ...func(*glue.Options)) (*glue.QuerySchemaVersionMetadataOutput, error)
}

// RegistryOptions may be left zero, each.
type RegistryOptions struct {
	// Timeout is how long a question to the registry may take in all, retries
	// included. 5 s where zero.
	Timeout time.Duration
	// Refresh is how often the lists of versions are renewed behind the back of
	// those who read messages, so that the first message of a new version finds
	// it there. 1 min where zero, never where negative.
	Refresh time.Duration
	// Retry is for how long the answer that something is unknown, or that the
	// registry cannot be reached, stands before the same is asked again. 2 s where
	// zero.
	Retry time.Duration
	// Depth is how many versions of a schema, the newest, are looked through for
	// a semantic version or a fingerprint. 200 where zero.
	Depth int
	// OnError is told when a renewal in the background fails. What was known
	// stays in use.
	OnError func(error)
}

// Registry is a Glue Schema Registry as a [Source], with a memory.
//
// What a version is never changes, so what was fetched once is never fetched
// again, and goes on working while the registry is away. It asks once where many
// wait for the same answer, and believes no answer that does not fit the
// question. Credentials are those of the client's provider: where they are
// refused as expired or unknown, the provider is asked for new ones at once.
//
// The policy of the caller has to allow glue:GetSchemaVersion and
// glue:QuerySchemaVersionMetadata.
type Registry struct {
	api     Glue
	o       RegistryOptions
	known   cache[*Version] // by UUID
	flights flights
	refused refused

	mu       sync.Mutex
	catalogs map[string]*catalog // by REGISTRY/NAME
	started  bool                // the loop of refreshes
	open     context.Context     // until Close
	end      context.CancelFunc
	loops    sync.WaitGroup
}

// NewRegistry asks nothing yet.
func NewRegistry(api Glue, o RegistryOptions) *Registry {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Timeout, 5*time.Second)
	def(&o.Refresh, time.Minute)
	def(&o.Retry, 2*time.Second)
	if o.Depth == 0 {
		o.Depth = 200
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	r := &Registry{api: api, o: o, catalogs: map[string]*catalog{}}
	r.open, r.end = context.WithCancel(context.Background())
	return r
}

// Close ends the renewals in the background. What is known can still be found.
func (r *Registry) Close() {
	r.end()
	r.loops.Wait()
}

// Select is that of [Source].
func (r *Registry) Select(ctx context.Context, want Wanted) (*Version, error) {
	c := r.follow(want.Name)
	pick := func() *Version { return want.newest(c.list()) }
	return r.look(ctx, c, pick, wire.Reference{Name: want.String()}, want.String())
}

// Find is that of [Source].
func (r *Registry) Find(ctx context.Context, name string, ref wire.Reference) (*Version, error) {
	switch ref.Form {
	case wire.Glue:
		r.follow(name) // its next versions will be there before their messages
		v, err := r.byUUID(ctx, ref.UUID)
		if err == nil && !sameName(v.Name, name) {
			return nil, unknown("%s is a version of %s, not of %s", ref, v.Name, name)
		}
		return v, err
	case wire.SingleObject, wire.Named:
		if ref.Form == wire.Named && !sameName(ref.Name, name) {
			return nil, unknown("%s is not %s", ref, name)
		}
		c := r.follow(name)
		pick := func() *Version {
			for _, v := range c.list() {
				if v.is(ref) {
					return v
				}
			}
			return nil
		}
		key := ref
		key.Name = name // a fingerprint may be unknown in one schema and not in another
		return r.look(ctx, c, pick, key, ref.String()+" of "+name)
	}
	return nil, unknown("a Glue registry does not know %s", ref)
}

func (r *Registry) byUUID(ctx context.Context, id wire.UUID) (*Version, error) {
	ref := wire.Reference{Form: wire.Glue, UUID: id}
	if v, ok := r.known.get(&ref); ok {
		return v, nil
	}
	if err := r.refused.get(ref); err != nil {
		return nil, err
	}
	return r.flights.do(ctx, ref, func(ctx context.Context) (*Version, error) {
		if v, ok := r.known.get(&ref); ok {
			return v, nil // of a flight that has just ended
		}
		v, err := r.fetch(ctx, id)
		if err != nil {
			return nil, r.refused.put(ref, err, r.o.Retry)
		}
		r.known.put(ref, v)
		return v, nil
	}, r.o.Timeout)
}

// look returns what pick finds in a catalog, after a renewal of the catalog
// where it finds nothing. That renewal begins after the question: a version may
// have been registered a moment ago. key is what is remembered as unknown.
func (r *Registry) look(ctx context.Context, c *catalog, pick func() *Version, key wire.Reference, what string) (*Version, error) {
	if v := pick(); v != nil {
		return v, nil
	}
	if err := r.refused.get(key); err != nil {
		return nil, err
	}
	begin := time.Now()
	err := r.renewed(ctx, c, begin)
	if (err == nil || errors.Is(err, ErrUnknown)) && !c.since(begin) { // others had asked already
		err = r.renewed(ctx, c, begin)
	}
	if v := pick(); v != nil {
		return v, nil
	}
	if err == nil {
		err = unknown("%s is not among the newest %d versions in the registry", what, r.o.Depth)
	} else {
		err = fmt.Errorf("%s: %w", what, err)
	}
	if errors.Is(err, ErrUnknown) {
		r.refused.put(key, err, r.o.Retry)
	}
	return nil, err
}

// renewed waits for a renewal of a catalog, one that is under way if there is.
func (r *Registry) renewed(ctx context.Context, c *catalog, since time.Time) error {
	_, err := r.flights.do(ctx, wire.Reference{Form: wire.Named, Name: c.name}, func(ctx context.Context) (*Version, error) {
		return nil, r.renew(ctx, c, since)
	}, r.o.Timeout)
	return err
}

// follow returns the catalog of a schema, which is renewed from now on.
func (r *Registry) follow(name string) *catalog {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.catalogs[name]
	if c == nil {
		c = &catalog{name: name, busy: make(chan struct{}, 1), numbers: map[int64]*Version{}, void: map[int64]bool{}}
		r.catalogs[name] = c
	}
	if !r.started && r.o.Refresh > 0 && r.open.Err() == nil {
		r.started = true
		r.loops.Go(r.refresh)
	}
	return c
}

// refresh renews all catalogs, again and again. Each has time of its own, so that
// one that hangs does not keep the others from theirs.
func (r *Registry) refresh() {
	tick := time.NewTicker(r.o.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-r.open.Done():
			return
		case <-tick.C:
		}
		for _, c := range r.followed() {
			ctx, cancel := context.WithTimeout(r.open, r.o.Timeout)
			err := r.renew(ctx, c, time.Now())
			cancel()
			if err != nil && r.open.Err() == nil {
				r.o.OnError(fmt.Errorf("renewing the versions of %s: %w", c.name, err))
			}
		}
	}
}

func (r *Registry) followed() []*catalog {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.catalogs))
}
