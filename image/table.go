package image

import (
	"errors"
	"fmt"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Repository is a named set of images.
type Repository struct {
	Scope       cluster.Scope
	Name        string
	CreatedAt   time.Time
	Mutability  string            `json:",omitempty"` // ECR's word; "" means MUTABLE
	Exclusions  []string          `json:",omitempty"` // wildcard patterns of tags that Mutability leaves out
	ScanOnPush  bool              `json:",omitempty"` // remembered, nothing is scanned
	Encryption  string            `json:",omitempty"` // "" means AES256
	KMSKey      string            `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"` // of the resource
	Policy      string            `json:",omitempty"` // JSON
	Lifecycle   string            `json:",omitempty"` // JSON
	LifecycleAt time.Time         `json:",omitzero"`
}

// Key is the row's.
func (r Repository) Key() string { return r.Scope.Key(r.Name) }

// ARN is the repository's name in AWS's words.
func (r Repository) ARN() string { return r.Scope.ARN("ecr", "repository/"+r.Name) }

// Manifest is an image, or an index of images, in one repository.
type Manifest struct {
	Repo         string // Repository.Key
	Digest       string
	MediaType    string
	ArtifactType string            `json:",omitempty"`
	Annotations  map[string]string `json:",omitempty"` // only with a subject, for referrers
	Subject      string            `json:",omitempty"` // digest that it refers to
	Size         int64             // of the manifest itself
	ImageSize    int64             // of layers and configuration; an index has its largest image's
	Blobs        []string          `json:",omitempty"` // digests of layers and configuration
	Images       []string          `json:",omitempty"` // digests of the manifests of an index
	PushedAt     time.Time
}

// Key is the row's.
func (m Manifest) Key() string { return m.Repo + "@" + m.Digest }

// Tag is a name of an image in its repository.
type Tag struct {
	Repo, Name, Digest string
	TaggedAt           time.Time
}

// Key is the row's.
func (t Tag) Key() string { return t.Repo + ":" + t.Name }

// Blob says that a repository holds some content: what it holds can be pulled
// from it and named by its manifests.
type Blob struct {
	Repo, Digest string
	Size         int64
}

// Key is the row's.
func (b Blob) Key() string { return b.Repo + "@" + b.Digest }

// The tables. No repository's name holds an @ or a colon, so that a
// repository's key with one of them is the prefix of what it contains.
var (
	Repositories = store.NewTable("image.repositories", Repository.Key)
	Manifests    = store.NewTable("image.manifests", Manifest.Key,
		store.Index[Manifest]{Name: "digest", Values: func(m Manifest) []string { return []string{m.Digest} }},
		store.Index[Manifest]{Name: "subject", Values: func(m Manifest) []string {
			if m.Subject == "" {
				return nil
			}
			return []string{m.Repo + "@" + m.Subject}
		}},
		store.Index[Manifest]{Name: "image", Values: func(m Manifest) []string { return inRepo(m.Repo, m.Images) }},
		store.Index[Manifest]{Name: "blob", Values: func(m Manifest) []string { return inRepo(m.Repo, m.Blobs) }},
	)
	Tags = store.NewTable("image.tags", Tag.Key,
		store.Index[Tag]{Name: "image", Values: func(t Tag) []string { return []string{t.Repo + "@" + t.Digest} }})
	Blobs = store.NewTable("image.blobs", Blob.Key,
		store.Index[Blob]{Name: "digest", Values: func(b Blob) []string { return []string{b.Digest} }})
)

func inRepo(repo string, digests []string) []string {
	out := make([]string, len(digests))
	for i, d := range digests {
		out[i] = repo + "@" + d
	}
	return out
}

// What the store's methods return, wrapped with words; faces test them with
// errors.Is or errors.As.
var (
	ErrNoRepository = errors.New("repository does not exist")
	ErrRepository   = errors.New("repository exists already")
	ErrNotEmpty     = errors.New("repository contains images")
	ErrNoManifest   = errors.New("image does not exist")
	ErrNoBlob       = errors.New("blob does not exist")
	ErrNoUpload     = errors.New("upload does not exist")
	ErrImmutable    = errors.New("tag is immutable")
	ErrDigest       = errors.New("digest does not match the content")
	ErrManifest     = errors.New("manifest is invalid")
	ErrReferenced   = errors.New("image is part of an index")
	ErrTooLarge     = errors.New("content is too large")
	ErrRange        = errors.New("bytes are out of order")
	ErrName         = errors.New("name is invalid")
)

// worded is an error in words of its own that is one of the above.
type worded struct {
	is   error
	text string
}

func (e *worded) Error() string { return e.text }
func (e *worded) Unwrap() error { return e.is }

func say(is error, format string, args ...any) error {
	return &worded{is, fmt.Sprintf(format, args...)}
}

func noRepository(s cluster.Scope, name string) error {
	return say(ErrNoRepository, "The repository with name '%s' does not exist in the registry with id '%s'", name, s.Account)
}

// repository returns the row, or ErrNoRepository.
func repository(r store.Reader, s cluster.Scope, name string) (Repository, error) {
	repo, ok := Repositories.Get(r, s.Key(name))
	if !ok {
		return Repository{}, noRepository(s, name)
	}
	return repo, nil
}
