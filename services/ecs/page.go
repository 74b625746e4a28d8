package ecs

import (
	"encoding/base64"
	"iter"
)

// page cuts one page out of keyed rows that come in key order: at most max of
// them (nil: limit), after the row that token names. The token is opaque to
// clients: it is the last key of the page before, so that rows which come and
// go meanwhile neither repeat nor hide others.
func page[T any](rows iter.Seq[T], key func(T) string, max *int32, limit int, token *string) (out []T, next *string, err error) {
	n := limit
	if max != nil {
		if *max < 1 || int(*max) > limit {
			return nil, nil, invalidParam("Invalid maxResults: %d. It must be between 1 and %d.", *max, limit)
		}
		n = int(*max)
	}
	after := ""
	if t := deref(token); t != "" {
		b, err := base64.RawURLEncoding.DecodeString(t)
		if err != nil || len(b) < 2 || b[0] != tokenMark {
			return nil, nil, invalidParam("Invalid token in request.")
		}
		after = string(b[1:])
	}
	for row := range rows {
		if k := key(row); k <= after {
			continue
		} else if len(out) == n {
			next = ptr(base64.RawURLEncoding.EncodeToString(append([]byte{tokenMark}, key(out[n-1])...)))
			return out, next, nil
		}
		out = append(out, row)
	}
	return out, nil, nil
}

// tokenMark begins a decoded token, so that other strings are told apart.
const tokenMark = 0xd1
