package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract/avro"
)

// records prints a container that Apache Avro has among its tests; without the
// last bytes of it.
func records(t *testing.T, name string, without int) (string, error) {
	t.Helper()
	data, err := os.ReadFile("../../../shared/data/avro/data/" + name)
	if err != nil {
		t.Skip("no Avro data at ../shared/data/avro")
	}
	file, err := avro.OpenContainer(name, bytes.NewReader(data[:len(data)-without]))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out strings.Builder
	err = printRecords(&out, file)
	return out.String(), err
}

func TestPrintRecords(t *testing.T) {
	for _, name := range []string{"weather.avro", "weather-deflate.avro", "weather-snappy.avro", "weather-zstd.avro"} {
		got, err := records(t, name, 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want, err := os.ReadFile("../../../shared/data/avro/data/weather.json")
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	if got, err := records(t, "weather.avro", 5); got != "" || err == nil || err.Error() != "record 1: the container ends within block 1" {
		t.Errorf("of a file that was cut: %q, %v", got, err)
	}
}

// TestLoadSchema: a file is found with what it imports from the folders beside
// its own, and one of several schemas by its name.
func TestLoadSchema(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"shop/orders.avdl":  "namespace shop;\nimport idl \"../common/money.avdl\";\nrecord Order { Money total; }\nrecord Refund { Order of; }",
		"common/money.avdl": "namespace shop;\nrecord Money { long cents; }", "shop/total.avsc": `"long"`, "total.avsc": `"int"`,
		"shop/kind.avdl": "enum Kind { A }",
	} {
		if err := writeNew(name, text); err != nil {
			t.Fatal(err)
		}
	}
	for said, want := range map[string]string{
		"shop/orders.avdl#Refund": "shop.Refund", "common/money.avdl": "shop.Money",
		"shop/orders.avdl":     "shop/orders.avdl declares several schemas: say shop/orders.avdl#Order or shop/orders.avdl#Refund",
		"shop/orders.avdl#No":  "shop/orders.avdl declares no schema No",
		"shop/kind.avdl":       "shop/kind.avdl has no schema: ",
		"shop/none.avdl":       "no such file or directory",
		"total.avsc":           "",
		"shop/orders.avdl#Or#": "declares no schema",
	} {
		got, err := loadSchema(t.Context(), said)
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", said, err)
			}
		} else if got.Name() != want {
			t.Errorf("%s is %s, want %s", said, got.Name(), want)
		}
	}
	if got, err := loadSchema(t.Context(), "total.avsc"); err != nil || got.Canonical() != `"int"` {
		t.Errorf("the file at the top is %v, %v", got, err)
	}
}
