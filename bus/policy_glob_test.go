package bus

import (
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abb", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"*b*", "abc", true}, {"events:Put*", "events:PutEvents", true}, {"a*b*c", "axbxbxc", true}, {"a*b", "aXbX", false},
		{strings.Repeat("*a", 40) + "b", strings.Repeat("a", 2000), false}, // for ever, if each star were tried again
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("glob(%.20q, %.20q) is %v", c.pattern, c.s, got)
		}
	}
}
