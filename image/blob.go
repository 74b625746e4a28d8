package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Digest is the digest of b.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// path is where the content of a valid digest lies.
func (s *Store) path(digest string) string {
	return filepath.Join(s.cfg.Dir, "blobs", "sha256", digest[len("sha256:"):])
}

// OpenBlob opens the content of a blob that the repository holds; manifests
// are no blobs. The caller closes the file. ErrNoBlob if there is none.
func (s *Store) OpenBlob(scope cluster.Scope, name, digest string) (f *os.File, size int64, err error) {
	if !ValidDigest(digest) {
		return nil, 0, fmt.Errorf("%w: %q is no digest: sha256: and 64 lower-case hexadecimal digits", ErrDigest, digest)
	}
	err = s.db.View(func(r store.Reader) error {
		if _, err := repository(r, scope, name); err != nil {
			return err
		}
		b, ok := Blobs.Get(r, scope.Key(name)+"@"+digest)
		if !ok {
			return fmt.Errorf("%w: %s is not in repository %s", ErrNoBlob, digest, name)
		}
		size = b.Size
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	f, err = os.Open(s.path(digest))
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, fmt.Errorf("%w: the content of %s is gone from disk", ErrNoBlob, digest)
	}
	return f, size, err
}

// touch marks content as in use now: who sees that a blob is present will not
// send it again, and names it soon.
func (s *Store) touch(digest string) {
	now := time.Now()
	os.Chtimes(s.path(digest), now, now) // without it the sweep comes early, which the next push mends
}

// Mount makes a blob of any repository of the scope available in another; from
// may be "". It reports whether there was such a blob.
func (s *Store) Mount(ctx context.Context, scope cluster.Scope, name, from, digest string) (bool, error) {
	if !ValidDigest(digest) {
		return false, nil
	}
	s.sweep.RLock()
	defer s.sweep.RUnlock()
	if _, err := os.Stat(s.path(digest)); err != nil {
		return false, nil
	}
	s.touch(digest)
	var found bool
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		found = false
		if _, err := repository(tx, scope, name); err != nil {
			return err
		}
		var have Blob
		if from != "" {
			have, found = Blobs.Get(tx, scope.Key(from)+"@"+digest)
		} else {
			for b := range Blobs.By(tx, "digest", digest) {
				if len(b.Repo) > len(scope.Prefix()) && b.Repo[:len(scope.Prefix())] == scope.Prefix() {
					have, found = b, true
					break
				}
			}
		}
		if !found {
			return nil
		}
		have.Repo = scope.Key(name)
		return Blobs.Put(tx, have)
	})
	return found && err == nil, err
}

// keep moves a synced file to where the content of digest lies, durably. What
// lies there already is replaced: another put may not have synced it yet.
func (s *Store) keep(tmp, digest string) error {
	now := time.Now()
	if err := os.Chtimes(tmp, now, now); err != nil { // a resumed upload may be older than the grace
		return err
	}
	to := s.path(digest)
	if err := os.Rename(tmp, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// putBytes keeps b as content, durably, and returns its digest.
func (s *Store) putBytes(b []byte) (string, error) {
	digest := Digest(b)
	tmp := filepath.Join(s.cfg.Dir, "puts", cluster.NewID()) // out of the sweep's way, which removes old uploads
	if err := writeSynced(tmp, b); err != nil {
		os.Remove(tmp)
		return "", err
	}
	return digest, s.keep(tmp, digest)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// BlobSize is the size in bytes of a blob that the repository holds. Who asks
// may rely on it for the grace: it is marked as in use.
func (s *Store) BlobSize(scope cluster.Scope, name, digest string) (int64, error) {
	f, size, err := s.OpenBlob(scope, name, digest)
	if err != nil {
		return 0, err
	}
	s.touch(digest)
	return size, f.Close()
}
