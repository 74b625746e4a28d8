package logstore

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxName is the length of names in characters, from the API's model.
const maxName = 512

var groupName = regexp.MustCompile(`^[-._/#A-Za-z0-9]+$`)

// checkGroup refuses what is no name of a log group: the model's rule, for
// callers that do not come through the API's edge.
func checkGroup(name string) error {
	if len(name) > maxName || !groupName.MatchString(name) {
		return fmt.Errorf("%w: log group %.100q: it must be 1 to %d characters of a-z, A-Z, 0-9, '_', '-', '/', '.' and '#'", ErrName, name, maxName)
	}
	return nil
}

// checkStream refuses what is no name of a log stream: the model's rule, and
// NUL, which keys of the state cannot hold.
func checkStream(name string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > maxName || !utf8.ValidString(name) || strings.ContainsAny(name, ":*\x00") {
		return fmt.Errorf("%w: log stream %.100q: it must be 1 to %d characters without ':', '*' and NUL", ErrName, name, maxName)
	}
	return nil
}
