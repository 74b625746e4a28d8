package registry

import (
	"fmt"
	"testing"

	"github.com/dhowhq/dhow/contract"
)

// TestManyReferences: what a definition refers to is held by one transaction of
// the store's, which is bounded.
func TestManyReferences(t *testing.T) {
	f := newFixture(t, contract.None)
	var list []Reference
	for i := range maxHeld + 1 {
		name := fmt.Sprint("R", i)
		s := Schema{Scope: here, Registry: "shop", Name: name, Format: contract.Avro, Level: contract.None}
		_, _, err := f.CreateSchema(f.ctx, s, &Definition{Text: fmt.Sprintf(`{"type":"record","name":%q,"fields":[]}`, name)})
		f.must(err)
		list = append(list, Reference{Name: name, Subject: name, Version: 1})
	}
	_, _, err := f.Register(f.ctx, f.name, Definition{Text: avro("id"), References: list})
	f.is(err, ErrReference)
	_, _, err = f.Register(f.ctx, f.name, Definition{Text: avro("id"), References: list[1:]})
	f.must(err)
}
