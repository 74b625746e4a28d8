package ecs

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const maxTags = 50

var tagChars = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// validateTags checks tags that a client gives, by the limits of the ECS API
// reference: 50 a resource, keys of 1-128 characters, values of up to 256,
// letters, digits, spaces and _ . : / = + - @, and no key of AWS's own,
// nor one of dhow's own but those in own, which act on the resource.
func validateTags(tags []types.Tag, own ...string) error {
	if len(tags) > maxTags {
		return invalidParam("Tags can not have more than %d elements", maxTags)
	}
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		k, v := deref(t.Key), deref(t.Value)
		switch {
		case k == "":
			return invalidParam("Tag key can not be empty")
		case utf8.RuneCountInString(k) > 128:
			return invalidParam("Tag key can not be longer than 128 characters: %.140s", k)
		case utf8.RuneCountInString(v) > 256:
			return invalidParam("Tag value of key %s can not be longer than 256 characters", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalidParam("Tag keys can not start with 'aws:': %s is reserved for AWS use", k)
		case k == forceTag && !slices.Contains(own, k):
			return invalidParam("The tag %s is for services: it does nothing on other resources", k)
		case strings.HasPrefix(strings.ToLower(k), "dhow:") && k != forceTag:
			return invalidParam("There is no tag %s: tags that begin with 'dhow:' are dhow's own, and of ECS it knows %s, on services", k, forceTag)
		case !tagChars.MatchString(k) || !tagChars.MatchString(v):
			return invalidParam("Tag %s has a character that is not allowed: use letters, digits, spaces and _ . : / = + - @", k)
		case seen[k]:
			return invalidParam("Duplicate tag key: %s", k)
		}
		seen[k] = true
	}
	return nil
}

// mergeTags returns old with the values of add set over them; neither is
// changed.
func mergeTags(old, add []types.Tag) []types.Tag {
	out := slices.Clone(old)
	for _, t := range add {
		if i := slices.IndexFunc(out, func(o types.Tag) bool { return deref(o.Key) == deref(t.Key) }); i >= 0 {
			out[i] = t
		} else {
			out = append(out, t)
		}
	}
	return out
}

// withoutTags returns old without the tags of those keys; old is not changed.
func withoutTags(old []types.Tag, keys []string) []types.Tag {
	return slices.DeleteFunc(slices.Clone(old), func(t types.Tag) bool { return slices.Contains(keys, deref(t.Key)) })
}

// userTags are the tags that count against the limit: not AWS's own.
func userTags(tags []types.Tag) []types.Tag {
	return slices.DeleteFunc(slices.Clone(tags), func(t types.Tag) bool { return strings.HasPrefix(deref(t.Key), "aws:") })
}
