package sqs

import (
	"strings"
	"testing"
	"time"
)

func TestIsNumber(t *testing.T) {
	for s, want := range map[string]bool{"1": true, "-1.5e3": true, "+.5": true, "1e128": true, "-1e128": true, "1.1e128": false, "1e129": false, "1e999999999": false, "1e-999999999": true,
		"": false, " 1": false, "x": false, "Inf": false, "nan": false, "0x10": false, "0x1p-2": false, "1_000": false, "1e": false} {
		if got := isNumber(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// TestLongNumber reads as many digits as a message may have at a cost that does
// not grow with their square.
func TestLongNumber(t *testing.T) {
	cost := func(n int) time.Duration {
		s, from := "."+strings.Repeat("9", n), time.Now()
		for range 1 << 20 / n {
			if !isNumber(s) {
				t.Fatal("it is a number")
			}
		}
		return time.Since(from)
	}
	if short, long := cost(1<<14), cost(1<<20); long > 8*short+20*time.Millisecond {
		t.Errorf("a number of 1 MiB takes %v, of 16 KiB as many digits take %v", long, short)
	}
}
