package contract

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/dhowhq/dhow/contract/verdict"
)

func schema(t testing.TB, text string) Schema {
	t.Helper()
	s, err := Parse(Source{Format: Avro, File: "order.avsc", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// orderWith is a record Order with a field id and others, a line each from 3.
func orderWith(fields ...string) string {
	return `{"type": "record", "name": "shop.Order", "fields": [` + "\n" +
		strings.Join(append([]string{`{"name": "id", "type": "string"}`}, fields...), ",\n") + "]}"
}

const (
	bare      = `{"name": "total", "type": "long"}`
	defaulted = `{"name": "total", "type": "long", "default": 0}`
	color     = `{"name": "color", "type": {"type": "enum", "name": "Color", "symbols": [%s]%s}}`
)

// TestExplain has the sentence for each kind and both directions, from real pairs.
func TestExplain(t *testing.T) {
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
			"field `note` (order.avsc:3) takes more types: int, which the writer may send, cannot be read as union [null, string], so readers on 1.3.0 cannot read it; add the type to what readers take in 1.4.0 first"}},
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

// TestExplainOthers has the sentences for what Avro has not, and for what is not known.
func TestExplainOthers(t *testing.T) {
	at := verdict.Place{File: "order.json", Line: 7}
	for _, c := range []struct {
		b            Break
		before, want string
	}{
		{Break{"1.3.0", true, verdict.Problem{Kind: verdict.Constraint, Path: "Order.total", Reader: at, Detail: "negative numbers are refused"}}, "1.4.0",
			"field `total` (order.json:7) became stricter: negative numbers are refused, so the new version cannot read what 1.3.0 wrote; allow what was allowed before"},
		{Break{"1.3.0", false, verdict.Problem{Kind: verdict.Constraint, Path: "Order.total", Writer: at, Detail: "negative numbers are refused"}}, "1.4.0",
			"field `total` (order.json:7) became looser: negative numbers are refused, so readers on 1.3.0 cannot read it; let readers take it in 1.4.0 first"},
		{Break{"1.3.0", true, verdict.Problem{Kind: verdict.FieldNumber, Path: "Order.total", Reader: at, Detail: "number 2 was the field sum"}}, "",
			"field `total` (order.json:7) has a number that meant something else: number 2 was the field sum, so the new version cannot read what 1.3.0 wrote; take a number that was never used, and reserve the old one"},
		{Break{"1.3.0", false, verdict.Problem{Kind: verdict.FieldNumber, Path: "Order.total", Detail: "number 2 was the field sum"}}, "",
			"field `total` has a number that meant something else: number 2 was the field sum, so readers on 1.3.0 cannot read it; take a number that was never used, and reserve the old one"},
		{Break{"2", false, verdict.Problem{Kind: verdict.NoDefault, Path: "Order.lines[].total", Reader: at}}, "",
			"field `lines[].total` (order.json:7) was removed and has no default: readers on 2 cannot read it; give it a default in a version of its own first"},
		{Break{"2", true, verdict.Problem{Kind: "OTHER", Detail: "things differ"}}, "",
			"the message changed: things differ, so the new version cannot read what 2 wrote; take the change back"},
	} {
		if got := c.b.Explain(c.before); got != c.want {
			t.Errorf("\n got %s\nwant %s", got, c.want)
		}
	}
}

func TestBumpOf(t *testing.T) {
	base := orderWith(defaulted)
	for _, c := range []struct {
		name, next string
		want       Bump
	}{
		{"same", base, Same},
		{"form", strings.ReplaceAll(base, "\n", "\n\n"), Patch},
		{"doc", orderWith(`{"name": "total", "type": "long", "default": 0, "doc": "in cents", "order": "ignore", "x": 1}`), Patch},
		{"default's form", orderWith(`{"name": "total", "type": {"type": "long"}, "default": 0}`), Patch},
		{"other default", orderWith(`{"name": "total", "type": "long", "default": 1}`), Minor},
		{"no default", orderWith(bare), Minor},
		{"alias", orderWith(`{"name": "total", "type": "long", "default": 0, "aliases": ["sum"]}`), Minor},
		{"logical type", orderWith(`{"name": "total", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0}`), Minor},
		{"new field with default", orderWith(defaulted, `{"name": "note", "type": ["null", "string"], "default": null}`), Minor},
		{"removed with default", orderWith(), Minor},
		{"new field", orderWith(defaulted, `{"name": "note", "type": "string"}`), Major},
		{"wider type", orderWith(`{"name": "total", "type": "double", "default": 0}`), Major},
	} {
		if got := BumpOf(schema(t, c.next), []Version{{"1.0.0", schema(t, base)}}); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	// Each step is minor, and the first version cannot read the third.
	steps := []Version{{"1.0.0", schema(t, orderWith(bare))}, {"1.1.0", schema(t, orderWith(defaulted))}}
	if got := BumpOf(schema(t, orderWith()), steps); got != Major {
		t.Errorf("what 1.0.0 cannot read is %v", got)
	}
	if got := BumpOf(schema(t, orderWith()), steps[1:]); got != Minor {
		t.Errorf("what 1.1.0 can read is %v", got)
	}
}

func TestBumpSeesReferences(t *testing.T) {
	parse := func(ref string) Schema {
		s, err := Parse(Source{Format: Avro, Text: `{"type":"array","items":"M"}`, Refs: []Source{{Text: ref}}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old := parse(`{"type":"fixed","name":"M","size":1}`)
	if got := BumpOf(parse(`{"type":"fixed","name":"M","size":2}`), []Version{{"1.0.0", old}}); got != Major {
		t.Errorf("another type of the same name is %v", got)
	}
}

func TestLevels(t *testing.T) {
	v := func(label string, fields ...string) Version { return Version{label, schema(t, orderWith(fields...))} }
	earlier := []Version{v("1.0.0", bare), v("1.1.0", defaulted)}
	for _, c := range []struct {
		level Level
		next  Version
		want  string
	}{
		{None, v("", `{"name": "total", "type": "string"}`), ""},
		{Disabled, v(""), ""},
		{Backward, v("", bare, `{"name": "x", "type": "int"}`), "1.1.0 new"},
		{BackwardAll, v("", bare, `{"name": "x", "type": "int"}`), "1.0.0 new, 1.1.0 new"},
		{Forward, v(""), ""},
		{ForwardAll, v(""), "1.0.0 old"},
		{Full, v(""), ""},
		{FullAll, v(""), "1.0.0 old"},
	} {
		var got []string
		for _, b := range Check(c.level, c.next.Schema, earlier) {
			got = append(got, b.With+" "+map[bool]string{true: "new", false: "old"}[b.NewReads])
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %s, want %s", c.level, s, c.want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for _, s := range []string{"", "1", "1.2", "v1.2.3", "1.2.3-rc1", "1.2.3+build", "2024-01-31", "01.2.3", "1.2.3.4", " 1.2.3", "1.-2.3", "latest"} {
		if v, err := ParseVersion(s); !errors.Is(err, ErrVersion) {
			t.Errorf("%q is %v, %v", s, v, err)
		}
	}
	v, err := ParseVersion("1.4.0")
	if err != nil {
		t.Fatal(err)
	}
	for b, want := range map[Bump]string{Same: "1.4.0", Patch: "1.4.1", Minor: "1.5.0", Major: "2.0.0"} {
		if got := b.After(v); got.String() != want {
			t.Errorf("%v leads to %s, want %s", b, &got, want)
		}
	}
}

func TestRange(t *testing.T) {
	all := []string{"1.2.0", "0.9.0", "1.2.3", "1.10.0", "2.0.0", "2.1.0", "3.0.0", "nonsense", "4.0.0-rc1"}
	for text, want := range map[string]string{
		"^1": "1.10.0", "^1.2": "1.10.0", "~1.2": "1.2.3", "1.2.0": "1.2.0", "=1.2.0": "1.2.0", "1.2": "1.2.3", "1": "1.10.0", "1.x": "1.10.0",
		">=1.2 <3": "2.1.0", ">=1.2, <3": "2.1.0", ">= 1.2 < 2": "1.10.0", "1.2 - 2.0": "2.0.0", "^1 || ^3": "3.0.0", "": "3.0.0", "*": "3.0.0",
		"^5": "", "<0.1": "", "!=3.0.0": "2.1.0", "^0.9": "0.9.0",
	} {
		r, err := ParseRange(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, ok := Latest(r, all); got != want || ok != (want != "") {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"latest", "v1", "^v1", "1.2.0-rc1", ">=1.2.0-0", "^^1", "1..2", "^1 &", ">", "||", " ", "2024-01-31", strings.Repeat("1 ", 150)} {
		if r, err := ParseRange(text); !errors.Is(err, ErrRange) {
			t.Errorf("%q is %v, %v", text, r, err)
		}
	}
	if _, err := ParseRange("^v1"); err == nil || err.Error() != `"^v1" is not a range of versions: write it as ^1, ~1.2, 1.2.0 or >=1.2 <3` {
		t.Error(err)
	}
	if !(Range{}).Has(semver.MustParse("7.0.0")) || (Range{}).String() != "*" {
		t.Error("the zero Range has not all versions")
	}
}
