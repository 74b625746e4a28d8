package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const someUUID = "b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63"

func uuid(t testing.TB) UUID {
	t.Helper()
	u, err := ParseUUID(someUUID)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestHeaders(t *testing.T) {
	for _, tt := range []struct {
		ref  Reference
		want string
	}{
		{Reference{Form: Glue, UUID: uuid(t)}, "0300b7b4a7f09c964e4aa687fb5de9ef0c63"},
		{Reference{Form: Confluent, ID: 1337}, "0000000539"},
		{Reference{Form: Confluent, ID: 1<<32 - 1}, "00ffffffff"},
		{Reference{Form: SingleObject, Fingerprint: 0x0807060504030201}, "c3010102030405060708"},
		{Reference{Form: Named, Name: "shop/order", Version: "1.2.0"}, ""},
		{Reference{}, ""},
	} {
		got := tt.ref.AppendHeader(nil)
		if hex.EncodeToString(got) != tt.want || len(got) != tt.ref.HeaderLen() {
			t.Errorf("%s: %x (HeaderLen %d), want %s", tt.ref, got, tt.ref.HeaderLen(), tt.want)
		}
		if tt.want == "" {
			continue
		}
		h, rest, err := SplitHeader(append(got, "payload"...))
		if err != nil || h.Reference != tt.ref || h.Zlib || string(rest) != "payload" {
			t.Errorf("%s comes back as %+v, %q, %v", tt.ref, h, rest, err)
		}
		for n := 2; n < len(got); n++ {
			var cut *TruncatedError
			if _, _, err := SplitHeader(got[:n]); !errors.As(err, &cut) || cut.Form != tt.ref.Form || cut.Have != n || cut.Want != len(got) {
				t.Errorf("%d bytes of %s: %v", n, tt.ref, err)
			}
		}
	}
}

func TestUUID(t *testing.T) {
	for _, bad := range []string{"", someUUID[1:], someUUID + "0", strings.ReplaceAll(someUUID, "-", ""), strings.ReplaceAll(someUUID, "b", "g"),
		"b7b4a7f0_9c96_4e4a_a687_fb5de9ef0c63", "b7b4a7f-09c96-4e4a-a687-fb5de9ef0c63"} {
		if _, err := ParseUUID(bad); !errors.Is(err, ErrUUID) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if u := uuid(t); u.String() != someUUID {
		t.Error(u)
	}
	if u, err := ParseUUID(strings.ToUpper(someUUID)); err != nil || u != uuid(t) {
		t.Error(u, err)
	}
}

func TestHeadersDoNotAllocate(t *testing.T) {
	refs := []Reference{{Form: Glue, UUID: uuid(t)}, {Form: Confluent, ID: 7}, {Form: SingleObject, Fingerprint: 9}}
	buf := make([]byte, 0, 64)
	for _, r := range refs {
		if n := testing.AllocsPerRun(100, func() {
			h, _, err := SplitHeader(r.AppendHeader(buf[:0]))
			if err != nil || h.Reference != r {
				t.Fatal(h, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", r, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if d, err := (Decoder{}).Decode(Message{Body: r.AppendHeader(buf[:0])}); err != nil || d.Reference != r {
				t.Fatal(d, err)
			}
		}); n != 0 {
			t.Errorf("%s, through the decoder: %v allocations", r, n)
		}
	}
}

func TestIndexes(t *testing.T) {
	for _, tt := range []struct {
		indexes []int
		want    string
	}{{[]int{0}, "00"}, {[]int{1}, "0202"}, {[]int{1, 0}, "040200"}, {[]int{2, 300}, "0404d804"}} {
		got := AppendIndexes(nil, tt.indexes...)
		if hex.EncodeToString(got) != tt.want {
			t.Errorf("%v: %x, want %s", tt.indexes, got, tt.want)
		}
		back, rest, err := SplitIndexes(nil, append(got, "x"...))
		if err != nil || string(rest) != "x" || len(back) != len(tt.indexes) || back[len(back)-1] != tt.indexes[len(back)-1] {
			t.Errorf("%v comes back as %v, %q, %v", tt.indexes, back, rest, err)
		}
	}
	if got, _, err := SplitIndexes(nil, []byte{2, 0}); err != nil || len(got) != 1 || got[0] != 0 {
		t.Errorf("the long form of {0}: %v, %v", got, err)
	}
	for _, bad := range []string{"", "01", "04", "0402", "0201", "feffffffffffffffff01", "02feffffffffffffffff01", "ffffffffffffffffffffff"} {
		b, _ := hex.DecodeString(bad)
		if got, _, err := SplitIndexes(nil, b); !errors.Is(err, ErrIndexes) {
			t.Errorf("%s: %v, %v", bad, got, err)
		}
	}
	dst := make([]int, 0, 8)
	in := AppendIndexes(nil, 3, 1)
	if n := testing.AllocsPerRun(100, func() { SplitIndexes(dst, in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestZlib(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		data := AppendZlib([]byte{}, uuidOf(t), payload)
		got, err := Decoder{Limit: max(1, len(payload))}.Decode(Message{Body: data})
		if err != nil || !bytes.Equal(got.Payload, payload) || got.Form != Glue {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func uuidOf(t *rapid.T) (u UUID) {
	copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
	return u
}

func TestZlibBomb(t *testing.T) {
	bomb := AppendZlib(nil, uuid(t), make([]byte, 64<<20))
	var large *LimitError
	if _, err := (Decoder{}).Decode(Message{Body: bomb}); !errors.As(err, &large) || large.Limit != DefaultLimit {
		t.Errorf("%d bytes that inflate to 64 MiB: %v", len(bomb), err)
	}
	if per := testing.AllocsPerRun(3, func() { Inflate(nil, bomb[GlueHeader:], 1000) }); per > 100 {
		t.Errorf("a refusal at 1,000 bytes takes %v allocations", per)
	}
	exact := AppendZlib(nil, uuid(t), make([]byte, 1000))
	if _, err := (Decoder{Limit: 1000}).Decode(Message{Body: exact}); err != nil {
		t.Error(err)
	}
	if _, err := (Decoder{Limit: 999}).Decode(Message{Body: exact}); !errors.As(err, &large) {
		t.Error(err)
	}
	for name, bad := range map[string][]byte{
		"not zlib": exact[:GlueHeader+1], "damaged": exact[:len(exact)-3], "follow": append(bytes.Clone(exact), 1),
	} {
		if _, err := (Decoder{}).Decode(Message{Body: bad}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
