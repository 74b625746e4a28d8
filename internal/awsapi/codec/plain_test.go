package codec

import (
	"bytes"
	"testing"
)

// TestPlain puts every byte at every place of words.
func TestPlain(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				b := bytes.Repeat([]byte{'~'}, length)
				b[at] = byte(c)
				want := length
				if c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
					want = at
				}
				if got := plain(b); got != want {
					t.Fatalf("%q: %d, not %d", b, got, want)
				}
				if at > 0 { // the first of two counts
					b[at-1] = '"'
					if got := plain(b); got != at-1 {
						t.Fatalf("%q: %d, not %d", b, got, at-1)
					}
				}
			}
		}
	}
}
