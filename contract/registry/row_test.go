package registry

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
)

// plain is a version as package json has it.
type plain Version

// Rows read as package json reads them, the common ones by the short way.
func TestRow(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "a", "1.0.0", `q"uote`, "back\\slash", "<é>", "a,b}"})
	rapid.Check(t, func(t *rapid.T) {
		v := Version{
			Scope: cluster.Scope{Account: "123456789012", Region: text.Draw(t, "region")}, Registry: text.Draw(t, "registry"), Name: text.Draw(t, "name"),
			Number: rapid.Int64().Draw(t, "number"), ID: text.Draw(t, "id"), SchemaID: rapid.Int().Draw(t, "schema id"),
			Status: Status(text.Draw(t, "status")), Format: contract.Format(text.Draw(t, "format")), Packed: rapid.SliceOf(rapid.Byte()).Draw(t, "packed"),
			Digest: text.Draw(t, "digest"), Semver: text.Draw(t, "semver"), Smallest: text.Draw(t, "smallest"), Declared: rapid.Bool().Draw(t, "declared"),
			Failure: text.Draw(t, "failure"), Deleted: rapid.Bool().Draw(t, "deleted"),
			Created: time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "created"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanos")).UTC(),
		}
		if rapid.Bool().Draw(t, "more") {
			v.References, v.Metadata = []Reference{{"a", "b", 1}}, []Pair{{"k", "v", v.Created}}
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		reads(t, data)
	})
}

// reads compares both ways of reading a row.
func reads(t interface{ Fatalf(string, ...any) }, data []byte) {
	var got Version
	var want plain
	gotErr, wantErr := got.UnmarshalJSON(data), json.Unmarshal(data, &want)
	if !json.Valid(data) {
		return
	}
	if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !reflect.DeepEqual(plain(got), want) {
		t.Fatalf("%s is %+v, %v\nwant %+v, %v", data, got, gotErr, want, wantErr)
	}
}

// The short way takes what versions are ordinarily.
func TestScan(t *testing.T) {
	v := Version{Scope: here, Registry: "shop", Name: "order", Number: 7, ID: cluster.NewUUID(), SchemaID: 77, Status: Available, Format: contract.Avro,
		Packed: pack("text"), Digest: "digest", Semver: "1.7.0", Declared: true, Created: time.Now().UTC()}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got Version
	if !got.scan(data) || !reflect.DeepEqual(got, v) {
		t.Errorf("%s is %+v", data, got)
	}
}

func FuzzRow(f *testing.F) {
	for _, s := range []string{`{}`, `{"Number":1}`, `{"Number":01}`, `{"ID":"a","Name":"b"}`, `{"Name":"a\u0020b"}`, `{"Declared":false}`, `{"Number":1.5}`,
		`{"Packed":"AA=="}`, `{"Packed":"AA="}`, `{"Created":"2026-11-27T05:05:50.64214941Z"}`, `{"id":"x"}`, `null`, `{"ID":null}`, `{ "ID" : "x" }`, `{"Name":"}","ID":","}`, `{"Metadata":[{"Key":"}"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { reads(t, data) })
}
