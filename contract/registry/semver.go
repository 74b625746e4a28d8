package registry

import (
	"cmp"
	"fmt"

	"github.com/Masterminds/semver/v3"
)

// setSemver gives a version the semantic version value: the latest only, for
// those after it have been numbered by its own, and once.
func setSemver(s *Schema, v *Version, value string) error {
	declared, err := Definition{Semver: value}.declared(v.Format)
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
	case declared.LessThan(smallest):
		return bad(smallest.String(), "%s understates the change of version %d of %s, which is %s at least", declared, v.Number, v.Name, smallest)
	}
	v.Semver, v.Smallest, v.Declared, s.Semver = declared.String(), "", true, declared.String()
	return nil
}
