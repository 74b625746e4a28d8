package queue

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSqueeze writes bodies that compress and bodies that do not.
func TestSqueeze(t *testing.T) {
	seal, err := newSeal(define("a", Defaults()).Key)
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 3000)
	for i := range random {
		random[i] = byte(rand.IntN(256))
	}
	for _, body := range []string{"", "short", strings.Repeat("order ", 1000), string(random), strings.Repeat("x", 1<<20)} {
		for _, s := range []bool{true, false} {
			seal := seal
			if !s {
				seal = nil
			}
			h, p := header{sent: 1, visible: 1}, payload{Message: Message{Body: body}}
			record := appendRecord(nil, &h, &p, seal)
			_, back, err := parseRecord(record, seal)
			if err != nil || back.Body != body {
				t.Errorf("%.10q of %d bytes reads back as %.10q, %v", body, len(body), back.Body, err)
			}
			flat := len(body) < minSqueezed || body == string(random)
			if small := len(record) < len(body)/4; small == flat {
				t.Errorf("%.10q of %d bytes takes %d", body, len(body), len(record))
			}
			if cap(record) > len(record)+len(record)/4+maxHeader+sealSize+64 {
				t.Errorf("a record of %d bytes holds %d", len(record), cap(record))
			}
		}
	}
}

// TestUnsqueezeBounds has a record that claims to be larger than any.
func TestUnsqueezeBounds(t *testing.T) {
	huge := append([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, bytes.Repeat([]byte{0}, 100)...) // 4 GiB, as s2 says lengths
	if _, err := unsqueeze(huge); !errors.Is(err, errRecord) {
		t.Errorf("error %v", err)
	}
}
