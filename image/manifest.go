package image

import (
	"encoding/json"
	"fmt"
	"mime"
)

// MaxManifest is the largest manifest in bytes.
const MaxManifest = 4 << 20

// The kinds of manifest that are kept.
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// descriptor is the part of an OCI descriptor that is looked at.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// content is a manifest or an index as it is sent.
type content struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

func badManifest(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrManifest, fmt.Sprintf(format, args...))
}

// parseManifest reads a manifest of a media type, "" for what it says itself.
// The row it returns lacks repository, ImageSize of an index, and time.
func parseManifest(mediaType string, body []byte) (m Manifest, err error) {
	if len(body) > MaxManifest {
		return m, fmt.Errorf("%w: a manifest has at most %d bytes", ErrTooLarge, MaxManifest)
	}
	var c content
	if err := json.Unmarshal(body, &c); err != nil {
		return m, badManifest("it is no JSON object of a manifest: %v", err)
	}
	if mediaType != "" {
		if mediaType, _, err = mime.ParseMediaType(mediaType); err != nil {
			return m, badManifest("its Content-Type: %v", err)
		}
	}
	if mediaType == "" || mediaType == "application/json" || mediaType == "application/octet-stream" {
		mediaType = c.guess()
	}
	if c.MediaType != "" && c.MediaType != mediaType {
		return m, badManifest("its mediaType %q is not its Content-Type %q", c.MediaType, mediaType)
	}
	if c.SchemaVersion != 2 {
		return m, badManifest("schemaVersion is %d; only 2 is served, push with a current client", c.SchemaVersion)
	}
	m = Manifest{Digest: Digest(body), MediaType: mediaType, Size: int64(len(body)), ArtifactType: c.ArtifactType}
	switch mediaType {
	case ociManifest, dockerManifest:
		err = m.image(c)
	case ociIndex, dockerList:
		err = m.index(c)
	default:
		err = badManifest("media type %q is not served: use %s, %s or Docker's schema 2", mediaType, ociManifest, ociIndex)
	}
	if err != nil {
		return m, err
	}
	if c.Subject != nil {
		if err := c.Subject.check("subject"); err != nil {
			return m, err
		}
		m.Subject, m.Annotations = c.Subject.Digest, c.Annotations
	}
	return m, nil
}

// guess is the media type of a manifest that came without one.
func (c *content) guess() string {
	switch {
	case c.MediaType != "":
		return c.MediaType
	case c.Config != nil:
		return ociManifest
	default:
		return ociIndex
	}
}

func (m *Manifest) image(c content) error {
	if c.Config == nil || len(c.Manifests) > 0 {
		return badManifest("a manifest of an image needs a config and has no manifests")
	}
	if err := c.Config.check("config"); err != nil {
		return err
	}
	if m.ArtifactType == "" {
		m.ArtifactType = c.Config.MediaType
	}
	m.Blobs, m.ImageSize = []string{c.Config.Digest}, c.Config.Size
	for i, l := range c.Layers {
		if err := l.check(fmt.Sprintf("layers[%d]", i)); err != nil {
			return err
		}
		m.ImageSize += l.Size
		if len(l.URLs) == 0 { // else it lies elsewhere and need not be here
			m.Blobs = append(m.Blobs, l.Digest)
		}
	}
	return nil
}

func (m *Manifest) index(c content) error {
	if c.Config != nil || len(c.Layers) > 0 {
		return badManifest("an index has manifests, neither config nor layers")
	}
	for i, d := range c.Manifests {
		if err := d.check(fmt.Sprintf("manifests[%d]", i)); err != nil {
			return err
		}
		m.Images = append(m.Images, d.Digest)
	}
	return nil
}

func (d *descriptor) check(at string) error {
	if !ValidDigest(d.Digest) {
		return badManifest("%s: %q is no digest: sha256: and 64 lower-case hexadecimal digits", at, d.Digest)
	}
	if d.Size < 0 || d.Size > MaxBlob {
		return badManifest("%s: size %d is not between 0 and %d", at, d.Size, int64(MaxBlob))
	}
	return nil
}
