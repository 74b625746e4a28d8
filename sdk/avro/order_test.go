package avro

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/dhowhq/dhow/contract/wire"
)

// Three versions of a schema: 1.1.0 adds a field, 2.0.0 takes one away.
const (
	order10 = `{"type":"record","name":"Order","namespace":"shop","fields":[
  {"name":"id","type":"string"},
  {"name":"total","type":"long"},
  {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
    {"name":"sku","type":"string"},{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["GOODS","SERVICE"]}}]}}}]}`
	order11 = `{"type":"record","name":"Order","namespace":"shop","fields":[
  {"name":"id","type":"string"},
  {"name":"total","type":"long"},
  {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
    {"name":"sku","type":"string"},{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["GOODS","SERVICE"]}}]}}},
  {"name":"note","type":["null","string"],"default":null}]}`
	order20 = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"string"}]}`
)

type Order10 struct {
	ID    string `avro:"id"`
	Total int64  `avro:"total"`
	Lines []Line `avro:"lines"`
}

type Order struct {
	ID    string  `avro:"id"`
	Total int64   `avro:"total"`
	Lines []Line  `avro:"lines"`
	Note  *string `avro:"note"`
}

type Line struct {
	SKU  string `avro:"sku"`
	Kind string `avro:"kind"`
}

func anOrder() Order {
	note := "gift"
	return Order{ID: "o-1", Total: 4200, Lines: []Line{{"apple", "GOODS"}, {"wrapping", "SERVICE"}}, Note: &note}
}

func (o *Order) String() string {
	if o == nil {
		return "nothing"
	}
	note := "none"
	if o.Note != nil {
		note = *o.Note
	}
	return fmt.Sprint(o.ID, o.Total, o.Lines, note)
}

func newUUID() (u wire.UUID) {
	rand.Read(u[:])
	return u
}

// lockOf is a lock in memory.
func lockOf(t testing.TB, versions ...*Version) *Lock {
	t.Helper()
	l := &Lock{}
	for _, v := range versions {
		v, err := parse(v)
		if err != nil {
			t.Fatal(err)
		}
		l.versions = append(l.versions, v)
	}
	return l
}

func orders(t testing.TB) *Lock {
	return lockOf(t,
		&Version{Name: "shop/order", Version: "1.0.0", UUID: wire.UUID{1, 0}, ID: 10, Definition: order10},
		&Version{Name: "shop/order", Version: "1.1.0", UUID: wire.UUID{1, 1}, ID: 11, Definition: order11},
		&Version{Name: "shop/order", Version: "2.0.0", UUID: wire.UUID{2, 0}, ID: 20, Definition: order20},
		&Version{Name: "shop/refund", Version: "1.0.0", UUID: wire.UUID{9}, ID: 90, Definition: `{"type":"record","name":"Refund","fields":[]}`},
	)
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}
