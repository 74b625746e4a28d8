package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
)

// CreateRepository adds r; ErrRepository if it exists, ErrName if it cannot.
func (s *Store) CreateRepository(ctx context.Context, r Repository) (Repository, error) {
	if !ValidName(r.Name) {
		return r, fmt.Errorf("%w: %q is no repository name: lower-case letters and digits, with . _ - between them and / between parts, 2 to 256 characters", ErrName, r.Name)
	}
	r.CreatedAt = time.Now().UTC().Truncate(time.Millisecond)
	return r, s.db.Update(ctx, func(tx *store.Tx) error {
		if _, ok := Repositories.Get(tx, r.Key()); ok {
			return say(ErrRepository, "The repository with name '%s' already exists in the registry with id '%s'", r.Name, r.Scope.Account)
		}
		return Repositories.Put(tx, r)
	})
}

// EnsureRepository makes the repository if it is missing.
func (s *Store) EnsureRepository(ctx context.Context, scope cluster.Scope, name string) error {
	if _, err := s.Repository(scope, name); err == nil {
		return nil
	}
	_, err := s.CreateRepository(ctx, Repository{Scope: scope, Name: name})
	if errors.Is(err, ErrRepository) {
		return nil
	}
	return err
}

// Repository returns the repository, or ErrNoRepository.
func (s *Store) Repository(scope cluster.Scope, name string) (repo Repository, err error) {
	s.db.View(func(r store.Reader) error { repo, err = repository(r, scope, name); return nil })
	return repo, err
}

// Repositories returns those of a scope, by name.
func (s *Store) Repositories(scope cluster.Scope) (list []Repository) {
	s.db.View(func(r store.Reader) error {
		for repo := range Repositories.List(r, scope.Prefix()) {
			list = append(list, repo)
		}
		return nil
	})
	return list
}

// UpdateRepository changes a repository's settings by f, which gets a copy
// whose maps and slices it must replace rather than change.
func (s *Store) UpdateRepository(ctx context.Context, scope cluster.Scope, name string, f func(*Repository) error) (repo Repository, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
		if repo, err = repository(tx, scope, name); err != nil {
			return err
		}
		if err := f(&repo); err != nil {
			return err
		}
		return Repositories.Put(tx, repo)
	})
	return repo, err
}

// DeleteRepository removes the repository; its images too if force, else it
// must have none: ErrNotEmpty.
func (s *Store) DeleteRepository(ctx context.Context, scope cluster.Scope, name string, force bool) (repo Repository, err error) {
	for more := true; more; {
		s.sweep.Lock() // no image comes in between look and deletion
		err = s.db.Update(ctx, func(tx *store.Tx) (err error) {
			if repo, err = repository(tx, scope, name); err != nil {
				return err
			}
			key := repo.Key()
			if !force {
				for range Manifests.List(tx, key+"@") {
					return say(ErrNotEmpty, "The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", name, scope.Account)
				}
			}
			n := drop(tx, Tags, key+":", Tag.Key) + drop(tx, Manifests, key+"@", Manifest.Key) + drop(tx, Blobs, key+"@", Blob.Key)
			if more = n > 0; !more {
				Repositories.Delete(tx, key)
			}
			return nil
		})
		s.sweep.Unlock()
		if err != nil {
			return repo, err
		}
	}
	return repo, nil
}

// drop deletes up to 30 rows below prefix: a transaction is bounded.
func drop[T any](tx *store.Tx, t *store.Table[T], prefix string, key func(T) string) int {
	var keys []string
	for v := range t.List(tx, prefix) {
		if keys = append(keys, key(v)); len(keys) == 30 {
			break
		}
	}
	for _, k := range keys {
		t.Delete(tx, k)
	}
	return len(keys)
}

// Reset removes all repositories of an account, in all regions. Content is
// swept when its grace has passed.
func (s *Store) Reset(ctx context.Context, account string) error {
	if !arn.IsAccount(account) {
		return fmt.Errorf("%q is no account: 12 digits", account)
	}
	var all []Repository
	s.db.View(func(r store.Reader) error {
		for repo := range Repositories.List(r, account+"/") {
			all = append(all, repo)
		}
		return nil
	})
	for _, repo := range all {
		if _, err := s.DeleteRepository(ctx, repo.Scope, repo.Name, true); err != nil && !errors.Is(err, ErrNoRepository) {
			return err
		}
	}
	return nil
}
