package awsapi

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"iter"
	"sort"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// Page cuts a page out of items, which are sorted by key and whose keys
// differ. The page begins after the item that token names (it need not exist
// any more), has at most limit items, most where limit is nil or larger, and
// next is the token of the page after it, nil after the last.
func Page[T any](ctx context.Context, items []T, key func(T) string, token *string, limit *int32, most int) (page []T, next *string, err error) {
	after, err := ParseToken(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	if token != nil && *token != "" {
		items = items[sort.Search(len(items), func(i int) bool { return key(items[i]) > after }):]
	}
	n := pageSize(limit, most)
	if len(items) <= n {
		return items, nil, nil
	}
	return items[:n], Token(ctx, key(items[n-1])), nil
}

// PageOf is Page for rows that come one by one, in the order of their keys: it
// takes no more of them than it needs to know whether there is another page.
func PageOf[T any](ctx context.Context, rows iter.Seq[T], key func(T) string, token *string, limit *int32, most int) (page []T, next *string, err error) {
	after, err := ParseToken(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	begun, n := token == nil || *token == "", pageSize(limit, most)
	for row := range rows {
		if begun = begun || key(row) > after; !begun {
			continue
		}
		if len(page) == n {
			return page, Token(ctx, key(page[n-1])), nil
		}
		page = append(page, row)
	}
	return page, nil, nil
}

// pageSize is limit, where it is given and within most.
func pageSize(limit *int32, most int) int {
	if limit != nil && int(*limit) > 0 && int(*limit) < most {
		return int(*limit)
	}
	return most
}

// Token makes an opaque pagination token that stands for position; it is good
// for the operation of ctx only.
func Token(ctx context.Context, position string) *string {
	raw := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(position)), tokenTag(CallFrom(ctx)))
	s := base64.RawURLEncoding.EncodeToString(append(raw, position...))
	return &s
}

// ParseToken returns the position that Token was given; "" for no token. For
// what is no token of this operation it returns the service's own error.
func ParseToken(ctx context.Context, token *string) (position string, err error) {
	if token == nil || *token == "" {
		return "", nil
	}
	c := CallFrom(ctx)
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || len(raw) < 4 || binary.BigEndian.Uint32(raw) != tokenTag(c) {
		return "", badToken(c)
	}
	return string(raw[4:]), nil
}

// tokenTag ties a token to its account, region and operation.
func tokenTag(c *Call) uint32 {
	h := fnv.New32a()
	for _, s := range []string{c.Account, c.Region, c.Service, c.Operation} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return h.Sum32()
}

// badToken is the error that the operation has for bad tokens, else the
// service's error for bad input.
func badToken(c *Call) error {
	e := &Error{Code: "ValidationException", Message: "The specified nextToken is invalid."}
	m, err := model.Load(c.Service)
	if err != nil {
		return e
	}
	e.Code = constraintCode(m.Info)
	if op := m.Op(c.Operation); op != nil {
		for _, i := range op.Errors {
			if name := m.Shapes[i].Name; strings.Contains(name, "NextToken") || strings.Contains(name, "Pagination") || name == "InvalidToken" {
				e.Code = name
			}
		}
	}
	return e
}
