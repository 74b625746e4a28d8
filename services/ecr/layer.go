package ecr

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// partSize is the size of a part that InitiateLayerUpload suggests, in bytes.
const partSize = 10 << 20

// BatchCheckLayerAvailability says which layers a repository holds.
func (a *API) BatchCheckLayerAvailability(ctx context.Context, in *ecr.BatchCheckLayerAvailabilityInput) (*ecr.BatchCheckLayerAvailabilityOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if _, err := a.images.Repository(s, deref(in.RepositoryName)); err != nil {
		return nil, wireError(err)
	}
	out := &ecr.BatchCheckLayerAvailabilityOutput{Layers: []types.Layer{}, Failures: []types.LayerFailure{}}
	for _, d := range in.LayerDigests {
		if !image.ValidDigest(d) {
			out.Failures = append(out.Failures, types.LayerFailure{FailureCode: types.LayerFailureCodeInvalidLayerDigest, LayerDigest: &d,
				FailureReason: ptr("Invalid layer digest: it should satisfy the regex 'sha256:[a-f0-9]{64}'")})
			continue
		}
		l := types.Layer{LayerDigest: &d, LayerAvailability: types.LayerAvailabilityUnavailable}
		size, err := a.images.BlobSize(s, deref(in.RepositoryName), d)
		switch {
		case err == nil:
			l.LayerAvailability, l.LayerSize, l.MediaType = types.LayerAvailabilityAvailable, &size, ptr("application/vnd.docker.image.rootfs.diff.tar.gzip")
		case !errors.Is(err, image.ErrNoBlob):
			return nil, wireError(err)
		}
		out.Layers = append(out.Layers, l)
	}
	return out, nil
}

// GetDownloadUrlForLayer returns a URL of the embedded registry's that needs no
// further credentials.
func (a *API) GetDownloadUrlForLayer(ctx context.Context, in *ecr.GetDownloadUrlForLayerInput) (*ecr.GetDownloadUrlForLayerOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	name, d := deref(in.RepositoryName), deref(in.LayerDigest)
	if _, err := a.images.BlobSize(s, name, d); errors.Is(err, image.ErrNoBlob) || errors.Is(err, image.ErrDigest) {
		return nil, &types.LayersNotFoundException{Message: ptr(fmt.Sprintf("Layers with digests '[%s]' not found in repository with name '%s' in registry with id '%s'", d, name, s.Account))}
	} else if err != nil {
		return nil, wireError(err)
	}
	return &ecr.GetDownloadUrlForLayerOutput{DownloadUrl: ptr(a.images.BlobURL(awsapi.CallFrom(ctx).Host, s, name, d)), LayerDigest: &d}, nil
}

// InitiateLayerUpload begins the upload of a layer in parts.
func (a *API) InitiateLayerUpload(ctx context.Context, in *ecr.InitiateLayerUploadInput) (*ecr.InitiateLayerUploadOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	id, err := a.images.StartUpload(s, deref(in.RepositoryName))
	if err != nil {
		return nil, wireError(err)
	}
	return &ecr.InitiateLayerUploadOutput{PartSize: ptr(int64(partSize)), UploadId: &id}, nil
}

// UploadLayerPart adds a part: the bytes from partFirstByte to partLastByte,
// both included, where the last part ended.
func (a *API) UploadLayerPart(ctx context.Context, in *ecr.UploadLayerPartInput) (*ecr.UploadLayerPartOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	first, last := deref(in.PartFirstByte), deref(in.PartLastByte)
	if last-first+1 != int64(len(in.LayerPartBlob)) {
		return nil, invalidParam("partLastByte", "the part has %d bytes, partFirstByte and partLastByte say %d", len(in.LayerPartBlob), last-first+1)
	}
	size, err := a.images.Append(ctx, s, deref(in.RepositoryName), deref(in.UploadId), first, bytes.NewReader(in.LayerPartBlob))
	if errors.Is(err, image.ErrRange) {
		return nil, &types.InvalidLayerPartException{Message: ptr(err.Error()), LastValidByteReceived: ptr(size - 1),
			RegistryId: &s.Account, RepositoryName: in.RepositoryName, UploadId: in.UploadId}
	}
	if err != nil {
		return nil, wireError(err)
	}
	return &ecr.UploadLayerPartOutput{LastByteReceived: ptr(size - 1), RegistryId: &s.Account, RepositoryName: in.RepositoryName, UploadId: in.UploadId}, nil
}

// CompleteLayerUpload makes an upload a layer.
func (a *API) CompleteLayerUpload(ctx context.Context, in *ecr.CompleteLayerUploadInput) (*ecr.CompleteLayerUploadOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	name, id := deref(in.RepositoryName), deref(in.UploadId)
	if len(in.LayerDigests) != 1 {
		return nil, invalidParam("layerDigests", "give the one digest of the layer, of sha256")
	}
	digest := in.LayerDigests[0]
	size, err := a.images.UploadSize(ctx, s, name, id)
	if err != nil {
		return nil, wireError(err)
	}
	if size == 0 {
		return nil, &types.EmptyUploadException{Message: ptr("The upload with id '" + id + "' contains no layer parts")}
	}
	if _, err := a.images.BlobSize(s, name, digest); err == nil {
		return nil, &types.LayerAlreadyExistsException{Message: ptr(fmt.Sprintf("Layer with digest '%s' already exists in repository with name '%s' in registry with id '%s'", digest, name, s.Account))}
	}
	if _, err := a.images.Finish(ctx, s, name, id, digest); errors.Is(err, image.ErrDigest) {
		return nil, &types.InvalidLayerException{Message: ptr(err.Error())}
	} else if err != nil {
		return nil, wireError(err)
	}
	return &ecr.CompleteLayerUploadOutput{LayerDigest: &digest, RegistryId: &s.Account, RepositoryName: &name, UploadId: &id}, nil
}

// PutImage keeps a manifest whose layers are there, and tags it.
func (a *API) PutImage(ctx context.Context, in *ecr.PutImageInput) (*ecr.PutImageOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	name, tag, body := deref(in.RepositoryName), deref(in.ImageTag), []byte(deref(in.ImageManifest))
	digest := image.Digest(body)
	if want := deref(in.ImageDigest); want != "" && want != digest {
		return nil, &types.ImageDigestDoesNotMatchException{Message: ptr(fmt.Sprintf("The specified image digest '%s' does not match the digest '%s' of the image manifest", want, digest))}
	}
	ref := tag
	if tag == "" {
		ref = digest
	}
	if have, err := a.images.Image(s, name, ref); err == nil && have.Digest == digest {
		return nil, &types.ImageAlreadyExistsException{Message: ptr(fmt.Sprintf("Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", digest, tag, name, s.Account))}
	}
	m, err := a.images.PutManifest(ctx, s, name, tag, deref(in.ImageManifestMediaType), body)
	var missing *image.MissingError
	if errors.As(err, &missing) {
		if len(missing.Blobs) > 0 {
			return nil, &types.LayersNotFoundException{Message: ptr(fmt.Sprintf("Layers with digests '%v' not found in repository with name '%s' in registry with id '%s'", missing.Blobs, name, s.Account))}
		}
		return nil, &types.ReferencedImagesNotFoundException{Message: ptr(fmt.Sprintf("Images with digests '%v' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", missing.Images, name, s.Account))}
	}
	if err != nil {
		return nil, wireError(err)
	}
	img := wireImage(s, name, m, tag, body)
	return &ecr.PutImageOutput{Image: &img}, nil
}
