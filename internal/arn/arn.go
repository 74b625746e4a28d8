// Package arn takes Amazon Resource Names apart and puts them together.
package arn

import (
	"fmt"
	"strings"
)

// ARN is arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE. Region and account
// are empty for services that have none.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// New returns an ARN of the partition aws.
func New(service, region, account, resource string) ARN {
	return ARN{"aws", service, region, account, resource}
}

// Parse reads an ARN. Partition, service and resource must not be empty; the
// resource may itself contain colons.
func Parse(s string) (ARN, error) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] == "" || parts[2] == "" || parts[5] == "" {
		return ARN{}, fmt.Errorf("%q is not an ARN: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE", s)
	}
	return ARN{parts[1], parts[2], parts[3], parts[4], parts[5]}, nil
}

// Is reports whether s is meant to be an ARN rather than a name.
func Is(s string) bool { return strings.HasPrefix(s, "arn:") }

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Type is the resource's part before its first '/' or ':', and the rest:
// "task", "CLUSTER/ID" of "task/CLUSTER/ID". A resource without either has an
// empty type.
func (a ARN) Type() (typ, rest string) {
	i := strings.IndexAny(a.Resource, "/:")
	if i < 0 {
		return "", a.Resource
	}
	return a.Resource[:i], a.Resource[i+1:]
}

// Segments are the resource's parts between its slashes.
func (a ARN) Segments() []string { return strings.Split(a.Resource, "/") }

// IsAccount reports whether s is an account, 12 digits.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
