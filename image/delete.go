package image

import (
	"context"
	"fmt"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Untag removes a tag and returns the digest that it had. The image stays,
// unless last says that an image goes with its last tag (ECR's rule; an image
// that an index names stays all the same). ErrNoManifest if there is no such
// tag.
func (s *Store) Untag(ctx context.Context, scope cluster.Scope, name, tag string, last bool) (digest string, err error) {
	s.sweep.Lock() // no tag comes in between look and deletion
	defer s.sweep.Unlock()
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := repository(tx, scope, name); err != nil {
			return err
		}
		t, ok := Tags.Get(tx, scope.Key(name)+":"+tag)
		if !ok {
			return fmt.Errorf("%w: tag %q in repository %s", ErrNoManifest, tag, name)
		}
		digest = t.Digest
		Tags.Delete(tx, t.Key())
		if !last {
			return nil
		}
		key := t.Repo + "@" + t.Digest
		for other := range Tags.By(tx, "image", key) {
			if other.Name != t.Name {
				return nil
			}
		}
		for range Manifests.By(tx, "image", key) {
			return nil
		}
		Manifests.Delete(tx, key)
		return nil
	})
	if err == nil {
		s.event(Event{scope, name, "DELETE", digest, tag})
	}
	return digest, err
}

// DeleteImage removes an image by its digest, with its tags, which it returns.
// ErrReferenced if an index of the repository names it, ErrNoManifest if there
// is no such image.
func (s *Store) DeleteImage(ctx context.Context, scope cluster.Scope, name, digest string) (tags []string, err error) {
	s.sweep.Lock()
	defer s.sweep.Unlock()
	for more := true; more; {
		err = s.db.Update(ctx, func(tx *store.Tx) error {
			m, err := find(tx, scope, name, digest)
			if err != nil {
				return err
			}
			var parents []string
			for p := range Manifests.By(tx, "image", m.Key()) {
				parents = append(parents, p.Digest)
			}
			if len(parents) > 0 {
				return say(ErrReferenced, "Requested image referenced by manifest list: [%s]", strings.Join(parents, ", "))
			}
			var keys []string
			for t := range Tags.By(tx, "image", m.Key()) {
				if len(keys) == 90 {
					break
				}
				keys = append(keys, t.Key())
			}
			for _, k := range keys {
				Tags.Delete(tx, k)
				tags = append(tags, k[strings.LastIndexByte(k, ':')+1:])
			}
			if more = len(keys) == 90; !more {
				Manifests.Delete(tx, m.Key())
			}
			return nil
		})
		if err != nil {
			return tags, err
		}
	}
	s.event(Event{Scope: scope, Repository: name, Action: "DELETE", Digest: digest})
	return tags, nil
}
