package glue

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/verdict"
)

func invalid(format string, args ...any) error {
	return &types.InvalidInputException{Message: ptr(fmt.Sprintf(format, args...))}
}

func noRegistry(name string) error {
	return &types.EntityNotFoundException{Message: ptr("Registry is not found. RegistryName: " + name)}
}

func noVersion(id string) error {
	return &types.EntityNotFoundException{Message: ptr("Schema version is not found. SchemaVersionId: " + id)}
}

// wrap says an error of the engine's about a schema, and a version of it if
// number is not 0, in the service's words.
func wrap(err error, n registry.Name, number int64) error {
	var malformed *verdict.Malformed
	var bad *registry.SemverError
	where := "RegistryName: " + n.Registry
	if n.Schema != "" {
		where += ", SchemaName: " + n.Schema
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &malformed):
		return invalid("Schema definition is invalid: %s", malformed)
	case errors.As(err, &bad):
		return invalid("%s.", bad.Detail)
	case errors.Is(err, registry.ErrNoRegistry):
		return noRegistry(n.Registry)
	case errors.Is(err, registry.ErrNoSchema):
		return &types.EntityNotFoundException{Message: ptr("Schema is not found. " + where)}
	case errors.Is(err, registry.ErrNoVersion):
		if number != 0 {
			where += fmt.Sprintf(", VersionNumber: %d", number)
		}
		return &types.EntityNotFoundException{Message: ptr("Schema version is not found. " + where)}
	case errors.Is(err, registry.ErrRegistryExists):
		return &types.AlreadyExistsException{Message: ptr("Registry already exists. RegistryName: " + n.Registry)}
	case errors.Is(err, registry.ErrSchemaExists):
		return &types.AlreadyExistsException{Message: ptr("Schema already exists. " + where)}
	case errors.Is(err, registry.ErrDisabled):
		return invalid("Compatibility DISABLED does not allow versioning. %s", where)
	case errors.Is(err, registry.ErrDeleting):
		return &types.ConcurrentModificationException{Message: ptr("It is being deleted. " + where)}
	case errors.Is(err, registry.ErrTooMany):
		return &types.ResourceNumberLimitExceededException{Message: ptr("More schema versions cannot be created. The maximum limit has been reached.")}
	case errors.Is(err, registry.ErrReferenced), errors.Is(err, registry.ErrInUse):
		return invalid("%v. %s", err, where)
	case errors.Is(err, registry.ErrCheckpoint):
		return &types.ConflictException{Message: ptr(fmt.Sprintf("Version %d is the checkpoint: set another one by UpdateSchema first. %s", number, where))}
	case errors.Is(err, registry.ErrFirst):
		return invalid("The first schema version can only be deleted by the DeleteSchema API. %s", where)
	case errors.Is(err, registry.ErrNecessary):
		return invalid("%v. %s, VersionNumber: %d", err, where, number)
	}
	return err
}
