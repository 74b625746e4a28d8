package registry

import (
	"cmp"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/dhowhq/dhow/contract"
)

// Choose reads the semantic version that a schema's new definition declares, nil
// for none ("" is said). smallest is the smallest right one: the bump after the
// highest that the schema had. Error: *SemverError.
func Choose(name, said string, bump contract.Bump, highest string, smallest *semver.Version) (*semver.Version, error) {
	if said == "" {
		return nil, nil
	}
	declared, err := parseDeclared(said)
	if err != nil {
		return nil, err
	}
	if declared.LessThan(smallest) {
		return nil, &SemverError{Declared: said, Smallest: smallest.String(), Detail: fmt.Sprintf("%s declares semantic version %s, but its change is %s: after %s it must be %s at least. Declare that, or none, to have it derived",
			name, declared, bump, highest, smallest)}
	}
	return declared, nil
}

// parseDeclared reads a declared semantic version. Error: *SemverError.
func parseDeclared(said string) (*semver.Version, error) {
	v, err := contract.ParseVersion(said)
	if err != nil {
		return nil, &SemverError{Declared: said, Detail: "the declared semantic version " + err.Error()}
	}
	return v, isDate(v)
}

// isDate refuses what is a date with dots: 2026.11.27 says nothing of what
// changed.
func isDate(v *semver.Version) error {
	if v.Major() < 1900 || v.Major() > 2999 || v.Minor() < 1 || v.Minor() > 12 || v.Patch() > 31 {
		return nil
	}
	return &SemverError{Declared: v.String(), Detail: fmt.Sprintf("the declared semantic version %q is a date: say by MAJOR.MINOR.PATCH what changes, as in 1.4.0", v)}
}

// setSemver gives a version the semantic version value: the latest only, for
// those after it have been numbered by its own, and once.
func setSemver(s *Schema, v *Version, value string) error {
	declared, err := parseDeclared(value)
	if err != nil {
		return err
	}
	bad := func(smallest, format string, args ...any) error {
		return &SemverError{Declared: value, Smallest: smallest, Detail: fmt.Sprintf(format, args...)}
	}
	smallest, err := semver.StrictNewVersion(cmp.Or(v.Smallest, v.Semver))
	switch {
	case err != nil:
		return fmt.Errorf("version %d of %s: %w", v.Number, v.Name, err)
	case v.Semver == declared.String():
		return ErrMetadataExists
	case v.Declared:
		return bad("", "version %d of %s was declared to be %s, and stays so", v.Number, v.Name, v.Semver)
	case v.Number != s.Latest:
		return bad("", "version %d of %s stays %s: the versions after it were numbered by it", v.Number, v.Name, v.Semver)
	case v.Semver != s.Semver && !declared.GreaterThan(semver.MustParse(s.Semver)):
		return bad("", "%s cannot be: %s had versions up to %s, though they are deleted", declared, v.Name, s.Semver)
	case declared.LessThan(smallest):
		return bad(smallest.String(), "%s understates the change of version %d of %s, which is %s at least", declared, v.Number, v.Name, smallest)
	}
	v.Semver, v.Smallest, v.Declared, s.Semver = declared.String(), "", true, declared.String()
	return nil
}
