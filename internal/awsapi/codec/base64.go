package codec

import (
	"encoding/base64"
	"reflect"
	"slices"
)

func appendBase64(b, data []byte) []byte {
	return base64.StdEncoding.AppendEncode(b, data)
}

// setBase64 fills the bytes v from text, padded or not.
func setBase64(v reflect.Value, s string) error {
	enc := base64.StdEncoding
	if len(s)%4 != 0 {
		enc = base64.RawStdEncoding
	}
	data, err := enc.DecodeString(s)
	if err != nil {
		return wrongType("A blob is not valid base64", "Blob")
	}
	if data == nil {
		data = []byte{}
	}
	v.SetBytes(slices.Clip(data))
	return nil
}
