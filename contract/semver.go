package contract

import (
	"errors"
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"
)

// Bump is how much of a semantic version a change of a schema moves.
type Bump int

const (
	Same  Bump = iota // the very same text
	Patch             // documentation, form and what else no reader or writer notices
	Minor             // readers do something new, as by a default, and every version of the same major reads every other
	Major             // some version cannot read some other
)

// ErrVersion is a text that is no semantic version of three numbers.
var ErrVersion = errors.New("not a semantic version: MAJOR.MINOR.PATCH, three numbers, as in 1.4.0")

// ParseVersion reads MAJOR.MINOR.PATCH. Pre-releases, build marks, dates and
// leading zeros or v are refused with [ErrVersion]: a schema version is out or
// it is not.
func ParseVersion(s string) (*semver.Version, error) {
	v, err := semver.StrictNewVersion(s)
	if err != nil || v.Prerelease() != "" || v.Metadata() != "" {
		return nil, fmt.Errorf("%q is %w", s, ErrVersion)
	}
	return v, nil
}

// BumpOf is the smallest right bump from the last of the versions of one major,
// oldest first and at least one, to next: readers may ask for ^1, so what some
// version of the major cannot read, or what cannot read it, is major.
func BumpOf(next Schema, major []Version) Bump {
	last := major[len(major)-1]
	switch {
	case sameText(next.Source(), last.Source()):
		return Same
	case len(Check(FullAll, next, major)) > 0:
		return Major
	case next.Meaning() == last.Meaning():
		return Patch
	}
	return Minor
}

// NextBump is [BumpOf] of what becomes a version of its own: Patch where the text
// is that of the last one, which is of other references or deleted, and Major
// where no version of the major is left to compare with.
func NextBump(next Schema, major []Version) Bump {
	if len(major) == 0 {
		return Major
	}
	return max(Patch, BumpOf(next, major))
}

// sameText reports whether two sources are one, with all that they refer to.
// What they refer to goes by its file; what the schema's own is called says
// nothing.
func sameText(a, b Source) bool {
	return a.Text == b.Text && slices.EqualFunc(a.Refs, b.Refs, func(a, b Source) bool { return a.File == b.File && sameText(a, b) })
}

// After is the version that a bump of v leads to.
func (b Bump) After(v *semver.Version) semver.Version {
	switch b {
	case Patch:
		return v.IncPatch()
	case Minor:
		return v.IncMinor()
	case Major:
		return v.IncMajor()
	}
	return *v
}

func (b Bump) String() string { return [...]string{"none", "patch", "minor", "major"}[b] }
