package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dhowhq/dhow/cluster"
)

// Remote is how a client reaches the embedded registry.
type Remote struct {
	Endpoint string        // URL of the platform, http://127.0.0.1:4566
	Scope    cluster.Scope // account and region of names without a registry
	// User and Password are AWS and the token of GetAuthorizationToken where
	// the platform demands it.
	User, Password string
	Transport      http.RoundTripper // nil: http.DefaultTransport
}

// PushOptions say where and how Push pushes.
type PushOptions struct {
	Remote
	Create   bool                    // make the repository if it is missing
	Progress func(done, total int64) // bytes of layers, those present included; may be nil
}

// Push pushes an image and returns the digest-qualified reference of what it
// pushed. ref is NAME[:TAG] in o.Scope, or an ECR reference.
func Push(ctx context.Context, img v1.Image, ref string, o PushOptions) (string, error) {
	if o.Endpoint == "" {
		return "", errors.New("image: Push needs the platform's Endpoint")
	}
	full := ref
	if _, _, _, _, ok := ParseECR(ref); !ok {
		repo, tag, ok := splitName(ref)
		if !ok || ValidDigest(tag) {
			return "", fmt.Errorf("%q is not NAME:TAG: a name has lower-case letters and digits, with . _ - between them and / between parts", ref)
		}
		full = URI(o.Scope, repo) + ":" + tag
	}
	tag, err := name.NewTag(full, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("%q: %w", ref, err)
	}
	opts, err := o.options(ctx, o.Create)
	if err != nil {
		return "", err
	}
	finish := func() {}
	if o.Progress != nil {
		updates := make(chan v1.Update, 64)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for u := range updates {
				if u.Error == nil {
					o.Progress(u.Complete, u.Total)
				}
			}
		}()
		opts = append(opts, remote.WithProgress(updates))
		finish = func() { <-done } // Write closes the channel
	}
	err = remote.Write(tag, img, opts...)
	finish()
	if err != nil {
		return "", plainError(err)
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	return tag.Context().Name() + "@" + digest.String(), nil
}

// options are those of a client of the embedded registry.
func (m Remote) options(ctx context.Context, create bool) ([]remote.Option, error) {
	u, err := url.Parse(m.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("endpoint %q is no URL of the form http://HOST:PORT", m.Endpoint)
	}
	base := m.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	auth := authn.Anonymous
	if m.User != "" {
		auth = &authn.Basic{Username: m.User, Password: m.Password}
	}
	return []remote.Option{remote.WithContext(ctx), remote.WithAuth(auth), remote.WithJobs(4),
		remote.WithTransport(&detour{base: base, to: u, create: create})}, nil
}

// detour sends requests for an ECR registry to the platform, which tells
// registries by the Host header.
type detour struct {
	base   http.RoundTripper
	to     *url.URL
	create bool
}

func (d *detour) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	out.URL.Scheme, out.URL.Host = d.to.Scheme, d.to.Host
	if d.create && (r.Method == http.MethodPost || r.Method == http.MethodPut) {
		out.Header.Set(CreateHeader, "1")
	}
	resp, err := d.base.RoundTrip(out)
	if err == nil {
		resp.Request = r // against which redirects and locations count
	}
	return resp, err
}

// plainError is what the registry said, without the client's trimmings.
func plainError(err error) error {
	var t *transport.Error
	if errors.As(err, &t) && len(t.Errors) > 0 {
		return fmt.Errorf("the registry refused: %s", t.Errors[0].Message)
	}
	return err
}

// fetch returns the image that from names, for a platform.
func fetch(ctx context.Context, from string, p v1.Platform, m Remote) (v1.Image, error) {
	if info, err := os.Stat(from); err == nil {
		if !info.IsDir() {
			return tarball.ImageFromPath(from, nil)
		}
		if _, err := os.Stat(filepath.Join(from, "index.json")); err == nil {
			return fromLayout(from, p)
		}
	}
	full := from
	if repo, tag, ok := splitName(from); ok && m.Endpoint != "" && m.Scope.Account != "" {
		sep := ":"
		if ValidDigest(tag) {
			sep = "@"
		}
		full = URI(m.Scope, repo) + sep + tag
	}
	if _, _, _, _, ok := ParseECR(full); ok && m.Endpoint != "" {
		img, err := fetchHere(ctx, full, p, m)
		var t *transport.Error
		if err == nil || full == from || !errors.As(err, &t) || t.StatusCode != http.StatusNotFound {
			return img, err
		}
	}
	ref, err := name.ParseReference(from)
	if err != nil {
		return nil, err
	}
	return remote.Image(ref, remote.WithContext(ctx), remote.WithPlatform(p), remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

func fetchHere(ctx context.Context, full string, p v1.Platform, m Remote) (v1.Image, error) {
	ref, err := name.ParseReference(full, name.Insecure)
	if err != nil {
		return nil, err
	}
	opts, err := m.options(ctx, false)
	if err != nil {
		return nil, err
	}
	return remote.Image(ref, append(opts, remote.WithPlatform(p))...)
}

// fromLayout returns a layout's image for the platform, or its only one.
func fromLayout(dir string, p v1.Platform) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	return fromIndex(index, p)
}

func fromIndex(index v1.ImageIndex, p v1.Platform) (v1.Image, error) {
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range m.Manifests {
		switch {
		case d.MediaType.IsIndex():
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			if img, err := fromIndex(inner, p); err == nil {
				return img, nil
			}
		case d.MediaType.IsImage() && (d.Platform == nil || d.Platform.Satisfies(p)):
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("it has no image for %s", p.String())
}
