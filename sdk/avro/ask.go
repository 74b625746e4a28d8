package avro

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/contract/wire"
)

// ErrRegistry is an answer of a registry that does not fit the question, and is
// not believed.
var ErrRegistry = errors.New("the registry's answer does not fit the question")

func lie(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRegistry, fmt.Sprintf(format, args...))
}

var (
	errVoid    = errors.New("the version failed its checks in the registry or is being deleted")
	errPending = errors.New("the version is still being checked by the registry")
)

// semverKey is the metadata of a schema version that its semantic version is in.
const semverKey = "semver"

// fetch asks for a version by its id.
func (r *Registry) fetch(ctx context.Context, id wire.UUID) (*Version, error) {
	text := id.String()
	out, err := r.get(ctx, &glue.GetSchemaVersionInput{SchemaVersionId: &text})
	if err != nil {
		return nil, fmt.Errorf("schema version %s: %w", text, err)
	}
	v, err := received(out)
	if err == nil && v.UUID != id {
		err = lie("version %s came", v.UUID)
	}
	if err != nil {
		return nil, fmt.Errorf("schema version %s: %w", text, err)
	}
	return v, nil
}

// numbered asks for a version by its number, and what its semantic version is.
func (r *Registry) numbered(ctx context.Context, name string, n int64) (*Version, error) {
	out, err := r.get(ctx, schemaVersion(name, &types.SchemaVersionNumber{VersionNumber: &n}))
	if err != nil {
		return nil, err
	}
	v, err := received(out)
	switch {
	case err != nil:
		return nil, err
	case out.VersionNumber == nil || *out.VersionNumber != n || !sameName(v.Name, name):
		return nil, lie("another version than %d of %s came", n, name)
	}
	return v, r.describe(ctx, v)
}

func schemaVersion(name string, n *types.SchemaVersionNumber) *glue.GetSchemaVersionInput {
	in := &glue.GetSchemaVersionInput{SchemaId: &types.SchemaId{}, SchemaVersionNumber: n}
	if strings.HasPrefix(name, "arn:") {
		in.SchemaId.SchemaArn = &name
		return in
	}
	registry, schema, _ := strings.Cut(name, "/")
	in.SchemaId.RegistryName, in.SchemaId.SchemaName = &registry, &schema
	return in
}

// received is the version in an answer, whose parts have to fit each other.
func received(out *glue.GetSchemaVersionOutput) (*Version, error) {
	switch {
	case out.SchemaArn == nil || out.SchemaVersionId == nil || out.SchemaDefinition == nil:
		return nil, lie("it lacks the ARN, the id or the definition")
	case out.Status == types.SchemaVersionStatusPending:
		return nil, errPending
	case out.Status != types.SchemaVersionStatusAvailable:
		return nil, errVoid
	case out.DataFormat != types.DataFormatAvro:
		return nil, fmt.Errorf("the schema's format is %s and not AVRO", out.DataFormat)
	}
	registry, name, ok := wire.SplitName(*out.SchemaArn)
	id, err := wire.ParseUUID(*out.SchemaVersionId)
	if !ok || err != nil {
		return nil, lie("it is of %q, version %q", *out.SchemaArn, *out.SchemaVersionId)
	}
	return parse(&Version{Name: registry + "/" + name, UUID: id, Definition: *out.SchemaDefinition})
}

// describe finds a version's semantic version, if it has one.
func (r *Registry) describe(ctx context.Context, v *Version) error {
	id := v.UUID.String()
	in := &glue.QuerySchemaVersionMetadataInput{SchemaVersionId: &id}
	for {
		out, err := called(r, ctx, func() (*glue.QuerySchemaVersionMetadataOutput, error) {
			return r.api.QuerySchemaVersionMetadata(ctx, in)
		})
		if errors.Is(err, ErrUnknown) {
			return nil // a version without metadata
		}
		if err != nil {
			return fmt.Errorf("metadata of schema version %s: %w", id, err)
		}
		if m, ok := out.MetadataInfoMap[semverKey]; ok && m.MetadataValue != nil {
			v.Version = *m.MetadataValue
			return nil
		}
		if out.NextToken == nil || *out.NextToken == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
}

func (r *Registry) get(ctx context.Context, in *glue.GetSchemaVersionInput) (*glue.GetSchemaVersionOutput, error) {
	return called(r, ctx, func() (*glue.GetSchemaVersionOutput, error) { return r.api.GetSchemaVersion(ctx, in) })
}

// called makes a call, once more with new credentials where they are refused,
// and says what went wrong.
func called[Out any](r *Registry, ctx context.Context, call func() (Out, error)) (Out, error) {
	out, err := call()
	if err != nil && stale(err) {
		r.renewCredentials()
		out, err = call()
	}
	var missing *types.EntityNotFoundException
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &missing):
		return out, fmt.Errorf("%w: %w", ErrUnknown, err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return out, fmt.Errorf("the registry did not answer within %s: %w", r.o.Timeout, err)
	}
	return out, fmt.Errorf("asking the registry: %w", err)
}

// stale reports whether credentials were refused that others may do better than.
func stale(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && slices.Contains([]string{"ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException",
		"InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException", "SignatureDoesNotMatch"}, e.ErrorCode())
}

// renewCredentials has a client's cache of credentials forget them. Providers
// without a cache are asked for each call as it is.
func (r *Registry) renewCredentials() {
	client, ok := r.api.(interface{ Options() glue.Options })
	if !ok {
		return
	}
	if c, ok := client.Options().Credentials.(interface{ Invalidate() }); ok {
		c.Invalidate()
	}
}
