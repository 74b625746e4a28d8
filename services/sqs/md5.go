package sqs

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"unsafe"

	"github.com/dhowhq/dhow/queue"
)

func md5Of(s string) string {
	sum := md5.Sum(unsafe.Slice(unsafe.StringData(s), len(s))) // read only: no copy of a MiB
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is the digest of the developer guide's "Calculating the MD5
// message digest for message attributes", "" of none.
func md5OfAttributes(attributes map[string]queue.Attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	part := func(s string) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		part(name)
		part(a.Type)
		if a.Type == "Binary" || len(a.Type) > 6 && a.Type[:7] == "Binary." {
			b = append(b, 2)
			part(string(a.Binary))
		} else {
			b = append(b, 1)
			part(a.String)
		}
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func md5OfTrace(trace string) string {
	if trace == "" {
		return ""
	}
	return md5OfAttributes(map[string]queue.Attribute{"AWSTraceHeader": {Type: "String", String: trace}})
}
