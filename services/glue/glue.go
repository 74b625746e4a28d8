// Package glue serves the Schema Registry of the AWS Glue API over package
// registry. The rest of Glue is not served.
package glue

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// API is the service: its exported methods are the operations.
type API struct {
	e *registry.Engine
}

// Config is what the platform tells the service.
type Config struct {
	Engine *registry.Engine
}

// Service is the service as the edge serves it. Of definitions the model's
// pattern, .*\S.*, is not AWS's own rule: there they may have several lines.
func Service(c Config) awsapi.Service {
	a := &API{e: c.Engine}
	return awsapi.Service{Model: "glue", API: a, Permit: a.permit, Unchecked: []string{"SchemaDefinitionString"}}
}

// maxDefinition is how long a definition may be, in characters
// (SchemaDefinitionString).
const maxDefinition = 170_000

// definition is the text of a definition that a call must have.
func definition(text *string) (string, error) {
	broken := func(value, rule string) error {
		return &awsapi.Error{Code: "ValidationException", Message: "1 validation error detected: Value " + value + " at 'schemaDefinition' failed to satisfy constraint: Member must " + rule}
	}
	switch n := utf8.RuneCountInString(deref(text)); {
	case text == nil:
		return "", broken("null", "not be null")
	case n > maxDefinition:
		return "", broken("'"+clip(*text, 100)+"'", "have length less than or equal to 170000")
	case n == 0:
		return "", broken("''", "have length greater than or equal to 1")
	case strings.TrimSpace(*text) == "":
		return "", broken("'"+clip(*text, 100)+"'", `satisfy regular expression pattern: .*\S.*`)
	}
	return *text, nil
}

func scope(ctx context.Context) cluster.Scope {
	c := awsapi.CallFrom(ctx)
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }

// stamp is a time as the registry writes it: as text.
func stamp(t time.Time) *string { return ptr(t.UTC().Format("2006-01-02T15:04:05.000Z")) }

// resource takes an ARN apart: "registry", "NAME" or "schema", "REGISTRY/NAME".
// ok is false for what is of another kind, account or region.
func resource(ctx context.Context, text string) (kind, rest string, ok bool) {
	p, err := arn.Parse(text)
	if err != nil || p.Service != "glue" {
		return "", "", false
	}
	s := scope(ctx)
	kind, rest = p.Type()
	return kind, rest, p.Account == s.Account && p.Region == s.Region
}

// registryOf is the name of the registry that a call means, the default one
// where it says none.
func registryOf(ctx context.Context, id *types.RegistryId) (string, error) {
	switch {
	case id == nil || id.RegistryArn == nil && id.RegistryName == nil:
		return registry.Default, nil
	case id.RegistryArn == nil:
		return *id.RegistryName, nil
	case id.RegistryName != nil:
		return "", invalid("One of registryName or registryArn has to be provided, both cannot be provided.")
	}
	kind, name, ok := resource(ctx, *id.RegistryArn)
	if kind != "registry" || strings.Contains(name, "/") {
		return "", invalid("%s is not the ARN of a registry: arn:aws:glue:REGION:ACCOUNT:registry/NAME", *id.RegistryArn)
	}
	if !ok {
		return "", noRegistry(*id.RegistryArn)
	}
	return name, nil
}

// schemaOf is the name of the schema that a call means.
func schemaOf(ctx context.Context, id *types.SchemaId) (n registry.Name, err error) {
	n = registry.Name{Scope: scope(ctx), Registry: registry.Default}
	switch {
	case id == nil || id.SchemaArn == nil && id.SchemaName == nil:
		return n, invalid("At least one of (registryName and schemaName) or schemaArn has to be provided.")
	case id.SchemaArn == nil:
		if id.RegistryName != nil {
			n.Registry = *id.RegistryName
		}
		n.Schema = *id.SchemaName
		return n, nil
	case id.SchemaName != nil || id.RegistryName != nil:
		return n, invalid("One of (registryName and schemaName) or schemaArn has to be provided, both cannot be provided.")
	}
	kind, rest, ok := resource(ctx, *id.SchemaArn)
	reg, name, two := strings.Cut(rest, "/")
	if kind != "schema" || !two {
		return n, invalid("%s is not the ARN of a schema: arn:aws:glue:REGION:ACCOUNT:schema/REGISTRY/NAME", *id.SchemaArn)
	}
	if !ok {
		return n, &types.EntityNotFoundException{Message: ptr("Schema is not found. SchemaArn: " + *id.SchemaArn)}
	}
	n.Registry, n.Schema = reg, name
	return n, nil
}

// versionOf finds the version that a call means: by its id, or by its schema
// and its number, or as the latest one.
func (a *API) versionOf(ctx context.Context, id *string, schema *types.SchemaId, number *types.SchemaVersionNumber) (registry.Version, error) {
	if id != nil {
		if schema != nil || number != nil {
			return registry.Version{}, invalid("No other input parameters can be specified when fetching by SchemaVersionId.")
		}
		v, err := a.e.VersionByID(scope(ctx), *id)
		if err != nil {
			return v, noVersion(*id)
		}
		return v, nil
	}
	n, err := schemaOf(ctx, schema)
	if err != nil {
		return registry.Version{}, err
	}
	nr, err := numberOf(number)
	if err != nil {
		return registry.Version{}, err
	}
	v, err := a.e.Version(n, nr)
	return v, wrap(err, n, nr)
}

// numberOf is the number that a call means, 0 for the latest.
func numberOf(n *types.SchemaVersionNumber) (int64, error) {
	switch {
	case n == nil || n.VersionNumber == nil && !n.LatestVersion:
		return 0, invalid("One of version number (or) latest version is required.")
	case n.VersionNumber != nil && n.LatestVersion:
		return 0, invalid("Only one of VersionNumber or LatestVersion is required.")
	}
	return deref(n.VersionNumber), nil
}
