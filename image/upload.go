package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// MaxBlob is the largest blob in bytes: ECR's quota for a layer.
const MaxBlob = 52_000 << 20

// upload is a blob on its way in: a file in uploads/ named ID, and the
// repository's key in ID.repo. Between calls it costs no descriptor.
type upload struct {
	id, repo string
	turn     chan struct{} // capacity one: who holds the token writes
	file     *os.File      // open while the turn is held
	hash     hash.Hash     // of the file's first size bytes; nil if not known
	size     int64
}

// giveBack ends a turn that hold began.
func (u *upload) giveBack() {
	if u.file != nil {
		u.file.Close()
		u.file = nil
	}
	<-u.turn
}

// StartUpload begins an upload to the repository and returns its id.
func (s *Store) StartUpload(scope cluster.Scope, name string) (id string, err error) {
	if _, err := s.Repository(scope, name); err != nil {
		return "", err
	}
	u := &upload{id: cluster.NewUUID(), repo: scope.Key(name), turn: make(chan struct{}, 1), hash: sha256.New()}
	if err := os.WriteFile(s.uploadPath(u.id)+".repo", []byte(u.repo), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(s.uploadPath(u.id), nil, 0o600); err != nil {
		return "", err
	}
	s.mu.Lock()
	s.uploads[u.id] = u
	s.mu.Unlock()
	return u.id, nil
}

func (s *Store) uploadPath(id string) string { return filepath.Join(s.cfg.Dir, "uploads", id) }

// hold returns the upload with its turn taken; end the turn with giveBack.
func (s *Store) hold(ctx context.Context, scope cluster.Scope, name, id string) (*upload, error) {
	missing := fmt.Errorf("%w: %q in repository %s; it may have been finished, cancelled or swept: start again", ErrNoUpload, id, name)
	if !validUploadID(id) {
		return nil, missing
	}
	s.mu.Lock()
	u := s.uploads[id]
	if u == nil { // of before a restart
		u = &upload{id: id, turn: make(chan struct{}, 1)}
		repo, err := os.ReadFile(s.uploadPath(id) + ".repo")
		if err != nil {
			s.mu.Unlock()
			return nil, missing
		}
		u.repo = string(repo)
		s.uploads[id] = u
	}
	s.mu.Unlock()
	if u.repo != scope.Key(name) {
		return nil, missing
	}
	select {
	case u.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := s.reopen(u); err != nil {
		u.giveBack()
		s.forget(u)
		if errors.Is(err, os.ErrNotExist) {
			return nil, missing
		}
		return nil, err
	}
	return u, nil
}

// reopen opens the upload's file. After a restart what is on disk counts.
func (s *Store) reopen(u *upload) (err error) {
	if u.file, err = os.OpenFile(s.uploadPath(u.id), os.O_RDWR, 0); err != nil {
		return err
	}
	info, err := u.file.Stat()
	if err != nil || u.hash != nil && info.Size() == u.size {
		return err
	}
	u.hash = sha256.New()
	u.size, err = io.Copy(u.hash, u.file)
	return err
}

func (s *Store) forget(u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[u.id] == u {
		delete(s.uploads, u.id)
	}
}

// drop removes the upload's files; the caller has its turn.
func (s *Store) drop(u *upload) {
	os.Remove(s.uploadPath(u.id))
	os.Remove(s.uploadPath(u.id) + ".repo")
	s.forget(u)
}

// UploadSize is how many bytes have arrived.
func (s *Store) UploadSize(ctx context.Context, scope cluster.Scope, name, id string) (int64, error) {
	u, err := s.hold(ctx, scope, name, id)
	if err != nil {
		return 0, err
	}
	defer u.giveBack()
	return u.size, nil
}

// Append adds what body yields. at is the position of its first byte, -1 for
// the end; ErrRange if that is not the end. It returns the new size: bytes that
// arrived before body failed are kept and counted, so that the client can
// continue.
func (s *Store) Append(ctx context.Context, scope cluster.Scope, name, id string, at int64, body io.Reader) (int64, error) {
	u, err := s.hold(ctx, scope, name, id)
	if err != nil {
		return 0, err
	}
	defer u.giveBack()
	if at >= 0 && at != u.size {
		return u.size, fmt.Errorf("%w: this chunk begins at %d, the next byte is %d", ErrRange, at, u.size)
	}
	return u.size, u.write(body)
}

func (u *upload) write(body io.Reader) error {
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		if u.size+int64(n) > MaxBlob {
			return fmt.Errorf("%w: a layer has at most %d bytes", ErrTooLarge, int64(MaxBlob))
		}
		if n > 0 {
			w, werr := u.file.WriteAt(buf[:n], u.size)
			u.hash.Write(buf[:w])
			u.size += int64(w)
			if werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the body: %w", err)
		}
	}
}

// Finish makes the upload a blob of its repository. It is durable when Finish
// returns. On ErrDigest the upload is gone.
func (s *Store) Finish(ctx context.Context, scope cluster.Scope, name, id, digest string) (size int64, err error) {
	u, err := s.hold(ctx, scope, name, id)
	if err != nil {
		return 0, err
	}
	defer u.giveBack()
	return u.size, s.finish(ctx, scope, name, u, digest)
}

func (s *Store) finish(ctx context.Context, scope cluster.Scope, name string, u *upload, digest string) error {
	if !ValidDigest(digest) {
		return fmt.Errorf("%w: %q is no digest: sha256: and 64 lower-case hexadecimal digits", ErrDigest, digest)
	}
	if have := "sha256:" + hex.EncodeToString(u.hash.Sum(nil)); have != digest {
		s.drop(u)
		return fmt.Errorf("%w: the %d bytes that arrived have %s, not %s", ErrDigest, u.size, have, digest)
	}
	if err := u.file.Sync(); err != nil {
		return err
	}
	s.sweep.RLock()
	defer s.sweep.RUnlock()
	if err := s.keep(s.uploadPath(u.id), digest); err != nil {
		return err
	}
	s.drop(u)
	return s.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := repository(tx, scope, name); err != nil {
			return err
		}
		return Blobs.Put(tx, Blob{Repo: scope.Key(name), Digest: digest, Size: u.size})
	})
}

// Cancel gives an upload up.
func (s *Store) Cancel(ctx context.Context, scope cluster.Scope, name, id string) error {
	u, err := s.hold(ctx, scope, name, id)
	if err != nil {
		return err
	}
	s.drop(u)
	u.giveBack()
	return nil
}

// validUploadID keeps what is no id of ours away from the file system.
func validUploadID(id string) bool {
	return len(id) == 36 && strings.Trim(id, "0123456789abcdef-") == ""
}
