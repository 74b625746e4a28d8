package containerd

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"

	"github.com/dhowhq/dhow/driver"
)

// Pull fetches and unpacks an image. What is present is not fetched again: a
// reference by digest never, one by tag only with Always and if the registry
// has another digest by now. Concurrent pulls of one reference are one pull,
// with the first one's credentials.
func (d *Driver) Pull(ctx context.Context, p driver.Pull, progress func(done, total int64)) (driver.Image, error) {
	name, err := fullRef(p.Ref)
	if err != nil {
		return driver.Image{}, err
	}
	im, err := d.image(ctx, name)
	if err == nil && (!p.Always || hasDigest(name)) {
		return im.public(p.Ref), nil
	}
	im, err = d.pulls.do(ctx, d.ctx, name, progress, func(ctx context.Context, report func(done, total int64)) (*image, error) {
		return d.pull(ctx, name, p, report)
	})
	if err != nil {
		return driver.Image{}, err
	}
	return im.public(p.Ref), nil
}

func hasDigest(name string) bool {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return false
	}
	_, ok := ref.(reference.Digested)
	return ok
}

func (d *Driver) pull(ctx context.Context, name string, p driver.Pull, report func(done, total int64)) (*image, error) {
	quiet := logrus.New() // the resolver logs what it also returns
	quiet.SetOutput(io.Discard)
	ctx = log.WithLogger(ctx, logrus.NewEntry(quiet))

	resolver := &onceResolver{Resolver: newResolver(name, p)}
	if have, err := d.image(ctx, name); err == nil {
		_, desc, err := resolver.Resolve(ctx, name)
		if err != nil {
			return nil, pullError(ctx, fmt.Errorf("failed to resolve reference %q: %w", name, err))
		}
		if desc.Digest.String() == have.target {
			return have, nil
		}
	}
	meter := &meter{store: d.cl.ContentStore(), report: report}
	stop := meter.start(ctx)
	defer stop()
	img, err := d.cl.Pull(ctx, name,
		client.WithResolver(resolver),
		client.WithPullUnpack,
		client.WithPullSnapshotter(d.snapshotter),
		client.WithImageHandlerWrapper(meter.wrap))
	if err != nil {
		return nil, pullError(ctx, err)
	}
	return d.cacheImage(ctx, name, img)
}

// onceResolver resolves a reference once: the check for a newer image and the
// pull that follows are one request, and see the same image.
type onceResolver struct {
	remotes.Resolver
	name string
	desc ocispec.Descriptor
}

func (r *onceResolver) Resolve(ctx context.Context, ref string) (string, ocispec.Descriptor, error) {
	if r.name != "" {
		return r.name, r.desc, nil
	}
	name, desc, err := r.Resolver.Resolve(ctx, ref)
	if err == nil {
		r.name, r.desc = name, desc
	}
	return name, desc, err
}

// newResolver talks to the reference's registry, or to p.Endpoint in its
// place: the connection goes there, the Host header and the token's service
// stay the registry's, so that one endpoint can stand in for many registries.
func newResolver(name string, p driver.Pull) remotes.Resolver {
	registry := ""
	if named, err := reference.ParseNormalizedNamed(name); err == nil {
		registry = reference.Domain(named)
	}
	if registry == "docker.io" {
		registry = "registry-1.docker.io"
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSHandshakeTimeout = 10 * time.Second
	transport.ResponseHeaderTimeout = 30 * time.Second
	transport.IdleConnTimeout = 10 * time.Second
	transport.MaxIdleConnsPerHost = 8
	if p.Endpoint != "" {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == hostPort(registry, p.PlainHTTP) {
				addr = p.Endpoint
			}
			return dialer.DialContext(ctx, network, addr)
		}
	}
	hc := &http.Client{Transport: transport}
	plain := p.PlainHTTP
	if !plain && p.Endpoint == "" {
		plain, _ = docker.MatchLocalhost(registry)
	}
	scheme := "https"
	if plain {
		scheme = "http"
	}
	auth := docker.NewDockerAuthorizer(docker.WithAuthClient(hc), docker.WithAuthCreds(func(host string) (string, string, error) {
		if host == registry {
			return p.User, p.Password, nil
		}
		return "", "", nil // never to another host that the registry names
	}))
	return docker.NewResolver(docker.ResolverOptions{Hosts: func(string) ([]docker.RegistryHost, error) {
		return []docker.RegistryHost{{
			Client:       hc,
			Authorizer:   auth,
			Host:         registry,
			Scheme:       scheme,
			Path:         "/v2",
			Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve,
		}}, nil
	}})
}

func hostPort(host string, plain bool) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	if plain {
		return net.JoinHostPort(host, "80")
	}
	return net.JoinHostPort(host, "443")
}

// meter adds up a pull's bytes: the handler sees which blobs there are, the
// content store says how much of each is there.
type meter struct {
	store  content.Store
	report func(done, total int64)

	mu    sync.Mutex
	blobs map[digest.Digest]int64
	whole map[digest.Digest]bool
}

func (m *meter) wrap(next images.Handler) images.Handler {
	return images.HandlerFunc(func(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		children, err := next.Handle(ctx, desc)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.blobs == nil {
			m.blobs, m.whole = map[digest.Digest]int64{}, map[digest.Digest]bool{}
		}
		for _, c := range children {
			if !images.IsIndexType(c.MediaType) && !images.IsManifestType(c.MediaType) {
				m.blobs[c.Digest] = c.Size
			}
		}
		return children, err
	})
}

// start reports until stop is called, and once more then.
func (m *meter) start(ctx context.Context) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				m.tell(ctx)
			case <-done:
				m.tell(ctx)
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (m *meter) tell(ctx context.Context) {
	active := map[digest.Digest]int64{}
	if list, err := m.store.ListStatuses(ctx); err == nil {
		for _, s := range list {
			active[s.Expected] = s.Offset
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var done, total int64
	for dg, size := range m.blobs {
		total += size
		if offset, ok := active[dg]; ok && !m.whole[dg] {
			done += offset
			continue
		}
		if !m.whole[dg] {
			_, err := m.store.Info(ctx, dg)
			m.whole[dg] = err == nil
			if err != nil && !errdefs.IsNotFound(err) {
				return
			}
		}
		if m.whole[dg] {
			done += size
		}
	}
	if total > 0 {
		m.report(done, total)
	}
}
