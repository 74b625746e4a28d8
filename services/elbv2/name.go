package elbv2

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/lb"
)

// checkName applies AWS's rules for the names of load balancers and target
// groups; what is as AWS's sentences begin.
func checkName(what, name string) error {
	switch {
	case len(name) > 32:
		return invalid("%s '%s' cannot be longer than '32' characters", what, name)
	case name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}):
		return invalid("%s '%s' can only contain characters that are alphanumeric characters or hyphens(-)", what, name)
	case name[0] == '-' || name[len(name)-1] == '-':
		return invalid("%s '%s' cannot begin or end with '-'", what, name)
	}
	return nil
}

// maxTags is AWS's limit of tags on a resource.
const maxTags = 50

// tagsFrom checks tags and adds them to those that are there.
func tagsFrom(have []lb.Tag, add []types.Tag) ([]lb.Tag, error) {
	all := append([]lb.Tag(nil), have...)
	seen := map[string]bool{}
	for _, t := range add {
		k, v := deref(t.Key), deref(t.Value)
		switch {
		case seen[k]:
			return nil, &types.DuplicateTagKeysException{Message: ptr("Tag keys must be unique. Duplicate key: '" + k + "'")}
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return nil, invalid("Tag keys beginning with 'aws:' are reserved for system use: '%s'", k)
		}
		seen[k] = true
		found := false
		for i := range all {
			if all[i].Key == k {
				all[i].Value, found = v, true
			}
		}
		if !found {
			all = append(all, lb.Tag{Key: k, Value: v})
		}
	}
	if len(all) > maxTags {
		return nil, &types.TooManyTagsException{Message: ptr("You cannot assign more than 50 tags to a resource")}
	}
	return all, nil
}

func wireTags(tags []lb.Tag) []types.Tag {
	all := make([]types.Tag, len(tags))
	for i, t := range tags {
		all[i] = types.Tag{Key: ptr(t.Key), Value: ptr(t.Value)}
	}
	return all
}

// sameTags reports whether two sets of tags are the same, in any order.
func sameTags(a, b []lb.Tag) bool {
	if len(a) != len(b) {
		return false
	}
	m := map[string]string{}
	for _, t := range a {
		m[t.Key] = t.Value
	}
	for _, t := range b {
		if v, ok := m[t.Key]; !ok || v != t.Value {
			return false
		}
	}
	return true
}
