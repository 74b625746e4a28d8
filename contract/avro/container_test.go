package avro

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

// container writes a container file of n orders.
func container(t testing.TB, n int, opts ...ocf.WriterOpt) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := ocf.NewWriter(&b, twmb.MustParse(order), opts...)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if _, err := twmb.MustParse(order).Decode(orderBytes(t), &v); err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := w.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readAll is how many data a container has, and what ended them.
func readAll(data []byte) (n int, err error) {
	c, err := OpenContainer("orders.avro", bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for ; ; n++ {
		if _, err := c.Next(); err != nil {
			return n, err
		}
	}
}

func TestContainerCodecs(t *testing.T) {
	zstd, err := ocf.ZstdCodec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]ocf.Codec{"deflate": ocf.DeflateCodec(6), "snappy": ocf.SnappyCodec(), "zstandard": zstd} {
		if n, err := readAll(container(t, 1000, ocf.WithCodec(c))); n != 1000 || !errors.Is(err, io.EOF) {
			t.Errorf("%s: %d data, %v", name, n, err)
		}
	}
}

func TestContainerRefuses(t *testing.T) {
	good := container(t, 3)
	end := len(good) - 1
	bomb := func() []byte { // a block that unpacks to 128 MiB of zeros
		packed, err := ocf.DeflateCodec(1).Compress(make([]byte, 2*maxBlock))
		if err != nil {
			t.Fatal(err)
		}
		sync := "0123456789abcdef"
		return parts("Obj\x01", 2, 11, "avro.schema", 7, `"bytes"`, 10, "avro.codec", 7, "deflate", 0, sync, 1, len(packed), packed, sync)
	}
	header := func(schema, codec string) []byte {
		return parts("Obj\x01", 2, 11, "avro.schema", len(schema), schema, 10, "avro.codec", len(codec), codec, 0, "0123456789abcdef")
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no container":     {[]byte("PK\x03\x04"), "not an Avro container file"},
		"empty":            {nil, "not an Avro container file"},
		"cut in header":    {good[:40], "the container ends within its header"},
		"cut in block":     {good[:end], "the container ends within block 1"},
		"sync":             {append(bytes.Clone(good[:end]), good[end]^1), "block 1 does not end with the container's sync marker"},
		"codec":            {header(`"int"`, "xz"), `the blocks are packed by "xz"; null, deflate, snappy and zstandard can be read`},
		"schema":           {header("\n\"foo\"", "null"), "orders.avro:2: there is no type foo"},
		"header of 2^62":   {parts("Obj\x01", 1<<62), "the container ends within its header"},
		"key of 2^62":      {parts("Obj\x01", 1, 1<<62), "larger than what is read"},
		"block of 2^62":    {parts(header(`"int"`, "null"), 1, 1<<62), "larger than what is read"},
		"2^62 data":        {parts(header(`"int"`, "null"), 1<<62, 1, 2, "0123456789abcdef"), "block 1 claims 4611686018427387904 data and has 1 bytes"},
		"2^62 nulls":       {parts(header(`"null"`, "null"), 1<<62, 0, "0123456789abcdef"), "block 1 claims 4611686018427387904 data and has 0 bytes"},
		"left over":        {parts(header(`"int"`, "null"), 1, 2, 1, 1, "0123456789abcdef"), "1 bytes are left over in block 1"},
		"bad datum":        {parts(header(`"boolean"`, "null"), 1, 1, 1, "0123456789abcdef"), "a boolean is the byte 0 or 1, not 2"},
		"packed badly":     {parts(header(`"int"`, "zstandard"), 1, 1, 1, "0123456789abcdef"), "block 1 cannot be unpacked"},
		"128 MiB of zeros": {bomb(), "block 1 cannot be unpacked"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readAll(c.data)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4*maxBlock {
			t.Errorf("%s took %d bytes of memory", name, grown)
		}
	}
}

func FuzzContainer(f *testing.F) {
	f.Add(container(f, 3))
	f.Add(container(f, 3, ocf.WithCodec(ocf.SnappyCodec())))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := readAll(data); err == nil {
			t.Fatal("a container has no end")
		}
	})
}
