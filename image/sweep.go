package image

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dhowhq/dhow/store"
)

// sweepLoop expires images and removes unused content, every hour.
func (s *Store) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Expire(ctx, time.Now()); err != nil && ctx.Err() == nil {
				s.log.Warn("expiry of images failed, will retry", "err", err)
			}
			if _, _, err := s.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				s.log.Warn("sweep of unused images failed, will retry", "err", err)
			}
		}
	}
}

// Sweep removes content that no image names and that was not used for the
// grace before now, and uploads that nobody continued for as long. It returns
// the number of files and bytes that it freed. Pushes wait for the removal of
// one blob at most, pulls for nothing.
func (s *Store) Sweep(ctx context.Context, now time.Time) (files int, bytes int64, err error) {
	before := now.Add(-s.cfg.Grace)
	entries, err := os.ReadDir(filepath.Join(s.cfg.Dir, "blobs", "sha256"))
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		digest := "sha256:" + e.Name()
		info, err := e.Info()
		if err != nil || info.ModTime().After(before) || !s.idle(digest) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return files, bytes, err
		}
		size, err := s.sweepBlob(ctx, digest, before)
		if err != nil {
			return files, bytes, err
		}
		if size >= 0 {
			files, bytes = files+1, bytes+size
		}
	}
	return files, bytes, s.sweepUploads(before)
}

// idle reports whether a blob's content, or its place in a repository, may not
// be needed. It is a guess: a push may come in.
func (s *Store) idle(digest string) (idle bool) {
	s.db.View(func(r store.Reader) error {
		idle = !named(Manifests.By(r, "digest", digest))
		for b := range Blobs.By(r, "digest", digest) {
			if idle = !named(Manifests.By(r, "blob", b.Key())); idle {
				break
			}
		}
		return nil
	})
	return idle
}

func named(all iter.Seq[Manifest]) bool {
	for range all {
		return true
	}
	return false
}

// sweepBlob removes what of a blob nothing needs and nobody used since before,
// with pushes held off. It returns the size of the content that it removed, or
// -1.
func (s *Store) sweepBlob(ctx context.Context, digest string, before time.Time) (int64, error) {
	s.sweep.Lock()
	defer s.sweep.Unlock()
	info, err := os.Stat(s.path(digest))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.ModTime().After(before) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	unused, err := s.release(ctx, digest)
	if err != nil || !unused {
		return -1, err
	}
	return info.Size(), os.Remove(s.path(digest))
}

// release deletes the rows by which repositories hold a blob that no manifest
// of theirs names, and reports whether nothing needs its content any more.
func (s *Store) release(ctx context.Context, digest string) (unused bool, err error) {
	for more := true; more; {
		err = s.db.Update(ctx, func(tx *store.Tx) error {
			unused, more = !named(Manifests.By(tx, "digest", digest)), false
			var idle []string
			for b := range Blobs.By(tx, "digest", digest) {
				if named(Manifests.By(tx, "blob", b.Key())) {
					unused = false
				} else if len(idle) < 90 {
					idle = append(idle, b.Key())
				} else {
					more = true
				}
			}
			for _, k := range idle {
				Blobs.Delete(tx, k)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return unused, nil
}

// sweepUploads removes the files of uploads that stood still since before.
func (s *Store) sweepUploads(before time.Time) error {
	dir := filepath.Join(s.cfg.Dir, "uploads")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id := strings.TrimSuffix(e.Name(), ".repo")
		info, err := os.Stat(filepath.Join(dir, id))
		if errors.Is(err, fs.ErrNotExist) {
			info, err = e.Info()
		}
		if err != nil || info.ModTime().After(before) {
			continue
		}
		s.mu.Lock()
		u := s.uploads[id]
		s.mu.Unlock()
		if u != nil {
			select {
			case u.turn <- struct{}{}:
				s.drop(u)
				u.giveBack()
			default: // somebody writes
			}
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
