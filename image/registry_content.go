package image

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/dhowhq/dhow/store"
)

func (s *Store) getManifest(q *request) error {
	m, body, err := s.Manifest(q.scope, q.name, q.ref)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Content-Type", m.MediaType)
	h.Set("Docker-Content-Digest", m.Digest)
	h.Set("ETag", `"`+m.Digest+`"`)
	if q.Header.Get("If-None-Match") == h.Get("ETag") {
		q.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if q.Method == http.MethodGet {
		q.w.Write(body)
	}
	return nil
}

func (s *Store) putManifest(q *request) error {
	if q.ContentLength > MaxManifest {
		return fmt.Errorf("%w: a manifest has at most %d bytes", ErrTooLarge, MaxManifest)
	}
	body, err := io.ReadAll(http.MaxBytesReader(q.w, q.Body, MaxManifest))
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	tag := q.ref
	if ValidDigest(q.ref) {
		if have := Digest(body); have != q.ref {
			return fmt.Errorf("%w: the manifest has %s, not %s", ErrDigest, have, q.ref)
		}
		tag = ""
	} else if !ValidTag(q.ref) {
		return badManifest("%.200q is neither a tag nor a digest of sha256", q.ref)
	}
	if err := s.make(q); err != nil {
		return err
	}
	m, err := s.PutManifest(q.Context(), q.scope, q.name, tag, q.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Location", "/v2/"+q.name+"/manifests/"+m.Digest)
	h.Set("Docker-Content-Digest", m.Digest)
	if m.Subject != "" {
		h.Set("OCI-Subject", m.Subject)
	}
	q.w.WriteHeader(http.StatusCreated)
	return nil
}

// make makes the repository of a push that asks for it.
func (s *Store) make(q *request) error {
	if q.Header.Get(CreateHeader) == "" {
		return nil
	}
	return s.EnsureRepository(q.Context(), q.scope, q.name)
}

func (s *Store) deleteManifest(q *request) error {
	var err error
	if ValidDigest(q.ref) {
		_, err = s.DeleteImage(q.Context(), q.scope, q.name, q.ref)
	} else {
		_, err = s.Untag(q.Context(), q.scope, q.name, q.ref, false)
	}
	if err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}

// getBlob sends a blob, or the range of it that the request asks for.
func (s *Store) getBlob(q *request) error {
	f, size, err := s.OpenBlob(q.scope, q.name, q.ref)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != size {
		return fmt.Errorf("blob %s on disk has not its %d bytes", q.ref, size)
	}
	if q.Method == http.MethodHead {
		s.touch(q.ref)
	}
	h := q.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", q.ref)
	h.Set("ETag", `"`+q.ref+`"`)
	http.ServeContent(q.w, q.Request, "", time.Time{}, f) // by sendfile
	return nil
}

// deleteBlob takes a blob out of its repository, unless an image needs it.
func (s *Store) deleteBlob(q *request) error {
	f, _, err := s.OpenBlob(q.scope, q.name, q.ref)
	if err != nil {
		return err
	}
	f.Close()
	s.sweep.Lock()
	defer s.sweep.Unlock()
	key := q.scope.Key(q.name) + "@" + q.ref
	err = s.db.Update(q.Context(), func(tx *store.Tx) error {
		for m := range Manifests.By(tx, "blob", key) {
			return &protocolError{405, "UNSUPPORTED", "image " + m.Digest + " needs this blob, delete it first"}
		}
		Blobs.Delete(tx, key)
		return nil
	})
	if err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusAccepted)
	return nil
}

// listReferrers answers with an index of the manifests that refer to a digest.
func (s *Store) listReferrers(q *request) error {
	if !ValidDigest(q.ref) {
		return fmt.Errorf("%w: %.200q is no digest", ErrDigest, q.ref)
	}
	list, err := s.Referrers(q.scope, q.name, q.ref)
	if err != nil {
		return err
	}
	only := q.URL.Query().Get("artifactType")
	if only != "" {
		q.w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	found := []descriptor{}
	for _, m := range list {
		if only == "" || only == m.ArtifactType {
			found = append(found, descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Size, ArtifactType: m.ArtifactType, Annotations: m.Annotations})
		}
	}
	return q.json(ociIndex, map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": found})
}
