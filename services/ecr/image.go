package ecr

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// ListImages lists a repository's image ids: one for each tag, and one for
// each image without.
func (a *API) ListImages(ctx context.Context, in *ecr.ListImagesInput) (*ecr.ListImagesOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	var want types.TagStatus
	if f := in.Filter; f != nil {
		want = f.TagStatus
	}
	images, tags, err := a.images.Images(s, deref(in.RepositoryName))
	if err != nil {
		return nil, wireError(err)
	}
	if f := in.Filter; f != nil && !active(f.ImageStatus) {
		images, tags = nil, nil
	}
	ids := []types.ImageIdentifier{}
	tagged := map[string]bool{}
	for _, t := range tags {
		tagged[t.Digest] = true
		if want != types.TagStatusUntagged {
			ids = append(ids, types.ImageIdentifier{ImageDigest: &t.Digest, ImageTag: &t.Name})
		}
	}
	for _, m := range images {
		if !tagged[m.Digest] && want != types.TagStatusTagged {
			ids = append(ids, types.ImageIdentifier{ImageDigest: &m.Digest})
		}
	}
	key := func(i types.ImageIdentifier) string { return *i.ImageDigest + ":" + deref(i.ImageTag) }
	slices.SortFunc(ids, func(x, y types.ImageIdentifier) int { return cmp.Compare(key(x), key(y)) })
	page, next, err := awsapi.Page(ctx, ids, key, in.NextToken, in.MaxResults, defaultPage(in.MaxResults))
	if err != nil {
		return nil, err
	}
	return &ecr.ListImagesOutput{ImageIds: page, NextToken: next}, nil
}

// active reports whether a filter's status is that of all images here: none is
// ever archived.
func active(s types.ImageStatusFilter) bool {
	return s == "" || s == types.ImageStatusFilterActive || s == types.ImageStatusFilterAny
}

// DescribeImages shows the images named, or pages through all.
func (a *API) DescribeImages(ctx context.Context, in *ecr.DescribeImagesInput) (*ecr.DescribeImagesOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	name := deref(in.RepositoryName)
	images, tags, err := a.images.Images(s, name)
	if err != nil {
		return nil, wireError(err)
	}
	byImage := map[string][]string{}
	for _, t := range tags {
		byImage[t.Digest] = append(byImage[t.Digest], t.Name)
	}
	if len(in.ImageIds) > 0 {
		if in.MaxResults != nil || in.NextToken != nil {
			return nil, invalidParam("imageIds", "maxResults and nextToken cannot be used with imageIds")
		}
		if images, err = a.named(s, name, in.ImageIds); err != nil {
			return nil, err
		}
	}
	if f := in.Filter; f != nil {
		images = slices.DeleteFunc(images, func(m image.Manifest) bool {
			hasTag := len(byImage[m.Digest]) > 0
			return !active(f.ImageStatus) || f.TagStatus == types.TagStatusTagged && !hasTag || f.TagStatus == types.TagStatusUntagged && hasTag
		})
	}
	var next *string
	if len(in.ImageIds) == 0 {
		if images, next, err = awsapi.Page(ctx, images, func(m image.Manifest) string { return m.Digest }, in.NextToken, in.MaxResults, defaultPage(in.MaxResults)); err != nil {
			return nil, err
		}
	}
	out := &ecr.DescribeImagesOutput{ImageDetails: []types.ImageDetail{}, NextToken: next}
	for _, m := range images {
		out.ImageDetails = append(out.ImageDetails, detail(s, name, m, byImage[m.Digest]))
	}
	return out, nil
}

// named returns each image once, in the order of its first id.
func (a *API) named(s cluster.Scope, name string, ids []types.ImageIdentifier) (all []image.Manifest, err error) {
	for _, id := range ids {
		m, fail := a.find(s, name, id)
		if fail != nil {
			if fail.FailureCode == types.ImageFailureCodeMissingDigestAndTag {
				return nil, invalidParam("imageIds", "%s", *fail.FailureReason)
			}
			return nil, imageNotFound(s, name, id)
		}
		if !slices.ContainsFunc(all, func(o image.Manifest) bool { return o.Digest == m.Digest }) {
			all = append(all, m)
		}
	}
	return all, nil
}

func detail(s cluster.Scope, name string, m image.Manifest, tags []string) types.ImageDetail {
	d := types.ImageDetail{
		ImageDigest:            &m.Digest,
		ImageManifestMediaType: &m.MediaType,
		ImagePushedAt:          &m.PushedAt,
		ImageSizeInBytes:       &m.ImageSize,
		ImageStatus:            types.ImageStatusActive,
		ImageTags:              tags,
		RegistryId:             &s.Account,
		RepositoryName:         &name,
	}
	if m.ArtifactType != "" {
		d.ArtifactMediaType = &m.ArtifactType
	}
	if m.Subject != "" {
		d.SubjectManifestDigest = &m.Subject
	}
	return d
}

// find returns the image that an id names, or the failure of a batch.
func (a *API) find(s cluster.Scope, name string, id types.ImageIdentifier) (image.Manifest, *types.ImageFailure) {
	fail := func(code types.ImageFailureCode, reason string) (image.Manifest, *types.ImageFailure) {
		return image.Manifest{}, &types.ImageFailure{FailureCode: code, FailureReason: &reason, ImageId: &id}
	}
	digest, tag := deref(id.ImageDigest), deref(id.ImageTag)
	switch {
	case digest == "" && tag == "":
		return fail(types.ImageFailureCodeMissingDigestAndTag, "Invalid request parameters: both tag and digest cannot be null")
	case digest != "" && !image.ValidDigest(digest):
		return fail(types.ImageFailureCodeInvalidImageDigest, "Invalid request parameters: image digest should satisfy the regex 'sha256:[a-f0-9]{64}'")
	case tag != "" && !image.ValidTag(tag):
		return fail(types.ImageFailureCodeInvalidImageTag, "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'")
	}
	ref := tag
	if tag == "" {
		ref = digest
	}
	m, err := a.images.Image(s, name, ref)
	switch {
	case err != nil:
		return fail(types.ImageFailureCodeImageNotFound, "Requested image not found")
	case digest != "" && m.Digest != digest:
		return fail(types.ImageFailureCodeImageTagDoesNotMatchDigest, fmt.Sprintf("The image tag '%s' does not belong to the image with digest '%s'", tag, digest))
	}
	return m, nil
}
