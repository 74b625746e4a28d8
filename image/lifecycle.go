package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dhowhq/dhow/store"
)

// Lifecycle is a repository's policy of which images expire, as in ECR's
// "Lifecycle policy parameters".
type Lifecycle struct {
	Rules []LifecycleRule `json:"rules"`
}

// LifecycleRule expires images that it selects. An image is judged by the rule
// of the lowest priority that selects it.
type LifecycleRule struct {
	Priority    int    `json:"rulePriority"`
	Description string `json:"description"`
	Selection   struct {
		TagStatus   string   `json:"tagStatus"`
		Prefixes    []string `json:"tagPrefixList"`  // all must match
		Patterns    []string `json:"tagPatternList"` // all must match
		CountType   string   `json:"countType"`
		CountUnit   string   `json:"countUnit"`
		CountNumber int      `json:"countNumber"`
	} `json:"selection"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
}

// ParseLifecycle reads a policy and returns it with its rules in order.
func ParseLifecycle(text string) (l Lifecycle, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, err
	}
	if d.More() {
		return l, errors.New("there is more after the policy")
	}
	if len(l.Rules) == 0 {
		return l, errors.New("rules must not be empty")
	}
	seen := map[int]bool{}
	for _, r := range l.Rules {
		if err := r.check(); err != nil {
			return l, fmt.Errorf("rule of priority %d: %w", r.Priority, err)
		}
		if seen[r.Priority] {
			return l, fmt.Errorf("two rules have the priority %d", r.Priority)
		}
		seen[r.Priority] = true
	}
	slices.SortFunc(l.Rules, func(a, b LifecycleRule) int { return cmp.Compare(a.Priority, b.Priority) })
	if i := slices.IndexFunc(l.Rules, func(r LifecycleRule) bool { return r.Selection.TagStatus == "any" }); i >= 0 && i < len(l.Rules)-1 {
		return l, errors.New("a rule of tagStatus any must be the only one of its kind and have the highest priority number")
	}
	return l, nil
}

func (r LifecycleRule) check() error {
	s := r.Selection
	lists := len(s.Prefixes) + len(s.Patterns)
	switch {
	case r.Priority < 1:
		return errors.New("rulePriority must be 1 or more")
	case r.Action.Type != "expire":
		return fmt.Errorf("action type %q is not served, only expire is", r.Action.Type)
	case s.TagStatus != "tagged" && s.TagStatus != "untagged" && s.TagStatus != "any":
		return fmt.Errorf("tagStatus %q is not tagged, untagged or any", s.TagStatus)
	case s.TagStatus == "tagged" && (lists == 0 || len(s.Prefixes) > 0 && len(s.Patterns) > 0):
		return errors.New("tagStatus tagged needs either tagPrefixList or tagPatternList")
	case s.TagStatus != "tagged" && lists > 0:
		return errors.New("tagPrefixList and tagPatternList go with tagStatus tagged only")
	case s.CountNumber < 1:
		return errors.New("countNumber must be 1 or more")
	case s.CountType == "imageCountMoreThan" && s.CountUnit != "":
		return errors.New("countUnit does not go with imageCountMoreThan")
	case s.CountType == "sinceImagePushed" && s.CountUnit != "days":
		return errors.New("sinceImagePushed needs countUnit days")
	case s.CountType != "imageCountMoreThan" && s.CountType != "sinceImagePushed":
		return fmt.Errorf("countType %q is not served: imageCountMoreThan or sinceImagePushed", s.CountType)
	}
	return nil
}

// selects reports whether the rule is about an image with these tags.
func (r LifecycleRule) selects(tags []string) bool {
	s := r.Selection
	switch s.TagStatus {
	case "untagged":
		return len(tags) == 0
	case "tagged":
		for _, p := range s.Prefixes {
			if !slices.ContainsFunc(tags, func(t string) bool { return strings.HasPrefix(t, p) }) {
				return false
			}
		}
		for _, p := range s.Patterns {
			if !slices.ContainsFunc(tags, func(t string) bool { return wildcard(p, t) }) {
				return false
			}
		}
		return len(tags) > 0
	}
	return true
}

// expired returns the digests of the images that the policy expires. Images
// that an index names stay as long as the index.
func (l Lifecycle) expired(now time.Time, images []Manifest, tags map[string][]string) (digests []string) {
	inner := map[string]bool{}
	for _, m := range images {
		for _, d := range m.Images {
			inner[d] = true
		}
	}
	images = slices.DeleteFunc(slices.Clone(images), func(m Manifest) bool { return inner[m.Digest] })
	slices.SortFunc(images, func(a, b Manifest) int { // newest first
		return cmp.Or(b.PushedAt.Compare(a.PushedAt), cmp.Compare(a.Digest, b.Digest))
	})
	judged := map[string]bool{}
	for _, r := range l.Rules {
		n := 0
		for _, m := range images {
			if judged[m.Digest] || !r.selects(tags[m.Digest]) {
				continue
			}
			judged[m.Digest] = true
			n++
			old := r.Selection.CountType == "sinceImagePushed" && now.Sub(m.PushedAt) > time.Duration(r.Selection.CountNumber)*24*time.Hour
			many := r.Selection.CountType == "imageCountMoreThan" && n > r.Selection.CountNumber
			if old || many {
				digests = append(digests, m.Digest)
			}
		}
	}
	return digests
}

// Expire carries the lifecycle policies of all repositories out.
func (s *Store) Expire(ctx context.Context, now time.Time) error {
	var all []Repository
	s.db.View(func(r store.Reader) error {
		for repo := range Repositories.List(r, "") {
			if repo.Lifecycle != "" {
				all = append(all, repo)
			}
		}
		return nil
	})
	var errs []error
	for _, repo := range all {
		if err := s.expire(ctx, repo, now); err != nil && !errors.Is(err, ErrNoRepository) {
			errs = append(errs, fmt.Errorf("lifecycle of %s: %w", repo.Key(), err))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) expire(ctx context.Context, repo Repository, now time.Time) error {
	policy, err := ParseLifecycle(repo.Lifecycle)
	if err != nil {
		return err
	}
	images, tags, err := s.Images(repo.Scope, repo.Name)
	if err != nil {
		return err
	}
	names := map[string][]string{}
	for _, t := range tags {
		names[t.Digest] = append(names[t.Digest], t.Name)
	}
	for _, d := range policy.expired(now, images, names) {
		if _, err := s.DeleteImage(ctx, repo.Scope, repo.Name, d); err != nil && !errors.Is(err, ErrNoManifest) && !errors.Is(err, ErrReferenced) {
			return err
		}
	}
	_, err = s.UpdateRepository(ctx, repo.Scope, repo.Name, func(r *Repository) error { r.LifecycleAt = now.UTC(); return nil })
	return err
}
