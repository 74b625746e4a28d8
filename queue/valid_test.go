package queue_test

import (
	"strings"
	"testing"

	"github.com/dhowhq/dhow/queue"
)

// TestValid puts what may and what must not be in a message at every offset of a
// word, alone and with text around it.
func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "\t": true, "\n": true, "\r": true, " ": true, "\x7f": true, "é": true, "\uFFFD": true, "𝄞": true, "\uD7FF\uE000": true,
		"\x00": false, "\x08": false, "\x0b": false, "\x0c": false, "\x1f": false, "\x80": false, "\xc3": false, "\xed\xa0\x80": false,
		"\uFFFE": false, "\uFFFF": false, "\xf4\x90\x80\x80": false,
	} {
		for before := range 17 {
			for _, after := range []int{0, 1, 7, 8, 20} {
				text := strings.Repeat("~", before) + s + strings.Repeat(" ", after)
				if queue.Valid(text) != want {
					t.Errorf("Valid(%q) is not %v", text, want)
				}
			}
		}
	}
}
