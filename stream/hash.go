package stream

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// HashKey is a place on the circle of 2^128 keys that the shards share out.
type HashKey struct{ Hi, Lo uint64 }

// maxHash is the last key.
var maxHash = HashKey{math.MaxUint64, math.MaxUint64}

// HashOf is the key of a partition key: its MD5, as AWS says.
func HashOf(partitionKey string) HashKey {
	sum := md5.Sum([]byte(partitionKey))
	return HashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// Less orders keys.
func (k HashKey) Less(o HashKey) bool { return k.Hi < o.Hi || k.Hi == o.Hi && k.Lo < o.Lo }

func (k HashKey) add(n uint64) HashKey {
	lo, carry := bits.Add64(k.Lo, n, 0)
	return HashKey{k.Hi + carry, lo}
}

func (k HashKey) prev() HashKey {
	lo, borrow := bits.Sub64(k.Lo, 1, 0)
	return HashKey{k.Hi - borrow, lo}
}

func (k HashKey) big() *big.Int {
	n := new(big.Int).SetUint64(k.Hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(k.Lo))
}

// String is the decimal form.
func (k HashKey) String() string { return k.big().String() }

// MarshalText is String, for rows.
func (k HashKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *HashKey) UnmarshalText(b []byte) (err error) {
	*k, err = ParseHashKey(string(b))
	return err
}

// ParseHashKey reads the decimal form of a key.
func ParseHashKey(s string) (HashKey, error) {
	n, ok := new(big.Int).SetString(s, 10)
	if len(s) > 39 || !ok || n.Sign() < 0 || n.BitLen() > 128 {
		return HashKey{}, fmt.Errorf("%.50q is not a hash key: a decimal number below 2^128", s)
	}
	return HashKey{new(big.Int).Rsh(n, 64).Uint64(), n.Uint64()}, nil
}

// even returns where n shards of even ranges begin: i·⌊2^128/n⌋, as AWS has it.
func even(n int) []HashKey {
	step := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(n)))
	out := make([]HashKey, n)
	for i := range out {
		b := new(big.Int).Mul(step, big.NewInt(int64(i)))
		out[i] = HashKey{new(big.Int).Rsh(b, 64).Uint64(), b.Uint64()}
	}
	return out
}
