// Package ec2 serves what ECS and its tools ask of Amazon EC2: the default VPC
// of each account and region, its subnets, zones and security group, and the
// network interfaces of tasks. Nothing of it is changed here.
package ec2

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// API is the service: its exported methods are the operations.
type API struct {
	db     *store.DB
	ensure func(context.Context, cluster.Scope) error
}

// Config is what the platform tells the service.
type Config struct {
	DB *store.DB
	// EnsureVPC makes the scope's default VPC if it is missing.
	EnsureVPC func(ctx context.Context, s cluster.Scope) error
}

// New returns the API over the store.
func New(c Config) *API { return &API{db: c.DB, ensure: c.EnsureVPC} }

// list returns the caller's rows of a table, in order of their keys.
func list[T any](ctx context.Context, a *API, t *store.Table[T]) ([]T, error) {
	s := scope(ctx)
	if err := a.ensure(ctx, s); err != nil {
		return nil, err
	}
	var rows []T
	err := a.db.View(func(r store.Reader) error {
		rows = slices.Collect(t.List(r, s.Prefix()))
		return nil
	})
	return rows, err
}

func scope(ctx context.Context) cluster.Scope {
	c := awsapi.CallFrom(ctx)
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

// fields are a resource's values under EC2's filter names; a nil entry is a
// filter that is known and matches nothing here.
type fields map[string][]string

// kind is a sort of resource: how to find it by id and by filters.
type kind[T any] struct {
	id       func(T) string
	fields   func(T) fields
	notFound string // error code
	sentence string // format of the error's message, with the id
}

// choose returns the items with one of the ids, if there are any, that pass
// the filters, a page of them. An unknown id or filter is an error, as at AWS.
func (k kind[T]) choose(ctx context.Context, items []T, ids []string, filters []types.Filter, token *string, most *int32) ([]T, *string, error) {
	for _, id := range ids {
		if !slices.ContainsFunc(items, func(i T) bool { return k.id(i) == id }) {
			return nil, nil, &awsapi.Error{Code: k.notFound, Message: fmt.Sprintf(k.sentence, id)}
		}
	}
	var zero T
	known := k.fields(zero)
	for _, f := range filters {
		if _, ok := known[deref(f.Name)]; !ok && !(taggable(known) && strings.HasPrefix(deref(f.Name), "tag:")) {
			return nil, nil, &awsapi.Error{Code: "InvalidParameterValue", Message: fmt.Sprintf("The filter '%s' is invalid", deref(f.Name))}
		}
	}
	var kept []T
	for _, i := range items {
		if (len(ids) == 0 || slices.Contains(ids, k.id(i))) && passes(k.fields(i), filters) {
			kept = append(kept, i)
		}
	}
	slices.SortFunc(kept, func(a, b T) int {
		if k.id(a) < k.id(b) {
			return -1
		}
		return 1
	})
	return awsapi.Page(ctx, kept, k.id, token, most, 1000)
}

// taggable reports whether resources with these fields can have tags: then
// every filter tag:KEY is known, and matches nothing, for none has any.
func taggable(f fields) bool {
	_, ok := f["tag-key"]
	return ok
}

// rehearsed is the answer to a call that asks only whether it may be made.
func rehearsed(dryRun *bool) error {
	if !deref(dryRun) {
		return nil
	}
	return &awsapi.Error{Code: "DryRunOperation", Status: http.StatusPreconditionFailed, Message: "Request would have succeeded, but DryRun flag is set."}
}

// passes reports whether every filter has a value that one of the field's
// matches.
func passes(f fields, filters []types.Filter) bool {
	for _, filter := range filters {
		if !slices.ContainsFunc(f[deref(filter.Name)], func(have string) bool {
			return slices.ContainsFunc(filter.Values, func(want string) bool { return wild(want, have) })
		}) {
			return false
		}
	}
	return true
}

// wild matches EC2's wildcards: * is any run of characters, ? any one, and a
// backslash takes the next one as it is.
func wild(pattern, s string) bool {
	// The classical two-pointer match: back is where to resume after a star.
	p, i, star, back := 0, 0, -1, 0
	for i < len(s) {
		c, width := byte(0), 1
		if p < len(pattern) {
			c = pattern[p]
			if c == '\\' && p+1 < len(pattern) {
				c, width = pattern[p+1], 2
			}
		}
		switch {
		case p < len(pattern) && width == 1 && c == '*':
			star, back = p, i
			p++
		case p < len(pattern) && (width == 1 && c == '?' || c == s[i]):
			p += width
			i++
		case star >= 0:
			back++
			p, i = star+1, back
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }

func yes(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}
