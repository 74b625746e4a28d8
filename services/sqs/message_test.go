package sqs

import (
	"strings"
	"testing"
)

func TestIsNumber(t *testing.T) {
	for s, want := range map[string]bool{"1": true, "-1.5e3": true, "+.5": true, "1e128": true, "-1e128": true, "1.1e128": false, "1e129": false, "1e999999999": false, "1e-999999999": true,
		"": false, " 1": false, "x": false, "Inf": false, "nan": false, "0x10": false, "0x1p-2": false, "1_000": false, "1e": false,
		"." + strings.Repeat("9", 1<<20): true, strings.Repeat("9", 1<<20): false} {
		if got := isNumber(s); got != want {
			t.Errorf("%.50q: %v", s, got)
		}
	}
}
