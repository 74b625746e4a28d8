package store

import (
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// FuzzRow reads keys and values as others may have left them in etcd: they are
// a row of a known table that can be read back, an error, or nothing of ours.
func FuzzRow(f *testing.F) {
	f.Add("bench.items/a", `{"ID":"a","Port":"aden"}`)
	f.Add("bench.items/", `{}`)
	f.Add("bench.items/a\x00b", `null`)
	f.Add("other/a", `{"ID":7}`)
	f.Add(".clock", "id/1")
	f.Add("", "")
	db := &DB{prefix: "/p/", clockKey: "/p/.clock", tables: declared(), byName: map[string]*def{}}
	for _, d := range db.tables {
		db.byName[d.name] = d
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		s, l := newState(db.tables), &loaded{rows: make([][]*row, len(db.tables))}
		l.err = db.decode(l, nil, []*mvccpb.KeyValue{{Key: []byte(db.prefix + key), Value: []byte(value), ModRevision: 7}})
		err := s.fill(db.tables, []*loaded{l})
		d, name := db.parse([]byte(db.prefix + key))
		switch {
		case err != nil && d == nil:
			t.Errorf("a key that is not ours fails: %v", err)
		case d != nil && err == nil && s.get(d, name).rev != 7:
			t.Error("the row is not there")
		case d == nil && items.Len(s) > 0:
			t.Error("a row of no table")
		}
	})
}
