package glue

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// permit is awsapi.Service.Permit. The action is the operation's name; the
// resources are those of "Actions, resources, and condition keys for AWS Glue" in
// the Service Authorization Reference. They are made of the names that the call
// comes to and not of how it spells them, so that no spelling evades a policy.
func (a *API) permit(ctx context.Context, in any) error {
	action := "glue:" + awsapi.CallFrom(ctx).Operation
	switch in := in.(type) {
	case *glue.CheckSchemaVersionValidityInput, *glue.ListRegistriesInput:
		return awsapi.Allow(ctx, action) // about no resource

	case *glue.CreateRegistryInput:
		return permitRegistry(ctx, action, &types.RegistryId{RegistryName: in.RegistryName})
	case *glue.DeleteRegistryInput:
		return permitRegistry(ctx, action, in.RegistryId)
	case *glue.GetRegistryInput:
		return permitRegistry(ctx, action, in.RegistryId)
	case *glue.UpdateRegistryInput:
		return permitRegistry(ctx, action, in.RegistryId)
	case *glue.ListSchemasInput:
		if in.RegistryId == nil {
			return permitRegistry(ctx, action, &types.RegistryId{RegistryName: ptr("*")}) // of all
		}
		return permitRegistry(ctx, action, in.RegistryId)

	case *glue.CreateSchemaInput:
		name, err := registryOf(ctx, in.RegistryId)
		if err != nil {
			return err
		}
		return awsapi.Allow(ctx, action, registry.Name{Scope: scope(ctx), Registry: name, Schema: *in.SchemaName}.ARNs()...)
	case *glue.DeleteSchemaInput:
		return permitSchema(ctx, action, in.SchemaId)
	case *glue.DeleteSchemaVersionsInput:
		return permitSchema(ctx, action, in.SchemaId)
	case *glue.GetSchemaInput:
		return permitSchema(ctx, action, in.SchemaId)
	case *glue.GetSchemaByDefinitionInput:
		return permitSchema(ctx, action, in.SchemaId)
	case *glue.GetSchemaVersionsDiffInput:
		return permitSchema(ctx, action, in.SchemaId)
	case *glue.ListSchemaVersionsInput:
		return permitSchema(ctx, action, in.SchemaId)
	case *glue.RegisterSchemaVersionInput:
		return permitSchema(ctx, action, in.SchemaId)
	case *glue.UpdateSchemaInput:
		return permitSchema(ctx, action, in.SchemaId)

	case *glue.GetSchemaVersionInput:
		return a.permitVersion(ctx, action, in.SchemaVersionId, in.SchemaId)
	case *glue.PutSchemaVersionMetadataInput:
		return a.permitVersion(ctx, action, in.SchemaVersionId, in.SchemaId)
	case *glue.QuerySchemaVersionMetadataInput:
		return a.permitVersion(ctx, action, in.SchemaVersionId, in.SchemaId)
	case *glue.RemoveSchemaVersionMetadataInput:
		return a.permitVersion(ctx, action, in.SchemaVersionId, in.SchemaId)

	case *glue.GetTagsInput:
		return permitTags(ctx, action, *in.ResourceArn)
	case *glue.TagResourceInput:
		return permitTags(ctx, action, *in.ResourceArn)
	case *glue.UntagResourceInput:
		return permitTags(ctx, action, *in.ResourceArn)
	}
	return fmt.Errorf("it is not known whom to ask for %T", in)
}

func permitRegistry(ctx context.Context, action string, id *types.RegistryId) error {
	name, err := registryOf(ctx, id)
	if err != nil {
		return err
	}
	return awsapi.Allow(ctx, action, registry.Name{Scope: scope(ctx), Registry: name}.ARNs()...)
}

func permitSchema(ctx context.Context, action string, id *types.SchemaId) error {
	n, err := schemaOf(ctx, id)
	if err != nil {
		return err
	}
	return awsapi.Allow(ctx, action, n.ARNs()...)
}

// permitVersion asks about a version's schema. Of a version that is named by its
// id nobody learns whether there is one who may not read all there are.
func (a *API) permitVersion(ctx context.Context, action string, id *string, schema *types.SchemaId) error {
	if id == nil {
		return permitSchema(ctx, action, schema)
	}
	var resources []string
	if v, err := a.e.VersionByID(scope(ctx), *id); err == nil {
		resources = v.Schema().ARNs()
	}
	known, err := awsapi.AllowFound(ctx, action, resources...)
	if err == nil && !known {
		err = noVersion(*id)
	}
	return err
}

// permitTags asks about what an ARN names, and about nothing besides. What is none
// of the registry's is asked for as it is, and refused after.
func permitTags(ctx context.Context, action, name string) error {
	kind, rest, ok := resource(ctx, name)
	reg, schema, two := strings.Cut(rest, "/")
	if ok && (kind == "registry" && !two || kind == "schema" && two) {
		all := registry.Name{Scope: scope(ctx), Registry: reg, Schema: schema}.ARNs()
		name = all[len(all)-1]
	}
	return awsapi.Allow(ctx, action, name)
}
