package image

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// BuildOptions say what an image is made of.
type BuildOptions struct {
	// Path is a program, which becomes /NAME and the entrypoint, or a
	// directory, whose contents become those of Target.
	Path   string
	Target string // directory in the image, "/" if empty
	// From is the image below: a reference, an OCI layout's directory, a
	// tarball of `docker save`; empty for none. A short NAME:TAG is sought in
	// Remote's registry first, then on Docker Hub.
	From   string
	Remote Remote

	Entrypoint []string // replaces that of From, and its Cmd unless Cmd is set
	Cmd        []string
	Env        []string // NAME=VALUE, added to those of From
	WorkingDir string
	User       string
	Expose     []string          // PORT or PORT/tcp, PORT/udp
	Labels     map[string]string // added to those of From
	Platform   string            // OS/ARCH[/VARIANT]; empty: the program's, else this machine's
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Build makes an image. The same files and options make the same image, bit by
// bit: times are SOURCE_DATE_EPOCH or zero, owners are root. The files are
// read again when the image is pushed, so keep them unchanged until then.
func Build(ctx context.Context, o BuildOptions) (v1.Image, error) {
	at, err := sourceDate()
	if err != nil {
		return nil, err
	}
	src, err := inspect(o)
	if err != nil {
		return nil, err
	}
	platform, err := choosePlatform(o.Platform, src.program)
	if err != nil {
		return nil, err
	}
	base := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	if o.From != "" {
		if base, err = fetch(ctx, o.From, platform, o.Remote); err != nil {
			return nil, fmt.Errorf("--from %s: %w", o.From, err)
		}
	}
	kind := types.OCILayer
	if mt, err := base.MediaType(); err == nil && mt == types.DockerManifestSchema2 {
		kind = types.DockerLayer
	}
	layer, err := tarball.LayerFromOpener(src.tar(ctx, at), tarball.WithMediaType(kind), tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.Path, err)
	}
	img, err := mutate.Append(base, mutate.Addendum{Layer: layer, MediaType: kind, History: v1.History{
		Created: v1.Time{Time: at}, CreatedBy: "dhow image build", Comment: filepath.Base(o.Path),
	}})
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	if err := o.configure(file, src, platform, at); err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, file)
}

// configure writes the options into the image's configuration.
func (o BuildOptions) configure(f *v1.ConfigFile, src *source, p v1.Platform, at time.Time) error {
	f.Created = v1.Time{Time: at}
	if o.From == "" {
		f.OS, f.Architecture, f.Variant = p.OS, p.Architecture, p.Variant
		f.Config.Env = []string{defaultPath}
	} else if f.Architecture != p.Architecture {
		return fmt.Errorf("--from %s is for %s/%s, the image is to be for %s/%s", o.From, f.OS, f.Architecture, p.OS, p.Architecture)
	}
	c := &f.Config
	switch {
	case len(o.Entrypoint) > 0:
		c.Entrypoint, c.Cmd = o.Entrypoint, nil
	case len(src.entrypoint) > 0:
		c.Entrypoint, c.Cmd = src.entrypoint, nil
	}
	if len(o.Cmd) > 0 {
		c.Cmd = o.Cmd
	}
	if len(c.Entrypoint) == 0 && len(c.Cmd) == 0 {
		return fmt.Errorf("%s has no single program at its top to start: say --entrypoint", o.Path)
	}
	for _, e := range o.Env {
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" {
			return fmt.Errorf("environment %q is not NAME=VALUE", e)
		}
		c.Env = append(slices.DeleteFunc(c.Env, func(old string) bool { return strings.HasPrefix(old, name+"=") }), e)
	}
	if o.WorkingDir != "" {
		if !path.IsAbs(o.WorkingDir) {
			return fmt.Errorf("working directory %q is not absolute", o.WorkingDir)
		}
		c.WorkingDir = o.WorkingDir
	}
	if o.User != "" {
		c.User = o.User
	}
	if len(o.Labels) > 0 {
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		maps.Copy(c.Labels, o.Labels)
	}
	return expose(c, o.Expose)
}

func expose(c *v1.Config, ports []string) error {
	for _, e := range ports {
		port, proto, ok := strings.Cut(e, "/")
		if !ok {
			proto = "tcp"
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || proto != "tcp" && proto != "udp" {
			return fmt.Errorf("port %q is not PORT, PORT/tcp or PORT/udp with a port of 1 to 65535", e)
		}
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		c.ExposedPorts[port+"/"+proto] = struct{}{}
	}
	return nil
}

// choosePlatform is what was asked for, which a program must fit, else the
// program's, else this machine's.
func choosePlatform(asked string, p *program) (v1.Platform, error) {
	if asked == "" {
		if p != nil && p.arch != "" {
			return v1.Platform{OS: "linux", Architecture: p.arch}, nil
		}
		return v1.Platform{OS: "linux", Architecture: runtime.GOARCH}, nil
	}
	want, err := v1.ParsePlatform(asked)
	if err != nil || want.OS != "linux" || want.Architecture == "" {
		return v1.Platform{}, fmt.Errorf("platform %q is not linux/ARCH", asked)
	}
	if p != nil && p.arch != "" && p.arch != want.Architecture {
		return v1.Platform{}, fmt.Errorf("%s is a program for linux/%s, not for %s", p.path, p.arch, asked)
	}
	return *want, nil
}

func sourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, errors.New("SOURCE_DATE_EPOCH is not a number of seconds since 1970")
	}
	return time.Unix(n, 0).UTC(), nil
}
