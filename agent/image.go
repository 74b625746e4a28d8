package agent

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/dhowhq/dhow/driver"
)

// images makes images present, as ECS's default pull behaviour says: the
// registry is asked each time what the tag means, and a present image serves
// when it cannot be reached.
type images struct {
	drv      driver.Driver
	registry func(ref string) (driver.Pull, bool)
	log      *slog.Logger
	retries  []time.Duration
}

func newImages(c Config) *images {
	return &images{drv: c.Driver, registry: c.Registry, log: c.Log, retries: []time.Duration{time.Second, 3 * time.Second}}
}

// request is how to pull ref.
func (m *images) request(ref string) driver.Pull {
	if m.registry != nil {
		if p, ok := m.registry(ref); ok {
			return p
		}
	}
	return driver.Pull{Ref: ref}
}

// present returns the image without asking a registry.
func (m *images) present(ctx context.Context, ref string) (driver.Image, error) {
	return m.drv.Image(ctx, m.request(ref).Ref)
}

// get returns the image, pulled if need be.
func (m *images) get(ctx context.Context, ref string) (driver.Image, error) {
	p := m.request(ref)
	// What a digest names does not change.
	if strings.Contains(ref, "@sha256:") {
		if img, err := m.drv.Image(ctx, p.Ref); err == nil {
			return img, nil
		}
	}
	p.Always = true
	img, err := m.drv.Pull(ctx, p, nil)
	if err == nil || ctx.Err() != nil {
		return img, err
	}
	if cached, cerr := m.drv.Image(ctx, p.Ref); cerr == nil {
		m.log.Warn("cannot ask the registry, a present image is used", "image", ref, "err", err)
		return cached, nil
	}
	for _, pause := range m.retries {
		if errors.Is(err, driver.ErrImageNotFound) || errors.Is(err, driver.ErrAuth) {
			break
		}
		select {
		case <-ctx.Done():
			return img, ctx.Err()
		case <-time.After(pause):
		}
		if img, err = m.drv.Pull(ctx, p, nil); err == nil {
			break
		}
	}
	return img, err
}
