package kinesis

import (
	"bytes"
	"crypto/md5"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// aggregate is what the Kinesis Producer Library makes of records.
func aggregate(records ...string) []byte {
	m := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "key") // partition_key_table
	for _, r := range records {
		one := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0) // partition_key_index
		one = protowire.AppendString(protowire.AppendTag(one, 3, protowire.BytesType), r)
		m = protowire.AppendBytes(protowire.AppendTag(m, 3, protowire.BytesType), one)
	}
	sum := md5.Sum(m)
	return slices.Concat(aggregated, m, sum[:])
}

func TestSplit(t *testing.T) {
	whole := aggregate("a", "", "b")
	if got := split(whole); len(got) != 3 || string(got[0]) != "a" || len(got[1]) != 0 || string(got[2]) != "b" {
		t.Errorf("split into %q", got)
	}
	damaged := bytes.Clone(whole)
	damaged[6]++
	for _, data := range [][]byte{nil, []byte("a"), aggregated, damaged, whole[:len(whole)-1], aggregate()} {
		if got := split(data); len(got) != 1 || !bytes.Equal(got[0], data) {
			t.Errorf("%q is split into %q", data, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(aggregate("a", "b")[4:])
	f.Fuzz(func(t *testing.T, message []byte) {
		sum := md5.Sum(message)
		for _, one := range split(slices.Concat(aggregated, message, sum[:])) {
			if len(one) > len(message)+len(aggregated)+md5.Size {
				t.Errorf("a record of %d bytes in %d", len(one), len(message))
			}
		}
	})
}
