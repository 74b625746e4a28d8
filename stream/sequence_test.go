package stream

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// value is the number by the layout, told in another way than words does.
func value(n SequenceNumber) *big.Int {
	v := big.NewInt(2)
	for _, f := range []struct {
		bits uint
		v    uint64
	}{{36, n.Epoch}, {64, n.Seq}, {32, uint64(n.Idx)}, {16, 0}, {32, uint64(n.Shard)}, {4, 2}} {
		v.Lsh(v, f.bits)
		v.Or(v, new(big.Int).SetUint64(f.v))
	}
	return v
}

func numbers() *rapid.Generator[SequenceNumber] {
	return rapid.Custom(func(t *rapid.T) SequenceNumber {
		return SequenceNumber{rapid.Uint64Range(0, 1<<36-1).Draw(t, "epoch"), rapid.Uint64().Draw(t, "seq"), rapid.Uint32().Draw(t, "idx"), rapid.Uint32().Draw(t, "shard")}
	})
}

func TestSequenceNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		s := a.String()
		if want := value(a).String(); s != want || len(s) != 56 || s[0] < '4' {
			t.Fatalf("%+v is %s, want %s", a, s, want)
		}
		if back, ok := ParseSequenceNumber(s); !ok || back != a {
			t.Fatalf("%s reads as %+v, %v; want %+v", s, back, ok, a)
		}
		if got, want := a.Less(b), value(a).Cmp(value(b)) < 0; got != want {
			t.Fatalf("%v < %v is %v", a, b, got)
		}
	})
}

func FuzzParseSequenceNumber(f *testing.F) {
	f.Add("49590338271490256608559692538361571095921575989136588898")
	f.Add("0")
	f.Add("99999999999999999999999999999999999999999999999999999999")
	f.Add(SequenceNumber{Epoch: 1, Seq: 2, Shard: 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := ParseSequenceNumber(s); ok && n.String() != s {
			t.Errorf("%q reads as %+v, which is %s", s, n, n)
		}
	})
}

func BenchmarkSequenceNumber(b *testing.B) {
	n, buf := SequenceNumber{Epoch: 1_760_000_000, Seq: 1234567, Idx: 12, Shard: 3}, make([]byte, 0, 64)
	for b.Loop() {
		n.Append(buf)
	}
}
