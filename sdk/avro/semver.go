package avro

import (
	"fmt"
	"strconv"
	"strings"
)

// Wanted is which schema a producer or consumer is built for: REGISTRY/NAME,
// REGISTRY/NAME@1.2.0, or the newest of a range: REGISTRY/NAME@^1 (1.0.0 up to
// but without 2.0.0), @^1.2 (from 1.2.0 on), @~1.2 (1.2.0 up to but without
// 1.3.0), @1 and @1.2 (what begins so), @* (any). Below 1.0.0 ^ lets the first
// number that is not 0 stay.
type Wanted struct {
	Name     string
	text     string // after the @
	from, to semver // [from, to); both zero: any version
}

type semver [3]uint32

// ParseWanted reads the text form.
func ParseWanted(s string) (Wanted, error) {
	w := Wanted{}
	w.Name, w.text, _ = strings.Cut(s, "@")
	if r, n, ok := strings.Cut(w.Name, "/"); !ok || r == "" || n == "" {
		return w, fmt.Errorf("%q names no schema: REGISTRY/NAME or REGISTRY/NAME@VERSION, as in shop/order@1.2.0 or shop/order@^1", s)
	}
	if !strings.Contains(s, "@") || w.text == "*" {
		return w, nil
	}
	numbers := strings.TrimLeft(w.text, "^~")
	from, given, ok := parseNumbers(numbers)
	kind := strings.TrimSuffix(w.text, numbers)
	if !ok || len(kind) > 1 {
		return w, fmt.Errorf("%q: %q is neither a version nor a range that is read here: 1.2.0, ^1, ^1.2, ~1.2, 1, 1.2, *", s, w.text)
	}
	w.from, w.to = from, from
	switch {
	case given == 3 && (kind == "" || kind == "^" && from[0] == 0 && from[1] == 0):
		w.to[2]++
	case kind == "^" && from[0] == 0 && given > 1:
		w.to = semver{0, from[1] + 1}
	case kind == "^" || given == 1:
		w.to = semver{from[0] + 1}
	default:
		w.to = semver{from[0], from[1] + 1}
	}
	return w, nil
}

func (w Wanted) String() string {
	if w.text == "" {
		return w.Name
	}
	return w.Name + "@" + w.text
}

// accepts reports whether a version is in the range, and what its version is.
func (w Wanted) accepts(v *Version) (semver, bool) {
	at, given, ok := parseNumbers(v.Version)
	if w.to == (semver{}) {
		return at, true
	}
	return at, ok && given == 3 && !at.less(w.from) && at.less(w.to)
}

// newest is the newest of the versions that is wanted, nil for none. Of those
// without a semantic version the first counts as newest.
func (w Wanted) newest(versions []*Version) *Version {
	var best *Version
	var top semver
	for _, v := range versions {
		if !sameName(v.Name, w.Name) {
			continue
		}
		if at, ok := w.accepts(v); ok && (best == nil || top.less(at)) {
			best, top = v, at
		}
	}
	return best
}

func (v semver) less(w semver) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

// parseNumbers reads one to three numbers with dots between them.
func parseNumbers(s string) (v semver, given int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return v, 0, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil || len(p) > 1 && p[0] == '0' || p[0] == '+' {
			return v, 0, false
		}
		v[i] = uint32(n)
	}
	return v, len(parts), true
}
