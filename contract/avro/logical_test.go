package avro

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestFitsDigits holds the short ways against writing numbers out.
func TestFitsDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, 60).Draw(t, "precision")
		n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(rapid.IntRange(0, 60).Draw(t, "power"))), nil)
		n.Add(n, big.NewInt(rapid.Int64Range(-2, 2).Draw(t, "off")))
		digits := len(n.Text(10))
		if n.Sign() < 0 {
			digits--
		}
		pad := byte(0)
		size := n.BitLen()/8 + 1
		if rapid.Bool().Draw(t, "negative") {
			n.Neg(n)
		}
		if n.Sign() < 0 {
			pad = 0xff
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
		}
		b := n.FillBytes(make([]byte, size))
		for range rapid.IntRange(0, 3).Draw(t, "pad") {
			b = append([]byte{pad}, b...)
		}
		if got := fitsDigits(b, precision); got != (digits <= precision) {
			t.Fatalf("%x has %d digits; within %d: %v", b, digits, precision, got)
		}
	})
}
