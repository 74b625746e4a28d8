package contract

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/Masterminds/semver/v3"
)

// Range is the versions that a consumer asks for. The zero Range has all.
type Range struct {
	text   string
	within *semver.Constraints
}

// ErrRange is a text that is no range of versions.
var ErrRange = errors.New("not a range of versions: write it as ^1, ~1.2, 1.2.0 or >=1.2 <3")

// maxRange bounds a range's text, in bytes.
const maxRange = 200

// rangeText is what ranges are written with. Versions have no pre-releases, so
// neither have ranges: a hyphen stands between two versions, with spaces.
var rangeText = regexp.MustCompile(`^([0-9.xX*^~<>=!|,]|\s-\s|\s)*$`)

// ParseRange reads what consumers ask for: ^1 (any 1.x.y), ^1.2 (1.2.0 and later
// of major 1), ~1.2 (any 1.2.y), 1.2.0 (just that), 1.2 (any 1.2.y), comparisons
// joined by spaces or commas, alternatives by ||. "" and * are all versions.
// What it cannot read is [ErrRange].
func ParseRange(s string) (Range, error) {
	if s == "" {
		return Range{}, nil
	}
	if len(s) > maxRange || !rangeText.MatchString(s) {
		return Range{}, fmt.Errorf("%.*q is %w", maxRange, s, ErrRange)
	}
	c, err := semver.NewConstraint(s)
	if err != nil {
		return Range{}, fmt.Errorf("%q is %w", s, ErrRange)
	}
	return Range{s, c}, nil
}

// Has reports whether a version is in the range.
func (r Range) Has(v *semver.Version) bool { return r.within == nil || r.within.Check(v) }

func (r Range) String() string {
	if r.within == nil {
		return "*"
	}
	return r.text
}

// Latest is the highest of the versions, by their labels in any order, that is
// in the range, false where there is none. Labels that are no semantic versions
// are in no range.
func Latest(r Range, labels []string) (string, bool) {
	var latest *semver.Version
	for _, l := range labels {
		v, err := ParseVersion(l)
		if err == nil && r.Has(v) && (latest == nil || v.GreaterThan(latest)) {
			latest = v
		}
	}
	if latest == nil {
		return "", false
	}
	return latest.String(), true
}
