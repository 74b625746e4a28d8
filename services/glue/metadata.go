package glue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// failureKey is the metadata that says why a version is a FAILURE.
const failureKey = "dhow:failure"

// PutSchemaVersionMetadata adds a pair to a version. semver, of which a version
// has one, is replaced: what the package registry says of it is required.
func (a *API) PutSchemaVersionMetadata(ctx context.Context, in *glue.PutSchemaVersionMetadataInput) (*glue.PutSchemaVersionMetadataOutput, error) {
	v, err := a.changeMetadata(ctx, in.SchemaVersionId, in.SchemaId, in.SchemaVersionNumber, in.MetadataKeyValue, a.e.PutMetadata)
	if err != nil {
		return nil, err
	}
	return &glue.PutSchemaVersionMetadataOutput{
		LatestVersion: a.latest(v), MetadataKey: in.MetadataKeyValue.MetadataKey, MetadataValue: in.MetadataKeyValue.MetadataValue,
		RegistryName: &v.Registry, SchemaArn: ptr(v.ARN()), SchemaName: &v.Name, SchemaVersionId: &v.ID, VersionNumber: &v.Number,
	}, nil
}

// RemoveSchemaVersionMetadata takes a pair off a version.
func (a *API) RemoveSchemaVersionMetadata(ctx context.Context, in *glue.RemoveSchemaVersionMetadataInput) (*glue.RemoveSchemaVersionMetadataOutput, error) {
	v, err := a.changeMetadata(ctx, in.SchemaVersionId, in.SchemaId, in.SchemaVersionNumber, in.MetadataKeyValue, a.e.RemoveMetadata)
	if err != nil {
		return nil, err
	}
	return &glue.RemoveSchemaVersionMetadataOutput{
		LatestVersion: a.latest(v), MetadataKey: in.MetadataKeyValue.MetadataKey, MetadataValue: in.MetadataKeyValue.MetadataValue,
		RegistryName: &v.Registry, SchemaArn: ptr(v.ARN()), SchemaName: &v.Name, SchemaVersionId: &v.ID, VersionNumber: &v.Number,
	}, nil
}

// changeMetadata changes the version that a call means by the pair that it says.
func (a *API) changeMetadata(ctx context.Context, id *string, schema *types.SchemaId, number *types.SchemaVersionNumber, pair *types.MetadataKeyValuePair,
	change func(ctx context.Context, v registry.Version, key, value string) (registry.Version, error)) (registry.Version, error) {
	v, err := a.versionOf(ctx, id, schema, number)
	if err != nil {
		return v, err
	}
	if pair.MetadataKey == nil || pair.MetadataValue == nil {
		return v, invalid("Both MetadataKey and MetadataValue have to be provided.")
	}
	if v, err = change(ctx, v, *pair.MetadataKey, *pair.MetadataValue); err != nil {
		return v, metadataError(err, v, *pair.MetadataKey, *pair.MetadataValue)
	}
	return v, nil
}

func metadataError(err error, v registry.Version, key, value string) error {
	which := fmt.Sprintf("schema version id: %s, metadata key: %s, metadata value: %s", v.ID, key, value)
	switch {
	case errors.Is(err, registry.ErrMetadataExists):
		return &types.AlreadyExistsException{Message: ptr("Resource already exist for " + which)}
	case errors.Is(err, registry.ErrMetadata):
		return &types.EntityNotFoundException{Message: ptr("Metadata is not found for " + which)}
	case errors.Is(err, registry.ErrMetadataLimit):
		return &types.ResourceNumberLimitExceededException{Message: ptr("Your resource limits for Schema Version Metadata have been exceeded.")}
	}
	return wrap(err, v.Schema(), v.Number)
}

// latest reports whether v is its schema's latest version.
func (a *API) latest(v registry.Version) bool {
	s, err := a.e.Schema(v.Schema())
	return err == nil && s.Latest == v.Number
}

// entry is the values of a key, in the order they were put.
type entry struct {
	key    string
	values []registry.Pair
}

// QuerySchemaVersionMetadata pages through the metadata of a version, or what of
// it MetadataList names. Of several values of a key the last that was put is
// MetadataValue.
func (a *API) QuerySchemaVersionMetadata(ctx context.Context, in *glue.QuerySchemaVersionMetadataInput) (*glue.QuerySchemaVersionMetadataOutput, error) {
	v, err := a.versionOf(ctx, in.SchemaVersionId, in.SchemaId, in.SchemaVersionNumber)
	if err != nil {
		return nil, err
	}
	most := 10 // where none is asked for
	if in.MaxResults != nil {
		most = 50
	}
	page, next, err := awsapi.Page(ctx, entries(v, in.MetadataList), func(e entry) string { return e.key }, in.NextToken, in.MaxResults, most)
	if err != nil {
		return nil, err
	}
	out := &glue.QuerySchemaVersionMetadataOutput{SchemaVersionId: &v.ID, MetadataInfoMap: map[string]types.MetadataInfo{}, NextToken: next}
	for _, e := range page {
		last := len(e.values) - 1
		info := types.MetadataInfo{MetadataValue: &e.values[last].Value, CreatedTime: stamp(e.values[last].Created)}
		for _, o := range slices.Backward(e.values[:last]) {
			info.OtherMetadataValueList = append(info.OtherMetadataValueList, types.OtherMetadataValueListItem{MetadataValue: &o.Value, CreatedTime: stamp(o.Created)})
		}
		out.MetadataInfoMap[e.key] = info
	}
	return out, nil
}

// entries are the metadata of v that pass the filters, by key.
func entries(v registry.Version, filters []types.MetadataKeyValuePair) (list []entry) {
	pairs := slices.Clone(v.Metadata)
	if v.Semver != "" {
		pairs = append(pairs, registry.Pair{Key: registry.SemverKey, Value: v.Semver, Created: v.Created})
	}
	if v.Failure != "" {
		pairs = append(pairs, registry.Pair{Key: failureKey, Value: v.Failure, Created: v.Created})
	}
	byKey := map[string][]registry.Pair{}
	for _, p := range pairs {
		if passes(p, filters) {
			byKey[p.Key] = append(byKey[p.Key], p)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		list = append(list, entry{k, byKey[k]})
	}
	return list
}

// passes reports whether a pair is one of those asked for: a filter says a key,
// a value or both.
func passes(p registry.Pair, filters []types.MetadataKeyValuePair) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f types.MetadataKeyValuePair) bool {
		return (f.MetadataKey == nil || *f.MetadataKey == p.Key) && (f.MetadataValue == nil || *f.MetadataValue == p.Value)
	})
}
