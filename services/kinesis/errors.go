package kinesis

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func invalid(format string, args ...any) error {
	return &types.InvalidArgumentException{Message: ptr(fmt.Sprintf(format, args...))}
}

func validation(format string, args ...any) error {
	return &types.ValidationException{Message: ptr(fmt.Sprintf(format, args...))}
}

func denied(format string, args ...any) error {
	return &types.AccessDeniedException{Message: ptr(fmt.Sprintf(format, args...))}
}
