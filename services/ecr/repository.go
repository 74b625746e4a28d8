package ecr

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// CreateRepository makes a repository. Encryption and scanning are remembered
// and shown; the content on disk is as safe as the disk.
func (a *API) CreateRepository(ctx context.Context, in *ecr.CreateRepositoryInput) (*ecr.CreateRepositoryOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	r := image.Repository{Scope: s, Name: deref(in.RepositoryName)}
	if r.Mutability, r.Exclusions, err = mutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters); err != nil {
		return nil, err
	}
	if c := in.ImageScanningConfiguration; c != nil {
		r.ScanOnPush = c.ScanOnPush
	}
	if e := in.EncryptionConfiguration; e != nil {
		r.Encryption, r.KMSKey = string(e.EncryptionType), deref(e.KmsKey)
		if r.KMSKey != "" && e.EncryptionType == types.EncryptionTypeAes256 {
			return nil, invalidParam("encryptionConfiguration", "a KMS key may be given for encryption types KMS and KMS_DSSE only")
		}
	}
	if r.Tags, err = merge(nil, in.Tags); err != nil {
		return nil, err
	}
	if r, err = a.images.CreateRepository(ctx, r); err != nil {
		return nil, wireError(err)
	}
	return &ecr.CreateRepositoryOutput{Repository: wireRepository(r)}, nil
}

// DescribeRepositories shows the repositories named, or pages through all.
func (a *API) DescribeRepositories(ctx context.Context, in *ecr.DescribeRepositoriesInput) (*ecr.DescribeRepositoriesOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	out := &ecr.DescribeRepositoriesOutput{Repositories: []types.Repository{}}
	if len(in.RepositoryNames) > 0 {
		if in.MaxResults != nil || in.NextToken != nil {
			return nil, invalidParam("maxResults", "maxResults and nextToken cannot be used with repositoryNames")
		}
		for _, n := range in.RepositoryNames {
			r, err := a.images.Repository(s, n)
			if err != nil {
				return nil, wireError(err)
			}
			out.Repositories = append(out.Repositories, *wireRepository(r))
		}
		return out, nil
	}
	all := a.images.Repositories(s)
	page, next, err := awsapi.Page(ctx, all, func(r image.Repository) string { return r.Name }, in.NextToken, in.MaxResults, defaultPage(in.MaxResults))
	if err != nil {
		return nil, err
	}
	for _, r := range page {
		out.Repositories = append(out.Repositories, *wireRepository(r))
	}
	out.NextToken = next
	return out, nil
}

// defaultPage is the size of a page: 100 unless asked, at most 1000.
func defaultPage(asked *int32) int {
	if asked == nil {
		return 100
	}
	return 1000
}

// DeleteRepository removes a repository, with its images if forced.
func (a *API) DeleteRepository(ctx context.Context, in *ecr.DeleteRepositoryInput) (*ecr.DeleteRepositoryOutput, error) {
	s, err := a.scope(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	r, err := a.images.DeleteRepository(ctx, s, deref(in.RepositoryName), in.Force)
	if err != nil {
		return nil, wireError(err)
	}
	return &ecr.DeleteRepositoryOutput{Repository: wireRepository(r)}, nil
}

// PutImageTagMutability says whether tags may move.
func (a *API) PutImageTagMutability(ctx context.Context, in *ecr.PutImageTagMutabilityInput) (*ecr.PutImageTagMutabilityOutput, error) {
	word, filters, err := mutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters)
	if err != nil {
		return nil, err
	}
	r, err := a.change(ctx, in.RegistryId, in.RepositoryName, func(r *image.Repository) error {
		r.Mutability, r.Exclusions = word, filters
		return nil
	})
	if err != nil {
		return nil, err
	}
	w := wireRepository(r)
	return &ecr.PutImageTagMutabilityOutput{
		RegistryId: w.RegistryId, RepositoryName: w.RepositoryName,
		ImageTagMutability: w.ImageTagMutability, ImageTagMutabilityExclusionFilters: w.ImageTagMutabilityExclusionFilters,
	}, nil
}

