package stream

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/journal"
)

func TestChunks(t *testing.T) {
	a, err := sealer(bytes.Repeat([]byte{7}, 32))
	must(t, err)
	rapid.Check(t, func(t *rapid.T) {
		var entries []*Entry
		for range rapid.IntRange(0, 20).Draw(t, "entries") {
			entries = append(entries, &Entry{PartitionKey: rapid.String().Draw(t, "key"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")})
		}
		key := a
		if rapid.Bool().Draw(t, "plain") {
			key = nil
		}
		chunk := appendChunk(nil, 12345, "log", key, entries)
		flags, arrival, err := head(chunk)
		if err != nil || arrival != 12345 || (flags&flagSealed != 0) != (key != nil) {
			t.Fatalf("head is %d, %d, %v", flags, arrival, err)
		}
		body, err := openBody(flags, chunk[chunkHead:], "log", a)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = eachEntry(body, func(i int, key string, data []byte) bool {
			if i != n || key != entries[i].PartitionKey || !bytes.Equal(data, entries[i].Data) {
				t.Fatalf("entry %d is %q %q", i, key, data)
			}
			n++
			return true
		})
		if err != nil || n != len(entries) {
			t.Fatalf("%d entries, %v; want %d", n, err, len(entries))
		}
	})
}

func TestSealedChunksOpenInNoOtherLog(t *testing.T) {
	a, err := sealer(bytes.Repeat([]byte{7}, 32))
	must(t, err)
	chunk := appendChunk(nil, 1, "log", a, []*Entry{{PartitionKey: "key", Data: []byte("secret data")}})
	if bytes.Contains(chunk, []byte("secret")) || bytes.Contains(chunk, []byte("key")) {
		t.Error("a sealed chunk can be read")
	}
	if _, err := openBody(flagSealed, chunk[chunkHead:], "other", a); !errors.Is(err, errChunk) {
		t.Errorf("in another log: %v", err)
	}
	if _, err := openBody(flagSealed, chunk[chunkHead:], "log", nil); err == nil {
		t.Error("opened without the key")
	}
}

func FuzzChunk(f *testing.F) {
	f.Add(appendBody(nil, []*Entry{{PartitionKey: "k", Data: []byte("d")}}))
	f.Add(list(putHead(nil, 0, 1), []journal.Seq{1, 2})[chunkHead:])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, body []byte) {
		n := 0
		eachEntry(body, func(_ int, key string, data []byte) bool {
			n += len(key) + len(data)
			return true
		})
		if n > len(body) {
			t.Errorf("%d bytes of entries in a body of %d", n, len(body))
		}
		if seqs, err := listed(body); err == nil && len(seqs) > len(body) {
			t.Errorf("%d parts in a list of %d bytes", len(seqs), len(body))
		}
	})
}
