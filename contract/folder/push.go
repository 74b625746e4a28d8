package folder

import (
	"context"
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract"
)

// highest is the highest semantic version that the registry has of the schema.
func (f *Finding) highest() (h *semver.Version) {
	if f.Known == nil {
		return nil
	}
	for _, v := range f.Known.Versions {
		if s, err := contract.ParseVersion(v.Semver); err == nil && (h == nil || s.GreaterThan(h)) {
			h = s
		}
	}
	return h
}

// ErrRefused is a registry's answer to a schema that does not get on with what
// is there.
var ErrRefused = errors.New("the registry has refused it")

// Push registers what a finding says is new, and returns the version that it
// became. A schema that the registry does not have is made with the level.
func (r Remote) Push(ctx context.Context, f Finding, level contract.Level) (Version, error) {
	reg, schema := split(f.Name)
	if f.As != nil {
		return *f.As, nil
	}
	var id string
	var number int64
	var status types.SchemaVersionStatus
	if f.Known == nil {
		if err := r.ensure(ctx, reg); err != nil {
			return Version{}, err
		}
		out, err := r.API.CreateSchema(ctx, &glue.CreateSchemaInput{RegistryId: &types.RegistryId{RegistryName: &reg}, SchemaName: &schema,
			DataFormat: types.DataFormat(f.Schema.Source().Format), Compatibility: types.Compatibility(level), SchemaDefinition: &f.Text})
		if err != nil {
			return Version{}, err
		}
		id, number, status = deref(out.SchemaVersionId), 1, out.SchemaVersionStatus
	} else {
		out, err := r.API.RegisterSchemaVersion(ctx, &glue.RegisterSchemaVersionInput{SchemaId: &types.SchemaId{RegistryName: &reg, SchemaName: &schema}, SchemaDefinition: &f.Text})
		if err != nil {
			return Version{}, err
		}
		id, number, status = deref(out.SchemaVersionId), deref(out.VersionNumber), out.Status
	}
	if status == types.SchemaVersionStatusFailure {
		return Version{}, fmt.Errorf("version %d of %s: %w", number, f.Name, ErrRefused)
	}
	v := Version{Number: number, ID: id}
	return v, r.fetch(ctx, &Known{Name: f.Name, Format: f.Schema.Source().Format}, &v)
}

// ensure makes a registry that is not there.
func (r Remote) ensure(ctx context.Context, name string) error {
	_, err := r.API.CreateRegistry(ctx, &glue.CreateRegistryInput{RegistryName: &name})
	var exists *types.AlreadyExistsException
	if errors.As(err, &exists) {
		return nil
	}
	return err
}
