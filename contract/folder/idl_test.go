package folder

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/sdk/avro"
)

const (
	service = `/** What the shop says. */
@namespace("shop")
protocol Orders {
  import idl "../common/money.avdl";
  import schema "party.avsc";
  enum Status { NEW, PAID }

  /** An order, as it is placed. */
  @semver("0.9.0")
  record Order {
    string id;
    Money total;
    Status status = "NEW";
    array<Line> lines;
    Party? buyer;
  }
  record Line { string sku; Order? of = null; }
  error OutOfStock { string sku; }
  Order place(Order order) throws OutOfStock;
}
`
	money = "namespace shop;\n/** In cents. */\nrecord Money { long cents; }\n"
	party = `{"type": "record", "name": "Party", "namespace": "shop", "fields": [{"name": "id", "type": "string"}]}`
)

func TestReadIDL(t *testing.T) {
	dir := files("shop/orders.avdl", service, "common/money.avdl", money, "shop/party.avsc", party,
		"shop/gift.avdl", "namespace shop;\nschema array<Gift>;\nrecord Gift { string text; }",
		"shop/refund.avsc", `{"type": "record", "name": "Refund", "namespace": "shop", "fields": [{"name": "of", "type": "Order"}, {"name": "to", "type": "Party"}]}`,
		"mail.avpr", `{"protocol": "Mail", "namespace": "mail", "types": [{"type": "record", "name": "Letter", "fields": []}, {"type": "fixed", "name": "Stamp", "size": 1}]}`)
	list, err := Read(dir, "top")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	by := map[string]File{}
	for _, f := range list {
		by[f.Name] = f
		got = append(got, fmt.Sprint(f.Name, " ", f.Place(), " ", f.Imports))
		if alone, err := contract.Parse(contract.Source{Format: contract.Avro, Text: f.Text}); err != nil || alone.Canonical() != f.Schema.Canonical() {
			t.Errorf("the text of %s does not stand alone: %v\n%s", f.Name, err, f.Text)
		}
	}
	want := []string{
		"common/Money common/money.avdl:3 []",
		"shop/Line shop/orders.avdl:17 [common/money.avdl shop/party.avsc]",
		"shop/Order shop/orders.avdl:10 [common/money.avdl shop/party.avsc]",
		"shop/OutOfStock shop/orders.avdl:18 [common/money.avdl shop/party.avsc]",
		"shop/gift shop/gift.avdl:2 []",
		"shop/party shop/party.avsc:1 []",
		"shop/refund shop/refund.avsc:1 [shop/orders.avdl common/money.avdl shop/party.avsc]",
		"top/Letter mail.avpr:1 []",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if f := compare(nil, by["shop/Order"]); f.Next != "0.9.0" || !strings.Contains(f.Text, `"doc":"An order, as it is placed."`) {
		t.Errorf("the order begins with %s (%s) and is %s", f.Next, f.Problem, f.Text)
	}
}

// TestPlaceOf: a break is shown in the file and on the line where it was written,
// one of the imports perhaps, or where the record is.
func TestPlaceOf(t *testing.T) {
	read := func(service, money string) File {
		list, err := Read(files("shop/orders.avdl", service, "common/money.avdl", money, "shop/party.avsc", party), "top")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if f.Name == "shop/Order" {
				return f
			}
		}
		t.Fatal("there is no order")
		return File{}
	}
	was := read(service, money)
	known := &Known{Name: "shop/Order", Format: contract.Avro, Level: contract.Full, From: 1, Versions: []Version{version(t, 1, "0.9.0", was.Text)}}
	for _, tt := range []struct{ name, service, money, place, words string }{
		{"a field", strings.Replace(service, "    Status", "    int\n      vat;\n    Status", 1), money, "shop/orders.avdl:14", "field `vat` (shop/orders.avdl:14) is new and has no default"},
		{"of an import", service, strings.Replace(money, "long cents; ", "long cents;\n  string currency;", 1), "common/money.avdl:4", "field `total.currency` (common/money.avdl:4) is new and has no default"},
		{"removed", strings.Replace(service, "    Money total;\n", "", 1), money, "shop/orders.avdl:10", "was removed and has no default"},
	} {
		tt.service = strings.Replace(tt.service, `  @semver("0.9.0")`, "", 1)
		f := compare(known, read(tt.service, tt.money))
		if len(f.Breaks) != 1 {
			t.Errorf("%s: %+v", tt.name, f.Breaks)
			continue
		}
		if at, says := f.PlaceOf(f.Breaks[0]).String(), f.Breaks[0].Explain(""); at != tt.place || !strings.Contains(says, tt.words) {
			t.Errorf("%s: at %s: %s", tt.name, at, says)
		}
	}
}

func TestReadIDLRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		pairs []string
		want  string
	}{
		"no IDL":           {[]string{"shop/a.avdl", "record A {\n int x\n}"}, "shop/a.avdl:3: `;` should be here"},
		"an import twice":  {[]string{"a.avdl", "import idl \"c.avdl\";", "b.avdl", "import idl \"c.avdl\";", "c.avdl", "record C {\n Nope x; }"}, "c.avdl:2: there is no type Nope: neither a primitive type nor a name that is declared or imported"},
		"outside":          {[]string{"shop/a.avdl", "namespace n;\nimport idl \"../../b.avdl\";"}, "shop/a.avdl:2: ../../b.avdl cannot be imported: it is outside of the folder"},
		"absent":           {[]string{"shop/a.avdl", "import idl \"/etc/passwd\";"}, "shop/a.avdl:1: /etc/passwd cannot be imported: file does not exist"},
		"a release":        {[]string{"shop/a@1.0.0.avdl", "record A {}"}, "dhow schema pull --pin writes it"},
		"types only":       {[]string{"shop/a.avdl", "enum A { B }"}, "no schema is in it"},
		"a type twice":     {[]string{"shop/a.avdl", "namespace shop;\n\nrecord Party {}", "shop/party.avsc", party}, "shop/party.avsc defines shop.Party, and shop/a.avdl does too"},
		"a name twice":     {[]string{"shop/a.avdl", "@namespace(\"a\") record A {}\n@namespace(\"b\") record A {}"}, "shop/a.avdl:1 and shop/a.avdl:2 are both shop/A: rename one"},
		"JSON with an IDL": {[]string{"shop/a.avdl", "record A {}", "shop/b.avsc", "{\"type\": \"record\", \"name\": \"B\", \"fields\": [{\"name\": \"a\", \"type\": \"A\"},\n{\"name\": \"c\", \"type\": \"C\"}]}"}, "shop/b.avsc:2: there is no type C"},
		"two deep":         {[]string{"a/b/c.avdl", ""}, "two folders deep"},
		"long":             {[]string{"a.avdl", strings.Repeat(" ", maxFile+1)}, "a.avdl cannot be read: it is longer than 1 MiB"},
	} {
		_, err := Read(files(tt.pairs...), "default")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		} else if name == "an import twice" && err.Error() != tt.want {
			t.Errorf("%s: it is said more than once: %v", name, err)
		}
	}
}

// TestReadWithin: links out of the folder are not followed, neither by files nor
// by imports; what is no file is not opened.
func TestReadWithin(t *testing.T) {
	out, dir := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{filepath.Join(out, "b.avdl"): "record B {}", filepath.Join(dir, "a.avdl"): "import idl \"b.avdl\";\nrecord A {}"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(out, "b.avdl"), filepath.Join(dir, "b.avdl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "c.avdl"), 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = Read(root.FS(), "default")
	for _, want := range []string{"a.avdl:1: b.avdl cannot be imported: path escapes from parent", "b.avdl cannot be read: path escapes from parent"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := load(root.FS(), "c.avdl"); err == nil || err.Error() != "it is no regular file" {
		t.Errorf("a folder: %v", err)
	}
}

// TestLockIDL: what is locked opens again, by the files and the lock alone.
func TestLockIDL(t *testing.T) {
	dir := files("shop/orders.avdl", service, "common/money.avdl", money, "shop/party.avsc", party)
	list, err := Read(dir, "top")
	if err != nil {
		t.Fatal(err)
	}
	var found []Finding
	for i, f := range list {
		found = append(found, Finding{File: f, As: &Version{ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Semver: "1.0.0"}})
	}
	lock, err := Lock(found)
	if err != nil {
		t.Fatal(err)
	}
	text, err := lock.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{avro.LockName: string(text)} {
		dir[name] = files(name, text)[name]
	}
	opened, err := avro.Open(dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	if got := opened.String(); got != "common/Money@1.0.0, shop/Line@1.0.0, shop/Order@1.0.0, shop/OutOfStock@1.0.0, shop/party@1.0.0" {
		t.Error(got)
	}
	dir["common/money.avdl"].Data = []byte(strings.Replace(money, "long", "int", 1))
	if _, err := avro.Open(dir, "."); err == nil || !strings.Contains(err.Error(), "common/money.avdl is not what was locked as common/Money@1.0.0") {
		t.Errorf("what is imported has changed: %v", err)
	}
}
