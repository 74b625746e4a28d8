package stream

import (
	"math"
	"math/bits"
)

// SequenceNumber names a place in a shard: numbers of a shard rise in the order
// of its records, and those of a child are above its parents'. Its decimal form
// has the 56 digits of AWS's.
//
// As AWS's it is 188 bits long: a 2, the second in which the shard was made, the
// number of the record, the shard, and the version 2.
type SequenceNumber struct {
	Epoch uint64 // of the shard: unix seconds, 36 bits
	Seq   uint64 // of the journal's record
	Idx   uint32 // within that
	Shard uint32
}

// endSeq is the number's part for the end of a closed shard.
const endSeq = math.MaxInt64

// 10^19 is the largest power of ten in 64 bits.
const tenTo19 = 1e19

func (n SequenceNumber) words() (hi, mid, lo uint64) {
	return 2<<56 | (n.Epoch&(1<<36-1))<<20 | n.Seq>>44,
		n.Seq<<20 | uint64(n.Idx)>>12,
		uint64(n.Idx)<<52 | uint64(n.Shard)<<4 | 2
}

// Append appends the decimal form to b.
func (n SequenceNumber) Append(b []byte) []byte {
	hi, mid, lo := n.words()
	var parts [3]uint64 // to the base 10^19, the least first
	for i := range parts {
		var r uint64
		hi, r = hi/tenTo19, hi%tenTo19
		mid, r = bits.Div64(r, mid, tenTo19)
		lo, parts[i] = bits.Div64(r, lo, tenTo19)
	}
	var digits [57]byte
	for i, p := range parts {
		for j := 56 - 19*i; j > 37-19*i; j-- {
			digits[j] = '0' + byte(p%10)
			p /= 10
		}
	}
	return append(b, digits[1:]...) // a number that begins with a 2 of 188 bits has 56
}

func (n SequenceNumber) String() string { return string(n.Append(make([]byte, 0, 56))) }

// ParseSequenceNumber reads the decimal form; ok is false for what String never
// returns.
func ParseSequenceNumber(s string) (n SequenceNumber, ok bool) {
	if len(s) != 56 {
		return n, false
	}
	var hi, mid, lo uint64
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if d > 9 {
			return n, false
		}
		var c, c2 uint64
		c, lo = bits.Mul64(lo, 10)
		lo, c2 = bits.Add64(lo, d, 0)
		c += c2
		var m uint64
		m, mid = bits.Mul64(mid, 10)
		mid, c2 = bits.Add64(mid, c, 0)
		hi = hi*10 + m + c2
	}
	n = SequenceNumber{
		Epoch: hi >> 20 & (1<<36 - 1),
		Seq:   hi<<44 | mid>>20,
		Idx:   uint32(mid<<12 | lo>>52),
		Shard: uint32(lo >> 4),
	}
	h, m, l := n.words()
	return n, h == hi && m == mid && l == lo
}

// Less orders the numbers of a stream.
func (n SequenceNumber) Less(o SequenceNumber) bool {
	nh, nm, nl := n.words()
	oh, om, ol := o.words()
	if nh != oh {
		return nh < oh
	}
	if nm != om {
		return nm < om
	}
	return nl < ol
}