// PutImageScanningConfiguration is remembered and shown; nothing is scanned.
func (a *API) PutImageScanningConfiguration(ctx context.Context, in *ecr.PutImageScanningConfigurationInput) (*ecr.PutImageScanningConfigurationOutput, error) {
	r, err := a.change(ctx, in.RegistryId, in.RepositoryName, func(r *image.Repository) error {
		r.ScanOnPush = in.ImageScanningConfiguration.ScanOnPush
		return nil
	})
	if err != nil {
		return nil, err
	}
	w := wireRepository(r)
	return &ecr.PutImageScanningConfigurationOutput{RegistryId: w.RegistryId, RepositoryName: w.RepositoryName, ImageScanningConfiguration: w.ImageScanningConfiguration}, nil
}

// change alters a repository's settings.
func (a *API) change(ctx context.Context, registry, name *string, f func(*image.Repository) error) (image.Repository, error) {
	s, err := a.scope(ctx, registry)
	if err != nil {
		return image.Repository{}, err
	}
	r, err := a.images.UpdateRepository(ctx, s, deref(name), f)
	return r, wireError(err)
}

func mutability(m types.ImageTagMutability, filters []types.ImageTagMutabilityExclusionFilter) (string, []string, error) {
	excludes := m == types.ImageTagMutabilityImmutableWithExclusion || m == types.ImageTagMutabilityMutableWithExclusion
	if excludes != (len(filters) > 0) {
		return "", nil, invalidParam("imageTagMutabilityExclusionFilters", "exclusion filters are given with IMMUTABLE_WITH_EXCLUSION and MUTABLE_WITH_EXCLUSION, and with these alone")
	}
	var patterns []string
	for _, f := range filters {
		patterns = append(patterns, deref(f.Filter))
	}
	return string(m), patterns, nil
}

// ListTagsForResource lists a repository's own tags.
func (a *API) ListTagsForResource(ctx context.Context, in *ecr.ListTagsForResourceInput) (*ecr.ListTagsForResourceOutput, error) {
	registry, name, err := fromARN(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	s, err := a.scope(ctx, registry)
	if err != nil {
		return nil, err
	}
	r, err := a.images.Repository(s, *name)
	if err != nil {
		return nil, wireError(err)
	}
	return &ecr.ListTagsForResourceOutput{Tags: wireTags(r.Tags)}, nil
}

// TagResource adds tags to a repository.
func (a *API) TagResource(ctx context.Context, in *ecr.TagResourceInput) (*ecr.TagResourceOutput, error) {
	registry, name, err := fromARN(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = a.change(ctx, registry, name, func(r *image.Repository) (err error) {
		r.Tags, err = merge(r.Tags, in.Tags)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ecr.TagResourceOutput{}, nil
}

// UntagResource removes tags of a repository.
func (a *API) UntagResource(ctx context.Context, in *ecr.UntagResourceInput) (*ecr.UntagResourceOutput, error) {
	registry, name, err := fromARN(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = a.change(ctx, registry, name, func(r *image.Repository) error {
		r.Tags = maps.Clone(r.Tags)
		for _, k := range in.TagKeys {
			delete(r.Tags, k)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecr.UntagResourceOutput{}, nil
}

// fromARN is the account and name of a repository's ARN in the call's region.
func fromARN(ctx context.Context, text *string) (registry, name *string, err error) {
	p, err := arn.Parse(deref(text))
	if err == nil {
		typ, rest := p.Type()
		if p.Service == "ecr" && typ == "repository" && p.Region == awsapi.CallFrom(ctx).Region {
			return &p.Account, &rest, nil
		}
	}
	return nil, nil, invalidParam("resourceArn", "%s is not the ARN of a repository in this region", deref(text))
}
