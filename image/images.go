package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// MissingError is the error of a manifest that names content which its
// repository does not hold.
type MissingError struct {
	Blobs, Images []string // digests
}

func (e *MissingError) Error() string {
	if len(e.Blobs) > 0 {
		return fmt.Sprintf("manifest is invalid: layers with digests %v are not in the repository, push them first", e.Blobs)
	}
	return fmt.Sprintf("manifest is invalid: images with digests %v are not in the repository, push them first", e.Images)
}

// PutManifest keeps a manifest and points tag at it; tag may be "", and is
// then reached by its digest alone. It is durable when PutManifest returns.
// Errors: ErrManifest, ErrTooLarge, ErrName, ErrNoRepository, ErrImmutable, a
// *MissingError.
func (s *Store) PutManifest(ctx context.Context, scope cluster.Scope, name, tag, mediaType string, body []byte) (Manifest, error) {
	m, err := parseManifest(mediaType, body)
	if err != nil {
		return m, err
	}
	if tag != "" && !ValidTag(tag) {
		return m, fmt.Errorf("%w: %q is no tag: letters, digits, _ . - and at most 128 characters", ErrName, tag)
	}
	if _, err := s.Repository(scope, name); err != nil { // before anything is written
		return m, err
	}
	s.sweep.RLock()
	defer s.sweep.RUnlock()
	if _, err := s.putBytes(body); err != nil {
		return m, err
	}
	m.Repo, m.PushedAt = scope.Key(name), time.Now().UTC().Truncate(time.Millisecond)
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		repo, err := repository(tx, scope, name)
		if err != nil {
			return err
		}
		if err := s.complete(tx, &m); err != nil {
			return err
		}
		if old, ok := Manifests.Get(tx, m.Key()); ok {
			m.PushedAt = old.PushedAt
		} else if err := Manifests.Put(tx, m); err != nil {
			return err
		}
		if tag == "" {
			return nil
		}
		return putTag(tx, repo, tag, m)
	})
	if errors.Is(err, store.ErrTooBig) {
		return m, fmt.Errorf("%w: the manifest names too many layers, or its annotations are too long, to be kept", ErrTooLarge)
	}
	if err == nil {
		s.event(Event{scope, name, "PUSH", m.Digest, tag})
	}
	return m, err
}

// complete checks that the repository holds what m names, and sets the size of
// an index.
func (s *Store) complete(r store.Reader, m *Manifest) error {
	var missing MissingError
	for _, d := range m.Blobs {
		if _, ok := Blobs.Get(r, m.Repo+"@"+d); !ok {
			missing.Blobs = append(missing.Blobs, d)
		}
	}
	for _, d := range m.Images {
		part, ok := Manifests.Get(r, m.Repo+"@"+d)
		if !ok {
			missing.Images = append(missing.Images, d)
		}
		m.ImageSize = max(m.ImageSize, part.ImageSize)
	}
	if len(missing.Blobs)+len(missing.Images) > 0 {
		return &missing
	}
	return nil
}

func putTag(tx *store.Tx, repo Repository, tag string, m Manifest) error {
	t := Tag{Repo: m.Repo, Name: tag, Digest: m.Digest, TaggedAt: time.Now().UTC()}
	old, ok := Tags.Get(tx, t.Key())
	switch {
	case ok && old.Digest == m.Digest:
		return nil
	case ok && repo.Immutable(tag):
		return say(ErrImmutable, "The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", tag, repo.Name)
	}
	return Tags.Put(tx, t)
}

// Immutable reports whether a tag of this name keeps the image that it got.
func (r Repository) Immutable(tag string) bool {
	excluded := slices.ContainsFunc(r.Exclusions, func(p string) bool { return wildcard(p, tag) })
	switch r.Mutability {
	case "IMMUTABLE":
		return true
	case "IMMUTABLE_WITH_EXCLUSION":
		return !excluded
	case "MUTABLE_WITH_EXCLUSION":
		return excluded
	}
	return false
}

// wildcard reports whether s matches pattern, whose * stand for any text.
func wildcard(pattern, s string) bool {
	star, after := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, after = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			after++
			p, i = star+1, after
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Manifest returns the image that ref, a tag or a digest, names in the
// repository, and its content. ErrNoManifest if there is none.
func (s *Store) Manifest(scope cluster.Scope, name, ref string) (m Manifest, body []byte, err error) {
	if m, err = s.Image(scope, name, ref); err != nil {
		return m, nil, err
	}
	body, err = os.ReadFile(s.path(m.Digest))
	if errors.Is(err, os.ErrNotExist) {
		return m, nil, fmt.Errorf("%w: the content of %s is gone from disk", ErrNoManifest, m.Digest)
	}
	if err == nil && Digest(body) != m.Digest {
		return m, nil, fmt.Errorf("content of %s on disk is damaged", m.Digest)
	}
	return m, body, err
}

// Image is Manifest without the content.
func (s *Store) Image(scope cluster.Scope, name, ref string) (m Manifest, err error) {
	s.db.View(func(r store.Reader) error { m, err = find(r, scope, name, ref); return nil })
	return m, err
}

func find(r store.Reader, scope cluster.Scope, name, ref string) (Manifest, error) {
	if _, err := repository(r, scope, name); err != nil {
		return Manifest{}, err
	}
	digest := ref
	if !ValidDigest(ref) {
		if !ValidTag(ref) {
			return Manifest{}, fmt.Errorf("%w: %q is neither a tag nor a digest", ErrNoManifest, ref)
		}
		t, _ := Tags.Get(r, scope.Key(name)+":"+ref)
		digest = t.Digest
	}
	m, ok := Manifests.Get(r, scope.Key(name)+"@"+digest)
	if !ok {
		return m, fmt.Errorf("%w: %s in repository %s of account %s in %s", ErrNoManifest, ref, name, scope.Account, scope.Region)
	}
	return m, nil
}

// TagsOf returns the tags of an image, in order.
func (s *Store) TagsOf(m Manifest) (tags []string) {
	s.db.View(func(r store.Reader) error {
		for t := range Tags.By(r, "image", m.Key()) {
			tags = append(tags, t.Name)
		}
		return nil
	})
	return tags
}

// Images returns a repository's images by digest, and its tags by name.
func (s *Store) Images(scope cluster.Scope, name string) (images []Manifest, tags []Tag, err error) {
	err = s.db.View(func(r store.Reader) error {
		if _, err := repository(r, scope, name); err != nil {
			return err
		}
		for m := range Manifests.List(r, scope.Key(name)+"@") {
			images = append(images, m)
		}
		for t := range Tags.List(r, scope.Key(name)+":") {
			tags = append(tags, t)
		}
		return nil
	})
	return images, tags, err
}

// Referrers returns the manifests of a repository whose subject is digest.
func (s *Store) Referrers(scope cluster.Scope, name, digest string) (list []Manifest, err error) {
	err = s.db.View(func(r store.Reader) error {
		if _, err := repository(r, scope, name); err != nil {
			return err
		}
		for m := range Manifests.By(r, "subject", scope.Key(name)+"@"+digest) {
			list = append(list, m)
		}
		return nil
	})
	return list, err
}
