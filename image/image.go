// Package image is the embedded OCI registry and the building of images.
//
// Rows say what exists: repositories, manifests, tags, and which blobs a
// repository holds. Content (layers, configurations, manifests) lies on disk
// by digest, shared by all repositories. Content is synced before the row that
// names it, so that what was acknowledged can be pulled after a crash; content
// that no row names is swept after a grace period. One process owns the
// directory.
//
// Repositories belong to an account and a region, as in Amazon ECR.
package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Config says where images live.
type Config struct {
	Dir string // of the content; created if absent
	DB  *store.DB
	Log *slog.Logger

	// Default is the account and region of requests that name neither, by host
	// or by credentials; 000000000000 and us-east-1 if zero.
	Default cluster.Scope
	// Enforce makes the registry demand a token of Token's, which is good for
	// its own account alone. Otherwise any credentials are taken, and none.
	Enforce bool
	// Served reports whether an account is served here though it has no
	// repository yet; nil: the default account is.
	Served func(account string) bool
	// Event is called after an image was pushed or deleted; nil: nobody asks.
	Event func(Event)
	// Grace is how long content that nothing names is kept, and uploads that
	// nobody continues; 24 hours if zero.
	Grace time.Duration
}

// Event is an action on an image, in the words of ECR's EventBridge events.
type Event struct {
	Scope      cluster.Scope
	Repository string
	Action     string // PUSH, DELETE
	Digest     string
	Tag        string // "" for none
}

// Store keeps images. It is an http.Handler, the registry's.
type Store struct {
	cfg    Config
	db     *store.DB
	log    *slog.Logger
	secret []byte // signs tokens

	// sweep is held for reading while content is put or named, for writing
	// while what is not named is removed.
	sweep   sync.RWMutex
	mu      sync.Mutex
	uploads map[string]*upload

	stop context.CancelFunc
	work sync.WaitGroup
}

// Open opens the images in c.Dir and starts the sweep of unused content.
func Open(c Config) (*Store, error) {
	if c.DB == nil || c.Dir == "" {
		return nil, errors.New("image: Config needs Dir and DB")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Default.Account == "" {
		c.Default.Account = "000000000000"
	}
	if c.Default.Region == "" {
		c.Default.Region = "us-east-1"
	}
	if c.Grace <= 0 {
		c.Grace = 24 * time.Hour
	}
	s := &Store{cfg: c, db: c.DB, log: c.Log, uploads: map[string]*upload{}}
	// What an earlier process was putting is nobody's.
	if err := os.RemoveAll(filepath.Join(c.Dir, "puts")); err != nil {
		return nil, fmt.Errorf("image directory: %w", err)
	}
	for _, d := range []string{"blobs/sha256", "uploads", "puts"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("image directory: %w", err)
		}
	}
	for _, d := range []string{"blobs", "."} { // the directories themselves outlive a crash
		if err := syncDir(filepath.Join(c.Dir, d)); err != nil {
			return nil, err
		}
	}
	var err error
	if s.secret, err = loadSecret(filepath.Join(c.Dir, "token.key")); err != nil {
		return nil, fmt.Errorf("registry token key: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.work.Go(func() { s.sweepLoop(ctx) })
	return s, nil
}

// Close stops the sweep. Unfinished uploads can be continued after the next
// Open.
func (s *Store) Close() error {
	s.stop()
	s.work.Wait()
	return nil
}

// DefaultScope is the account and region of requests that name neither.
func (s *Store) DefaultScope() cluster.Scope { return s.cfg.Default }

func (s *Store) event(e Event) {
	if s.cfg.Event != nil {
		s.cfg.Event(e)
	}
}

// loadSecret reads the key at path, or makes it.
func loadSecret(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	tmp := path + ".new"
	if err := writeSynced(tmp, key); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, path); err != nil {
		return nil, err
	}
	return key, syncDir(filepath.Dir(path))
}

// Enforced reports whether callers must prove their account.
func (s *Store) Enforced() bool { return s.cfg.Enforce }
