package ecr

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/image"
)

// BatchGetImage returns manifests; what cannot be returned is a failure.
func (a *API) BatchGetImage(ctx context.Context, in *ecr.BatchGetImageInput) (*ecr.BatchGetImageOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	name := deref(in.RepositoryName)
	if _, err := a.images.Repository(s, name); err != nil {
		return nil, wireError(err)
	}
	out := &ecr.BatchGetImageOutput{Images: []types.Image{}, Failures: []types.ImageFailure{}}
	for _, id := range in.ImageIds {
		m, fail := a.find(s, name, id)
		if fail == nil && len(in.AcceptedMediaTypes) > 0 && !slices.Contains(in.AcceptedMediaTypes, m.MediaType) {
			fail = &types.ImageFailure{FailureCode: types.ImageFailureCodeImageNotFound, ImageId: &id,
				FailureReason: ptr("Requested image has the media type " + m.MediaType + ", which is not among acceptedMediaTypes")}
		}
		if fail != nil {
			out.Failures = append(out.Failures, *fail)
			continue
		}
		_, body, err := a.images.Manifest(s, name, m.Digest)
		if err != nil {
			return nil, wireError(err)
		}
		out.Images = append(out.Images, wireImage(s, name, m, deref(id.ImageTag), body))
	}
	return out, nil
}

func wireImage(s cluster.Scope, name string, m image.Manifest, tag string, body []byte) types.Image {
	return types.Image{
		ImageId:                imageID(m.Digest, tag),
		ImageManifest:          ptr(string(body)),
		ImageManifestMediaType: &m.MediaType,
		RegistryId:             &s.Account,
		RepositoryName:         &name,
	}
}

func imageID(digest, tag string) *types.ImageIdentifier {
	id := &types.ImageIdentifier{ImageDigest: &digest}
	if tag != "" {
		id.ImageTag = &tag
	}
	return id
}

// BatchDeleteImage removes images by digest, and tags by name: an image goes
// with its last tag.
func (a *API) BatchDeleteImage(ctx context.Context, in *ecr.BatchDeleteImageInput) (*ecr.BatchDeleteImageOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	name := deref(in.RepositoryName)
	if _, err := a.images.Repository(s, name); err != nil {
		return nil, wireError(err)
	}
	out := &ecr.BatchDeleteImageOutput{ImageIds: []types.ImageIdentifier{}, Failures: []types.ImageFailure{}}
	for _, id := range in.ImageIds {
		m, fail := a.find(s, name, id)
		if fail == nil {
			var gone []types.ImageIdentifier
			if gone, err = a.remove(ctx, s, name, m, deref(id.ImageTag)); err == nil {
				out.ImageIds = append(out.ImageIds, gone...)
				continue
			}
			code := types.ImageFailureCodeImageNotFound
			if errors.Is(err, image.ErrReferenced) {
				code = types.ImageFailureCodeImageReferencedByManifestList
			} else if !errors.Is(err, image.ErrNoManifest) {
				return nil, wireError(err)
			}
			fail = &types.ImageFailure{FailureCode: code, FailureReason: ptr(err.Error()), ImageId: &id}
		}
		out.Failures = append(out.Failures, *fail)
	}
	return out, nil
}

// remove deletes a tag, or an image with all its tags, and returns what went.
func (a *API) remove(ctx context.Context, s cluster.Scope, name string, m image.Manifest, tag string) ([]types.ImageIdentifier, error) {
	if tag != "" {
		digest, err := a.images.Untag(ctx, s, name, tag, true)
		return []types.ImageIdentifier{*imageID(digest, tag)}, err
	}
	tags, err := a.images.DeleteImage(ctx, s, name, m.Digest)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return []types.ImageIdentifier{*imageID(m.Digest, "")}, nil
	}
	var gone []types.ImageIdentifier
	for _, t := range tags {
		gone = append(gone, *imageID(m.Digest, t))
	}
	return gone, nil
}
