package contract

import (
	"errors"
	"testing"

	"github.com/Masterminds/semver/v3"
)

func FuzzRange(f *testing.F) {
	for _, s := range []string{"^1", "~1.2", "1.2.0", ">=1.2 <3", "1.2 - 2.0", "^1 || ^3", "*"} {
		f.Add(s)
	}
	v := semver.MustParse("1.2.3")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			if !errors.Is(err, ErrRange) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		again, err := ParseRange(r.String())
		if err != nil || again.Has(v) != r.Has(v) {
			t.Fatalf("%q is written %q: %v", s, r, err)
		}
	})
}
