package avro

import (
	"errors"
	"testing"

	"github.com/dhowhq/dhow/contract/wire"
)

// FuzzDecode holds that whatever comes is read or refused, and that what is read
// as written with a version can be written with it again.
func FuzzDecode(f *testing.F) {
	src := orders(f)
	c := must(NewConsumer[Order](f.Context(), src, "shop/order@1.1.0"))
	p := must(NewProducer[Order](f.Context(), src, "shop/order@1.1.0"))
	in := anOrder()
	for _, form := range []wire.Form{wire.Glue, wire.Confluent, wire.SingleObject} {
		f.Add(must(must(NewProducer[Order](f.Context(), src, "shop/order@1.1.0", WithForm(form))).Encode(&in)))
	}
	f.Add(must(p.Detail(&in)))
	f.Add(must(must(NewProducer[Order](f.Context(), src, "shop/order@1.1.0", WithZlib())).Encode(&in)))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := c.Decode(t.Context(), data)
		if err != nil {
			var why *Invalid
			if errors.As(err, &why) && (why.Path == "" || why.Detail == "") {
				t.Fatalf("%#v", why)
			}
			return
		}
		again, err := p.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := c.Decode(t.Context(), again); err != nil || w.String() != v.String() {
			t.Fatalf("%s comes back as %s, %v", v, w, err)
		}
	})
}
