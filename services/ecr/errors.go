package ecr

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/image"
)

// wireError says an error of the engine's in the service's types.
func wireError(err error) error {
	text := func() *string { return ptr(err.Error()) }
	switch {
	case errors.Is(err, image.ErrNoRepository):
		return &types.RepositoryNotFoundException{Message: text()}
	case errors.Is(err, image.ErrRepository):
		return &types.RepositoryAlreadyExistsException{Message: text()}
	case errors.Is(err, image.ErrNotEmpty):
		return &types.RepositoryNotEmptyException{Message: text()}
	case errors.Is(err, image.ErrImmutable):
		return &types.ImageTagAlreadyExistsException{Message: text()}
	case errors.Is(err, image.ErrNoUpload):
		return &types.UploadNotFoundException{Message: text()}
	case errors.Is(err, image.ErrName), errors.Is(err, image.ErrManifest), errors.Is(err, image.ErrTooLarge):
		return &types.InvalidParameterException{Message: text()}
	}
	return err
}

// invalidParam is an InvalidParameterException in the service's form.
func invalidParam(field, format string, args ...any) error {
	return &types.InvalidParameterException{Message: ptr(fmt.Sprintf("Invalid parameter at '%s' failed to satisfy constraint: '%s'", field, fmt.Sprintf(format, args...)))}
}

// idText is an image id in the service's sentences.
func idText(id types.ImageIdentifier) string {
	or := func(p *string) string {
		if p == nil {
			return "null"
		}
		return *p
	}
	return fmt.Sprintf("{imageDigest:'%s', imageTag:'%s'}", or(id.ImageDigest), or(id.ImageTag))
}

func imageNotFound(s cluster.Scope, repo string, id types.ImageIdentifier) error {
	return &types.ImageNotFoundException{Message: ptr(fmt.Sprintf("The image with imageId %s does not exist within the repository with name '%s' in the registry with id '%s'", idText(id), repo, s.Account))}
}
