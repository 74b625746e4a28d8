package ecs

import (
	"context"
	"iter"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// page is awsapi.PageOf with what ECS says of a bad maxResults, which its model
// gives no range, and of a bad token. A page has at most max rows (nil: limit).
func page[T any](ctx context.Context, rows iter.Seq[T], key func(T) string, max *int32, limit int, token *string) (out []T, next *string, err error) {
	if max != nil && (*max < 1 || int(*max) > limit) {
		return nil, nil, invalidParam("Invalid maxResults: %d. It must be between 1 and %d.", *max, limit)
	}
	if _, err := awsapi.ParseToken(ctx, token); err != nil {
		return nil, nil, invalidParam("Invalid token in request.")
	}
	return awsapi.PageOf(ctx, rows, key, token, max, limit)
}
