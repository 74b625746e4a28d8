package ecr

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/image"
)

func wireRepository(r image.Repository) *types.Repository {
	w := &types.Repository{
		CreatedAt:                  &r.CreatedAt,
		EncryptionConfiguration:    &types.EncryptionConfiguration{EncryptionType: types.EncryptionTypeAes256},
		ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: r.ScanOnPush},
		ImageTagMutability:         types.ImageTagMutabilityMutable,
		RegistryId:                 &r.Scope.Account,
		RepositoryArn:              ptr(r.ARN()),
		RepositoryName:             &r.Name,
		RepositoryUri:              ptr(image.URI(r.Scope, r.Name)),
	}
	if r.Mutability != "" {
		w.ImageTagMutability = types.ImageTagMutability(r.Mutability)
	}
	for _, p := range r.Exclusions {
		w.ImageTagMutabilityExclusionFilters = append(w.ImageTagMutabilityExclusionFilters,
			types.ImageTagMutabilityExclusionFilter{Filter: &p, FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard})
	}
	if r.Encryption != "" {
		w.EncryptionConfiguration.EncryptionType = types.EncryptionType(r.Encryption)
	}
	if r.KMSKey != "" {
		w.EncryptionConfiguration.KmsKey = &r.KMSKey
	}
	return w
}

func wireTags(tags map[string]string) []types.Tag {
	out := []types.Tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: ptr(k), Value: ptr(tags[k])})
	}
	return out
}

// merge adds tags to those that a repository has: at most 50, of AWS's shape.
func merge(have map[string]string, add []types.Tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for _, t := range add {
		k, v := deref(t.Key), deref(t.Value)
		if k == "" || len([]rune(k)) > 128 || len([]rune(v)) > 256 || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, &types.InvalidTagParameterException{Message: ptr("tag '" + k + "': a key has 1 to 128 characters and does not begin with aws:, a value has at most 256")}
		}
		out[k] = v
	}
	if len(out) > 50 {
		return nil, &types.TooManyTagsException{Message: ptr("a repository has at most 50 tags")}
	}
	return out, nil
}
