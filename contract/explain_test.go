package contract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract/verdict"
)

// TestExplainAvro has the sentence for each kind and both directions, from real pairs.
func TestExplainAvro(t *testing.T) {
	fixed := `{"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": %d}}`
	decimal := `{"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": %d, "scale": 2}}`
	enum := func(symbols, rest string) string { return fmt.Sprintf(color, symbols, rest) }
	for _, c := range []struct {
		name     string
		level    Level
		old, new string
		want     []string
	}{
		{"removed", Forward, orderWith(bare), orderWith(), []string{
			"field `total` (order.avsc:3) was removed and has no default: readers on 1.3.0 cannot read it; give it a default in 1.4.0 first"}},
		{"added", Backward, orderWith(), orderWith(bare), []string{
			"field `total` (order.avsc:3) is new and has no default: the new version cannot read what 1.3.0 wrote; give it a default"}},
		{"type", Full, orderWith(bare), orderWith(`{"name": "total", "type": "string"}`), []string{
			"field `total` (order.avsc:3) changed its type: long cannot be read as string, so the new version cannot read what 1.3.0 wrote; keep the type, and add a field of another name for the new one",
			"field `total` (order.avsc:3) changed its type: string cannot be read as long, so readers on 1.3.0 cannot read it; keep the type, and add a field of another name for the new one"}},
		{"root", Full, `"int"`, `"string"`, []string{
			"the message (order.avsc:1) changed its type: int cannot be read as string, so the new version cannot read what 1.3.0 wrote; keep the type, and add a field of another name for the new one",
			"the message (order.avsc:1) changed its type: string cannot be read as int, so readers on 1.3.0 cannot read it; keep the type, and add a field of another name for the new one"}},
		{"name", Full, orderWith(), strings.Replace(orderWith(), "shop.Order", "shop.Bill", 1), []string{
			"`Bill` (order.avsc:1) changed a name: record shop.Order cannot be read as record shop.Bill: the names differ, and no alias joins them, so the new version cannot read what 1.3.0 wrote; keep the old name, or make it an alias of the new one",
			"`Order` (order.avsc:1) changed a name: record shop.Bill cannot be read as record shop.Order: the names differ, and no alias joins them, so readers on 1.3.0 cannot read it; keep the old name, or make the new one an alias of it in 1.4.0 first"}},
		{"symbol", Full, orderWith(enum(`"RED"`, "")), orderWith(enum(`"BLUE"`, "")), []string{
			"field `color` (order.avsc:3) lost a symbol: symbol RED is not in the reader's enum shop.Color, which has no default, so the new version cannot read what 1.3.0 wrote; keep the symbol, or give the enum a default",
			"field `color` (order.avsc:3) has a new symbol: symbol BLUE is not in the reader's enum shop.Color, which has no default, so readers on 1.3.0 cannot read it; give the enum a default in 1.4.0 first"}},
		{"branch", Full, orderWith(`{"name": "note", "type": ["null", "string"]}`), orderWith(`{"name": "note", "type": ["null", "int"]}`), []string{
			"field `note` (order.avsc:3) takes fewer types: string, which the writer may send, cannot be read as union [null, int], so the new version cannot read what 1.3.0 wrote; keep the type in the union",
			"field `note` (order.avsc:3) takes more types: int, which the writer may send, cannot be read as union [null, string], so readers on 1.3.0 cannot read it; keep the union, and add a field of another name for the new type"}},
		{"size", Full, orderWith(fmt.Sprintf(fixed, 16)), orderWith(fmt.Sprintf(fixed, 20)), []string{
			"field `hash` (order.avsc:3) changed its size: fixed shop.Hash has 16 bytes and cannot be read as 20 bytes, so the new version cannot read what 1.3.0 wrote; keep the size, and add a field of another name for the new one",
			"field `hash` (order.avsc:3) changed its size: fixed shop.Hash has 20 bytes and cannot be read as 16 bytes, so readers on 1.3.0 cannot read it; keep the size, and add a field of another name for the new one"}},
		{"logical", Full, orderWith(fmt.Sprintf(decimal, 10)), orderWith(fmt.Sprintf(decimal, 12)), []string{
			"field `price` (order.avsc:3) changed its logical type: decimal(10,2) cannot be read as decimal(12,2): precision and scale have to be the same, so the new version cannot read what 1.3.0 wrote; keep precision and scale, and add a field of another name for the new ones",
			"field `price` (order.avsc:3) changed its logical type: decimal(12,2) cannot be read as decimal(10,2): precision and scale have to be the same, so readers on 1.3.0 cannot read it; keep precision and scale, and add a field of another name for the new ones"}},
	} {
		breaks := Check(c.level, schema(t, c.new), []Version{{"1.3.0", schema(t, c.old)}})
		if len(breaks) != len(c.want) {
			t.Errorf("%s: %d breaks, want %d: %v", c.name, len(breaks), len(c.want), breaks)
			continue
		}
		for i, b := range breaks {
			if got := b.Explain("1.4.0"); got != c.want[i] {
				t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want[i])
			}
		}
	}
}

