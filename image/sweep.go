package image

import (
	"context"
	"errors"
	"io/fs"
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
// the number of files and bytes that it freed.
func (s *Store) Sweep(ctx context.Context, now time.Time) (files int, bytes int64, err error) {
	s.sweep.Lock()
	defer s.sweep.Unlock()
	before := now.Add(-s.cfg.Grace)
	blobs := filepath.Join(s.cfg.Dir, "blobs", "sha256")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.ModTime().After(before) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return files, bytes, err
		}
		unused, err := s.release(ctx, "sha256:"+e.Name())
		if err != nil {
			return files, bytes, err
		}
		if unused {
			if err := os.Remove(filepath.Join(blobs, e.Name())); err != nil {
				return files, bytes, err
			}
			files, bytes = files+1, bytes+info.Size()
		}
	}
	return files, bytes, s.sweepUploads(before)
}

// release deletes the rows by which repositories hold a blob that no manifest
// of theirs names, and reports whether nothing needs its content any more.
func (s *Store) release(ctx context.Context, digest string) (unused bool, err error) {
	for more := true; more; {
		err = s.db.Update(ctx, func(tx *store.Tx) error {
			unused, more = true, false
			for range Manifests.By(tx, "digest", digest) {
				unused = false
				break
			}
			var idle []string
			for b := range Blobs.By(tx, "digest", digest) {
				named := false
				for range Manifests.By(tx, "blob", b.Key()) {
					named = true
					break
				}
				if named {
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
