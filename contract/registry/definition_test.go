package registry

import (
	"testing"

	"github.com/dhowhq/dhow/contract"
)

// Whatever a text is, it has one normal form, packs and unpacks, and differs
// from itself in nothing.
func FuzzDefinition(f *testing.F) {
	for _, s := range []string{avro("id", `"semver": "1.0.0",`), `{"semver": 1}`, `"int"`, `{"a": 1e400, "b": {}}`, "// dhow:semver 1.2.3\nmessage A {}\n", "{", "[1,2", "\x00\xff", `{"a":1} x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []contract.Format{contract.Avro, contract.Protobuf} {
			once := normal(format, text)
			if twice := normal(format, once); twice != once {
				t.Errorf("the normal form of %q is %q, and of that %q", text, once, twice)
			}
			Definition{Text: text}.declared(format)
			v := Version{Format: format, Packed: pack(text)}
			if v.Text() != text {
				t.Errorf("%q is kept as %q", text, v.Text())
			}
			if diff, err := Diff(v, v); err == nil && format == contract.Avro && diff != "[]" {
				t.Errorf("%q differs from itself in %s", text, diff)
			}
		}
	})
}
