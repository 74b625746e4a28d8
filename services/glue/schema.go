package glue

import (
	"context"
	"errors"
	"iter"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// CreateSchema makes a schema, with its first version where a definition is
// given. Compatibility is BACKWARD where none is said.
func (a *API) CreateSchema(ctx context.Context, in *glue.CreateSchemaInput) (*glue.CreateSchemaOutput, error) {
	reg, err := registryOf(ctx, in.RegistryId)
	if err != nil {
		return nil, err
	}
	s := registry.Schema{
		Scope: scope(ctx), Registry: reg, Name: *in.SchemaName, Format: contract.Format(in.DataFormat),
		Level: contract.Level(in.Compatibility), Description: deref(in.Description),
	}
	if s.Level == "" {
		s.Level = contract.Backward
	}
	if s.Tags, err = merge(nil, in.Tags); err != nil {
		return nil, err
	}
	var d *registry.Definition
	if in.SchemaDefinition != nil {
		text, err := definition(in.SchemaDefinition)
		if err != nil {
			return nil, err
		}
		d = &registry.Definition{Text: text}
	}
	s, v, err := a.e.CreateSchema(ctx, s, d)
	if err != nil {
		return nil, wrap(err, registry.Name{Registry: reg, Schema: *in.SchemaName}, 0)
	}
	out := &glue.CreateSchemaOutput{
		Compatibility: types.Compatibility(s.Level), DataFormat: in.DataFormat, Description: in.Description,
		RegistryArn: ptr(s.RegistryARN()), RegistryName: &s.Registry, SchemaArn: ptr(s.ARN()), SchemaName: &s.Name,
		SchemaStatus: types.SchemaStatus(s.Status), Tags: s.Tags,
		LatestSchemaVersion: positive(s.Latest), NextSchemaVersion: positive(s.Next), SchemaCheckpoint: positive(s.Checkpoint),
	}
	if d != nil {
		out.SchemaVersionId, out.SchemaVersionStatus = &v.ID, types.SchemaVersionStatus(v.Status)
	}
	return out, nil
}

// positive is a number of a version, nil for none.
func positive(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// GetSchema shows a schema.
func (a *API) GetSchema(ctx context.Context, in *glue.GetSchemaInput) (*glue.GetSchemaOutput, error) {
	n, err := schemaOf(ctx, in.SchemaId)
	if err != nil {
		return nil, err
	}
	s, err := a.e.Schema(n)
	if err != nil {
		return nil, wrap(err, n, 0)
	}
	return &glue.GetSchemaOutput{
		Compatibility: types.Compatibility(a.e.Level(s)), DataFormat: types.DataFormat(s.Format), Description: described(s.Description),
		RegistryArn: ptr(s.RegistryARN()), RegistryName: &s.Registry, SchemaArn: ptr(s.ARN()), SchemaName: &s.Name,
		SchemaStatus:        types.SchemaStatus(s.Status),
		LatestSchemaVersion: positive(s.Latest), NextSchemaVersion: positive(s.Next), SchemaCheckpoint: positive(s.Checkpoint),
		CreatedTime: stamp(s.Created), UpdatedTime: stamp(s.Updated),
	}, nil
}

// ListSchemas pages through the schemas of a registry, of all where none is
// said, that are not being deleted.
func (a *API) ListSchemas(ctx context.Context, in *glue.ListSchemasInput) (out *glue.ListSchemasOutput, err error) {
	reg := ""
	if in.RegistryId != nil {
		if reg, err = registryOf(ctx, in.RegistryId); err != nil {
			return nil, err
		}
		if _, err := a.e.Registry(scope(ctx), reg); err != nil {
			return nil, noRegistry(reg)
		}
	}
	out = &glue.ListSchemasOutput{Schemas: []types.SchemaListItem{}}
	a.e.Schemas(scope(ctx), reg, func(all iter.Seq[registry.Schema]) {
		there := filter(all, func(s registry.Schema) bool { return s.Status != registry.Deleting })
		var page []registry.Schema
		page, out.NextToken, err = awsapi.PageOf(ctx, there, registry.Schema.Key, in.NextToken, in.MaxResults, pageSize(in.MaxResults))
		for _, s := range page {
			out.Schemas = append(out.Schemas, types.SchemaListItem{
				RegistryName: &s.Registry, SchemaArn: ptr(s.ARN()), SchemaName: &s.Name, Description: described(s.Description),
				SchemaStatus: types.SchemaStatus(s.Status), CreatedTime: stamp(s.Created), UpdatedTime: stamp(s.Updated),
			})
		}
	})
	return out, err
}

// UpdateSchema changes compatibility, checkpoint and description. "If the value
// for Compatibility is provided, the VersionNumber (a checkpoint) is also
// required" (API reference).
func (a *API) UpdateSchema(ctx context.Context, in *glue.UpdateSchemaInput) (*glue.UpdateSchemaOutput, error) {
	n, err := schemaOf(ctx, in.SchemaId)
	if err != nil {
		return nil, err
	}
	change := func(s *registry.Schema) error {
		if in.Description != nil {
			s.Description = *in.Description
		}
		if in.Compatibility != "" {
			s.Level, s.Inherits = contract.Level(in.Compatibility), false
		}
		return nil
	}
	var s registry.Schema
	switch {
	case in.SchemaVersionNumber != nil:
		var number int64
		if number, err = numberOf(in.SchemaVersionNumber); err != nil {
			return nil, err
		}
		s, err = a.e.SetCheckpoint(ctx, n, number, change)
		err = wrap(err, n, number)
	case in.Compatibility != "":
		return nil, invalid("SchemaVersionNumber is required to update Compatibility: it becomes the checkpoint.")
	case in.Description == nil:
		return nil, invalid("One of SchemaVersionNumber, Compatibility or Description has to be provided.")
	default:
		s, err = a.e.ChangeSchema(ctx, n, change)
		err = wrap(err, n, 0)
	}
	if err != nil {
		return nil, err
	}
	return &glue.UpdateSchemaOutput{RegistryName: &s.Registry, SchemaArn: ptr(s.ARN()), SchemaName: &s.Name}, nil
}

// DeleteSchema begins the deleting of a schema with its versions.
func (a *API) DeleteSchema(ctx context.Context, in *glue.DeleteSchemaInput) (*glue.DeleteSchemaOutput, error) {
	n, err := schemaOf(ctx, in.SchemaId)
	if err != nil {
		return nil, err
	}
	s, err := a.e.DeleteSchema(ctx, n)
	if err != nil {
		return nil, wrap(err, n, 0)
	}
	return &glue.DeleteSchemaOutput{SchemaArn: ptr(s.ARN()), SchemaName: &s.Name, Status: types.SchemaStatus(s.Status)}, nil
}

// CheckSchemaVersionValidity reports whether a definition can be read.
func (a *API) CheckSchemaVersionValidity(_ context.Context, in *glue.CheckSchemaVersionValidityInput) (*glue.CheckSchemaVersionValidityOutput, error) {
	text, err := definition(in.SchemaDefinition)
	if err != nil {
		return nil, err
	}
	if _, err = contract.Parse(contract.Source{Format: contract.Format(in.DataFormat), Text: text}); err == nil {
		return &glue.CheckSchemaVersionValidityOutput{Valid: true}, nil
	}
	return &glue.CheckSchemaVersionValidityOutput{Error: ptr(clip(err.Error(), 5000))}, nil
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// incompatible reports whether a definition did not get on with what is there.
func incompatible(err error) bool {
	var i *registry.Incompatible
	return errors.As(err, &i)
}
