package glue

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// RegisterSchemaVersion adds a version, or returns the one that has the
// definition. An incompatible one becomes a version of status FAILURE; why is
// its metadata dhow:failure.
func (a *API) RegisterSchemaVersion(ctx context.Context, in *glue.RegisterSchemaVersionInput) (*glue.RegisterSchemaVersionOutput, error) {
	n, err := schemaOf(ctx, in.SchemaId)
	if err != nil {
		return nil, err
	}
	text, err := definition(in.SchemaDefinition)
	if err != nil {
		return nil, err
	}
	v, _, err := a.e.Register(ctx, n, registry.Definition{Text: text, KeepFailure: true})
	if err != nil && !incompatible(err) {
		return nil, wrap(err, n, 0)
	}
	return &glue.RegisterSchemaVersionOutput{SchemaVersionId: &v.ID, VersionNumber: &v.Number, Status: types.SchemaVersionStatus(v.Status)}, nil
}

// GetSchemaVersion shows a version with its definition.
func (a *API) GetSchemaVersion(ctx context.Context, in *glue.GetSchemaVersionInput) (*glue.GetSchemaVersionOutput, error) {
	v, err := a.versionOf(ctx, in.SchemaVersionId, in.SchemaId, in.SchemaVersionNumber)
	if err != nil {
		return nil, err
	}
	return &glue.GetSchemaVersionOutput{
		SchemaVersionId: &v.ID, SchemaDefinition: ptr(v.Text()), DataFormat: types.DataFormat(v.Format), SchemaArn: ptr(v.ARN()),
		VersionNumber: &v.Number, Status: types.SchemaVersionStatus(v.Status), CreatedTime: stamp(v.Created),
	}, nil
}

// GetSchemaByDefinition finds the version that has a definition.
func (a *API) GetSchemaByDefinition(ctx context.Context, in *glue.GetSchemaByDefinitionInput) (*glue.GetSchemaByDefinitionOutput, error) {
	n, err := schemaOf(ctx, in.SchemaId)
	if err != nil {
		return nil, err
	}
	text, err := definition(in.SchemaDefinition)
	if err != nil {
		return nil, err
	}
	v, err := a.e.VersionByDefinition(n, registry.Definition{Text: text}, false)
	if err != nil {
		return nil, wrap(err, n, 0)
	}
	return &glue.GetSchemaByDefinitionOutput{
		SchemaVersionId: &v.ID, SchemaArn: ptr(v.ARN()), DataFormat: types.DataFormat(v.Format),
		Status: types.SchemaVersionStatus(v.Status), CreatedTime: stamp(v.Created),
	}, nil
}

// ListSchemaVersions pages through a schema's versions, failures among them, but
// not those that are deleted.
func (a *API) ListSchemaVersions(ctx context.Context, in *glue.ListSchemaVersionsInput) (out *glue.ListSchemaVersionsOutput, err error) {
	n, err := schemaOf(ctx, in.SchemaId)
	if err != nil {
		return nil, err
	}
	if _, err := a.e.Schema(n); err != nil {
		return nil, wrap(err, n, 0)
	}
	out = &glue.ListSchemaVersionsOutput{Schemas: []types.SchemaVersionListItem{}}
	a.e.Versions(n, func(all iter.Seq[registry.Version]) {
		there := filter(all, func(v registry.Version) bool { return !v.Deleted })
		var page []registry.Version
		page, out.NextToken, err = awsapi.PageOf(ctx, there, registry.Version.Key, in.NextToken, in.MaxResults, pageSize(in.MaxResults))
		for _, v := range page {
			out.Schemas = append(out.Schemas, types.SchemaVersionListItem{
				SchemaArn: ptr(v.ARN()), SchemaVersionId: &v.ID, VersionNumber: &v.Number,
				Status: types.SchemaVersionStatus(v.Status), CreatedTime: stamp(v.Created),
			})
		}
	})
	return out, err
}

// DeleteSchemaVersions begins the deleting of one version, "5", or of a range,
// "5-8". Nothing is deleted where the checkpoint or the first version is among
// them; what else cannot be deleted is told version by version.
func (a *API) DeleteSchemaVersions(ctx context.Context, in *glue.DeleteSchemaVersionsInput) (*glue.DeleteSchemaVersionsOutput, error) {
	n, err := schemaOf(ctx, in.SchemaId)
	if err != nil {
		return nil, err
	}
	from, to, err := versionRange(*in.Versions)
	if err != nil {
		return nil, err
	}
	s, err := a.e.Schema(n)
	if err != nil {
		return nil, wrap(err, n, 0)
	}
	if from <= s.Checkpoint && s.Checkpoint <= to {
		return nil, wrap(registry.ErrCheckpoint, n, s.Checkpoint)
	}
	if from == 1 {
		return nil, wrap(registry.ErrFirst, n, 1)
	}
	out := &glue.DeleteSchemaVersionsOutput{SchemaVersionErrors: []types.SchemaVersionErrorItem{}}
	// Of what lies beyond the last version, the first is told.
	for number := from; number <= to && number <= max(from, s.Next); number++ {
		if _, err := a.e.DeleteVersion(ctx, n, number, false); err != nil {
			out.SchemaVersionErrors = append(out.SchemaVersionErrors, versionError(number, wrap(err, n, number)))
		}
	}
	return out, nil
}

// versionRange reads "5" and "5-8".
func versionRange(text string) (from, to int64, err error) {
	one, two, ranged := strings.Cut(text, "-")
	from, err = strconv.ParseInt(one, 10, 64)
	to = from
	if err == nil && ranged {
		to, err = strconv.ParseInt(two, 10, 64)
	}
	if err != nil || from < 1 || to < from {
		return 0, 0, invalid("Versions is a version number, as in 5, or a range of them, as in 5-8: %q is none.", clip(text, 40))
	}
	return from, to, nil
}

func versionError(number int64, err error) types.SchemaVersionErrorItem {
	d := &types.ErrorDetails{ErrorCode: ptr("InternalServiceException"), ErrorMessage: ptr("The version could not be deleted. Try again.")}
	var api interface {
		ErrorCode() string
		ErrorMessage() string
	}
	if errors.As(err, &api) {
		d.ErrorCode, d.ErrorMessage = ptr(api.ErrorCode()), ptr(api.ErrorMessage())
	}
	return types.SchemaVersionErrorItem{VersionNumber: &number, ErrorDetails: d}
}

// GetSchemaVersionsDiff compares two versions of a schema: as a JSON Patch, as
// the API reference has it, and by lines where definitions are no JSON.
func (a *API) GetSchemaVersionsDiff(ctx context.Context, in *glue.GetSchemaVersionsDiffInput) (*glue.GetSchemaVersionsDiffOutput, error) {
	first, err := a.versionOf(ctx, nil, in.SchemaId, in.FirstSchemaVersionNumber)
	if err != nil {
		return nil, err
	}
	second, err := a.versionOf(ctx, nil, in.SchemaId, in.SecondSchemaVersionNumber)
	if err != nil {
		return nil, err
	}
	text, err := registry.Diff(first, second)
	return &glue.GetSchemaVersionsDiffOutput{Diff: &text}, err
}