// TestExplainOthers has those of the other languages, from real pairs.
func TestExplainOthers(t *testing.T) {
	parse := func(f Format, text string) Schema {
		t.Helper()
		s, err := Parse(Source{Format: f, File: map[Format]string{JSON: "order.json", Protobuf: "order.proto"}[f], Text: text})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	json := func(properties, rest string) string {
		return "{\"type\":\"object\",\n\"properties\":{" + properties + "}" + rest + "}"
	}
	proto := func(body string) string { return "syntax = \"proto2\";\nmessage Order {\n" + body + "}\n" }
	for _, c := range []struct {
		format         Format
		name, old, new string
		want           []string
	}{
		{JSON, "required",
			json(`"id":{},"total":{}`, `,"required":["total"]`),
			json(`"id":{},"total":{}`, `,"required":["id"]`), []string{
				"field `id` (order.json:1) became required: the reader requires it and the writer may leave it out, as in {\"total\":\"\"}, so the new version cannot read what 1.3.0 wrote; leave it out of \"required\"",
				"field `total` (order.json:1) is no longer required: the reader requires it and the writer may leave it out, as in {\"id\":\"\"}, so readers on 1.3.0 cannot read it; keep it in \"required\""}},
		{JSON, "type",
			json(`"total":{"type":"integer"}`, ""),
			json(`"total":{"type":"string"}`, ""), []string{
				"field `total` (order.json:2) changed its type: integer cannot be read as string, as in 0, so the new version cannot read what 1.3.0 wrote; keep the old type beside the new one, or add a property of another name",
				"field `total` (order.json:2) changed its type: string cannot be read as integer, as in \"\", so readers on 1.3.0 cannot read it; keep the type, and add a property of another name for the new one"}},
		{JSON, "root",
			`{"type":"string"}`,
			`{"type":"integer"}`, []string{
				"the message (order.json:1) changed its type: string cannot be read as integer, as in \"\", so the new version cannot read what 1.3.0 wrote; keep the old type beside the new one, or add a property of another name",
				"the message (order.json:1) changed its type: integer cannot be read as string, as in 0, so readers on 1.3.0 cannot read it; keep the type, and add a property of another name for the new one"}},
		{JSON, "values",
			json(`"color":{"enum":["RED","GREEN"]}`, ""),
			json(`"color":{"enum":["RED","BLUE"]}`, ""), []string{
				"field `color` (order.json:2) takes fewer values: the reader does not know \"GREEN\", it knows [\"RED\",\"BLUE\"], as in \"GREEN\", so the new version cannot read what 1.3.0 wrote; keep the values that were allowed",
				"field `color` (order.json:2) takes more values: the reader does not know \"BLUE\", it knows [\"RED\",\"GREEN\"], as in \"BLUE\", so readers on 1.3.0 cannot read it; keep to the values that readers know, and add a property of another name for new ones"}},
		{JSON, "branches",
			json(`"pay":{"type":["string","integer"]}`, ""),
			json(`"pay":{"anyOf":[{"type":"string","maxLength":2},{"type":"string","minLength":8},{"type":"integer"}]}`, ""), []string{
				"field `pay` (order.json:2) takes fewer forms: this string may match no branch of the reader's \"anyOf\", as in \"xxxxxxx\", so the new version cannot read what 1.3.0 wrote; keep a branch that takes it"}},
		{JSON, "bounds",
			json(`"total":{"type":"integer","minimum":1,"maximum":9}`, ""),
			json(`"total":{"type":"integer","minimum":0,"maximum":8}`, ""), []string{
				"field `total` (order.json:2) became stricter: the reader refuses 9, as in 9, so the new version cannot read what 1.3.0 wrote; allow what was allowed before",
				"field `total` (order.json:2) became looser: the reader refuses 0, as in 0, so readers on 1.3.0 cannot read it; keep to what was allowed before"}},
		{Protobuf, "required",
			proto("optional string id = 1;\nrequired int64 total = 2;\n"),
			proto("required string id = 1;\noptional int64 total = 2;\n"), []string{
				"field `id` (order.proto:3) became required: the reader requires it and the writer may leave it out, so the new version cannot read what 1.3.0 wrote; make it optional",
				"field `total` (order.proto:4) is no longer required: the reader requires it and the writer may leave it out, so readers on 1.3.0 cannot read it; keep it required"}},
		{Protobuf, "type",
			proto("optional int64 total = 2;\n"),
			proto("optional string total = 2;\n"), []string{
				"field `total` (order.proto:3) changed its type: int64 cannot be read as string, so the new version cannot read what 1.3.0 wrote; keep the type, and add a field of another name and number for the new one",
				"field `total` (order.proto:3) changed its type: string cannot be read as int64, so readers on 1.3.0 cannot read it; keep the type, and add a field of another name and number for the new one"}},
		{Protobuf, "first message",
			proto("") + "message Bill {}",
			"syntax = \"proto2\";\nmessage Bill {}\nmessage Order {}", []string{
				"`Bill` (order.proto:2) is the first message now: messages say no name, and the first is Order for the writer and Bill for the reader, so the new version cannot read what 1.3.0 wrote; keep the first message first",
				"`Order` (order.proto:2) is no longer the first message: messages say no name, and the first is Bill for the writer and Order for the reader, so readers on 1.3.0 cannot read it; keep the first message first"}},
		{Protobuf, "values",
			proto("optional Color color = 1;\nenum Color { RED = 0; GREEN = 1; }\n"),
			proto("optional Color color = 1;\nenum Color { RED = 0; BLUE = 2; }\n"), []string{
				"field `color` (order.proto:4) lost a value: GREEN = 1 is not in the reader's enum Color, which is closed, so the new version cannot read what 1.3.0 wrote; keep the value, or make the enum open",
				"field `color` (order.proto:4) has a new value: BLUE = 2 is not in the reader's enum Color, which is closed, so readers on 1.3.0 cannot read it; make the enum open in 1.4.0 first"}},
		{Protobuf, "choices",
			proto("oneof how {\nstring card = 1;\nstring cash = 2;\n}\n"),
			proto("oneof how {\nstring card = 1;\nstring coin = 3;\n}\n"), []string{
				"field `how` (order.proto:3) lost a choice: the writer may choose cash = 2, which the reader does not know, so the new version cannot read what 1.3.0 wrote; keep the field in the oneof",
				"field `how` (order.proto:5) has a new choice: the writer may choose coin = 3, which the reader does not know, so readers on 1.3.0 cannot read it; add the field outside of the oneof"}},
		{Protobuf, "default",
			proto("optional int32 n = 1 [default = 5];\n"),
			"syntax = \"proto3\";\nmessage Order {\nint32 n = 1;\n}", []string{
				"field `n` (order.proto:3) is no longer sent when it is zero: the writer leaves out what is zero, and the reader takes 5 for what is left out, so readers on 1.3.0 cannot read it; make it optional, so that zero is sent"}},
		{Protobuf, "new default",
			"syntax = \"proto3\";\nmessage Order {\nint32 n = 1;\n}",
			proto("optional int32 n = 1 [default = 5];\n"), []string{
				"field `n` (order.proto:3) has another default: the writer leaves out what is zero, and the reader takes 5 for what is left out, so the new version cannot read what 1.3.0 wrote; leave the default out"}},
		{Protobuf, "number",
			proto("optional int32 n = 1;\n"),
			proto("optional int32 n = 2;\n"), []string{
				"field `n` (order.proto:3) has a number that meant something else: it is number 1 for the writer and 2 for the reader, who does not find it, so the new version cannot read what 1.3.0 wrote; keep the number and its label, and reserve it when its field goes; a new field takes one that was never used",
				"field `n` (order.proto:3) has a number that meant something else: it is number 2 for the writer and 1 for the reader, who does not find it, so readers on 1.3.0 cannot read it; keep the number and its label, and reserve it when its field goes; a new field takes one that was never used"}},
		{Protobuf, "list",
			proto("repeated int32 n = 1;\n"),
			proto("optional int32 n = 1;\n"), []string{
				"field `n` (order.proto:3) has a number that meant something else: a list cannot be read as one value: all but the last are lost, so the new version cannot read what 1.3.0 wrote; keep the number and its label, and reserve it when its field goes; a new field takes one that was never used"}},
	} {
		var got []string
		for _, b := range Check(Full, parse(c.format, c.new), []Version{{"1.3.0", parse(c.format, c.old)}}) {
			got = append(got, b.Explain("1.4.0"))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s of %s\n got %s\nwant %s", c.name, c.format, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

// TestExplainEach has what to do about each kind, in each language and
// direction, those kinds too that a language does not come to.
func TestExplainEach(t *testing.T) {
	at := verdict.Place{File: "order", Line: 7}
	kinds := []verdict.Kind{verdict.NoDefault, verdict.Type, verdict.Name, verdict.Symbol, verdict.Branch, verdict.Size, verdict.Logical, verdict.Constraint, verdict.FieldNumber, "OTHER"}
	path := map[Format]string{Avro: "Order.total", JSON: "$.total", Protobuf: "Order.total"}
	for format, want := range map[Format][]string{
		Avro: {
			"field `total` (order:7) is new and has no default: the new version cannot read what 1.3.0 wrote; give it a default",
			"field `total` (order:7) was removed and has no default: readers on 1.3.0 cannot read it; give it a default in 1.4.0 first",
			"field `total` (order:7) changed its type: this is not that, so the new version cannot read what 1.3.0 wrote; keep the type, and add a field of another name for the new one",
			"field `total` (order:7) changed its type: this is not that, so readers on 1.3.0 cannot read it; keep the type, and add a field of another name for the new one",
			"field `total` (order:7) changed a name: this is not that, so the new version cannot read what 1.3.0 wrote; keep the old name, or make it an alias of the new one",
			"field `total` (order:7) changed a name: this is not that, so readers on 1.3.0 cannot read it; keep the old name, or make the new one an alias of it in 1.4.0 first",
			"field `total` (order:7) lost a symbol: this is not that, so the new version cannot read what 1.3.0 wrote; keep the symbol, or give the enum a default",
			"field `total` (order:7) has a new symbol: this is not that, so readers on 1.3.0 cannot read it; give the enum a default in 1.4.0 first",
			"field `total` (order:7) takes fewer types: this is not that, so the new version cannot read what 1.3.0 wrote; keep the type in the union",
			"field `total` (order:7) takes more types: this is not that, so readers on 1.3.0 cannot read it; keep the union, and add a field of another name for the new type",
			"field `total` (order:7) changed its size: this is not that, so the new version cannot read what 1.3.0 wrote; keep the size, and add a field of another name for the new one",
			"field `total` (order:7) changed its size: this is not that, so readers on 1.3.0 cannot read it; keep the size, and add a field of another name for the new one",
			"field `total` (order:7) changed its logical type: this is not that, so the new version cannot read what 1.3.0 wrote; keep precision and scale, and add a field of another name for the new ones",
			"field `total` (order:7) changed its logical type: this is not that, so readers on 1.3.0 cannot read it; keep precision and scale, and add a field of another name for the new ones",
			"field `total` (order:7) became stricter: this is not that, so the new version cannot read what 1.3.0 wrote; allow what was allowed before",
			"field `total` (order:7) became looser: this is not that, so readers on 1.3.0 cannot read it; keep to what was allowed before",
			"field `total` (order:7) has a number that meant something else: this is not that, so the new version cannot read what 1.3.0 wrote; keep the number, or take one that was never used and reserve the old one",
			"field `total` (order:7) has a number that meant something else: this is not that, so readers on 1.3.0 cannot read it; keep the number, or take one that was never used and reserve the old one",
			"field `total` (order:7) changed: this is not that, so the new version cannot read what 1.3.0 wrote; take the change back",
			"field `total` (order:7) changed: this is not that, so readers on 1.3.0 cannot read it; take the change back",
		},
		JSON: {
			"field `total` (order:7) became required: this is not that, so the new version cannot read what 1.3.0 wrote; leave it out of \"required\"",
			"field `total` (order:7) is no longer required: this is not that, so readers on 1.3.0 cannot read it; keep it in \"required\"",
			"field `total` (order:7) changed its type: this is not that, so the new version cannot read what 1.3.0 wrote; keep the old type beside the new one, or add a property of another name",
			"field `total` (order:7) changed its type: this is not that, so readers on 1.3.0 cannot read it; keep the type, and add a property of another name for the new one",
			"field `total` (order:7) changed a name: this is not that, so the new version cannot read what 1.3.0 wrote; keep the old name, or make it an alias of the new one",
			"field `total` (order:7) changed a name: this is not that, so readers on 1.3.0 cannot read it; keep the old name, or make the new one an alias of it in 1.4.0 first",
			"field `total` (order:7) takes fewer values: this is not that, so the new version cannot read what 1.3.0 wrote; keep the values that were allowed",
			"field `total` (order:7) takes more values: this is not that, so readers on 1.3.0 cannot read it; keep to the values that readers know, and add a property of another name for new ones",
			"field `total` (order:7) takes fewer forms: this is not that, so the new version cannot read what 1.3.0 wrote; keep a branch that takes it",
			"field `total` (order:7) takes more forms: this is not that, so readers on 1.3.0 cannot read it; keep to the forms that readers know, and add a property of another name for new ones",
			"field `total` (order:7) changed its size: this is not that, so the new version cannot read what 1.3.0 wrote; keep the size, and add a field of another name for the new one",
			"field `total` (order:7) changed its size: this is not that, so readers on 1.3.0 cannot read it; keep the size, and add a field of another name for the new one",
			"field `total` (order:7) changed its logical type: this is not that, so the new version cannot read what 1.3.0 wrote; keep precision and scale, and add a field of another name for the new ones",
			"field `total` (order:7) changed its logical type: this is not that, so readers on 1.3.0 cannot read it; keep precision and scale, and add a field of another name for the new ones",
			"field `total` (order:7) became stricter: this is not that, so the new version cannot read what 1.3.0 wrote; allow what was allowed before",
			"field `total` (order:7) became looser: this is not that, so readers on 1.3.0 cannot read it; keep to what was allowed before",
			"field `total` (order:7) has a number that meant something else: this is not that, so the new version cannot read what 1.3.0 wrote; keep the number, or take one that was never used and reserve the old one",
			"field `total` (order:7) has a number that meant something else: this is not that, so readers on 1.3.0 cannot read it; keep the number, or take one that was never used and reserve the old one",
			"field `total` (order:7) changed: this is not that, so the new version cannot read what 1.3.0 wrote; take the change back",
			"field `total` (order:7) changed: this is not that, so readers on 1.3.0 cannot read it; take the change back",
		},
		Protobuf: {
			"field `total` (order:7) became required: this is not that, so the new version cannot read what 1.3.0 wrote; make it optional",
			"field `total` (order:7) is no longer required: this is not that, so readers on 1.3.0 cannot read it; keep it required",
			"field `total` (order:7) changed its type: this is not that, so the new version cannot read what 1.3.0 wrote; keep the type, and add a field of another name and number for the new one",
			"field `total` (order:7) changed its type: this is not that, so readers on 1.3.0 cannot read it; keep the type, and add a field of another name and number for the new one",
			"field `total` (order:7) is the first message now: this is not that, so the new version cannot read what 1.3.0 wrote; keep the first message first",
			"field `total` (order:7) is no longer the first message: this is not that, so readers on 1.3.0 cannot read it; keep the first message first",
			"field `total` (order:7) lost a value: this is not that, so the new version cannot read what 1.3.0 wrote; keep the value, or make the enum open",
			"field `total` (order:7) has a new value: this is not that, so readers on 1.3.0 cannot read it; make the enum open in 1.4.0 first",
			"field `total` (order:7) lost a choice: this is not that, so the new version cannot read what 1.3.0 wrote; keep the field in the oneof",
			"field `total` (order:7) has a new choice: this is not that, so readers on 1.3.0 cannot read it; add the field outside of the oneof",
			"field `total` (order:7) changed its size: this is not that, so the new version cannot read what 1.3.0 wrote; keep the size, and add a field of another name for the new one",
			"field `total` (order:7) changed its size: this is not that, so readers on 1.3.0 cannot read it; keep the size, and add a field of another name for the new one",
			"field `total` (order:7) changed its logical type: this is not that, so the new version cannot read what 1.3.0 wrote; keep precision and scale, and add a field of another name for the new ones",
			"field `total` (order:7) changed its logical type: this is not that, so readers on 1.3.0 cannot read it; keep precision and scale, and add a field of another name for the new ones",
			"field `total` (order:7) has another default: this is not that, so the new version cannot read what 1.3.0 wrote; leave the default out",
			"field `total` (order:7) is no longer sent when it is zero: this is not that, so readers on 1.3.0 cannot read it; make it optional, so that zero is sent",
			"field `total` (order:7) has a number that meant something else: this is not that, so the new version cannot read what 1.3.0 wrote; keep the number and its label, and reserve it when its field goes; a new field takes one that was never used",
			"field `total` (order:7) has a number that meant something else: this is not that, so readers on 1.3.0 cannot read it; keep the number and its label, and reserve it when its field goes; a new field takes one that was never used",
			"field `total` (order:7) changed: this is not that, so the new version cannot read what 1.3.0 wrote; take the change back",
			"field `total` (order:7) changed: this is not that, so readers on 1.3.0 cannot read it; take the change back",
		},
	} {
		for i, kind := range kinds {
			for j, newReads := range []bool{true, false} {
				b := Break{"1.3.0", newReads, verdict.Problem{Kind: kind, Path: path[format], Reader: at, Writer: at, Detail: "this is not that"}, format}
				if got := b.Explain("1.4.0"); got != want[2*i+j] {
					t.Errorf("%s\n got %s\nwant %s", format, got, want[2*i+j])
				}
			}
		}
	}
}

// TestExplainWhere has how a place is called, and when to do something first.
func TestExplainWhere(t *testing.T) {
	at := verdict.Place{File: "order.json", Line: 7}
	for _, c := range []struct {
		format Format
		path   string
		at     verdict.Place
		want   string
	}{
		{Avro, "Order.lines[].total", at, "field `lines[].total` (order.json:7)"},
		{Avro, "Order.total", verdict.Place{}, "field `total`"},
		{Avro, "Order", at, "`Order` (order.json:7)"},
		{Avro, "[].total", at, "`[].total` (order.json:7)"},
		{Avro, "", verdict.Place{File: "order.json"}, "the message (order.json)"},
		{JSON, "$", at, "the message (order.json:7)"},
		{JSON, "$.lines[].total", at, "field `lines[].total` (order.json:7)"},
		{JSON, `$["a.b"].total`, at, "`$[\"a.b\"].total` (order.json:7)"},
		{JSON, "$[]", at, "`$[]` (order.json:7)"},
		{Protobuf, "Order.lines[].key", at, "field `lines[].key` (order.json:7)"},
	} {
		b := Break{"2", false, verdict.Problem{Kind: verdict.Symbol, Path: c.path, Writer: c.at, Detail: "x"}, c.format}
		if got := b.subject(); got != c.want {
			t.Errorf("%s is %s, want %s", c.path, got, c.want)
		}
	}
	b := Break{"2", false, verdict.Problem{Kind: verdict.NoDefault, Path: "Order.total", Reader: at}, Avro}
	if got, want := b.Explain(""), "field `total` (order.json:7) was removed and has no default: readers on 2 cannot read it; give it a default in a version of its own first"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
