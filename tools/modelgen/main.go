// Command modelgen writes the tables of internal/awsapi/model from AWS's
// service models. With -check it writes nothing and fails when they differ.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

func main() {
	models := flag.String("models", "../shared/models", "folder of service models")
	out := flag.String("out", "internal/awsapi/model/tables", "folder of tables")
	check := flag.Bool("check", false, "compare instead of writing")
	flag.Parse()
	if err := run(*models, *out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "modelgen:", err)
		os.Exit(1)
	}
}

func run(models, out string, check bool) error {
	tables, err := generate(models)
	if err != nil {
		return err
	}
	if check {
		return compare(tables, out)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, plain := range tables {
		packed, err := pack(plain)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, name+".json.gz"), packed, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the content of every table by name, "index" included.
func generate(models string) (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(models, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no models in %s; say where they are with -models", models)
	}
	sort.Strings(files)
	tables := make(map[string][]byte, len(files)+1)
	var index []*model.Info
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var doc struct{ Model rawModel }
		if err := json.Unmarshal(raw, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		m, err := convert(name, &doc.Model)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if tables[name], err = encode(m); err != nil {
			return nil, err
		}
		index = append(index, m.Info)
	}
	tables["index"], err = encode(index)
	return tables, err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

func pack(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// compare looks at unpacked content: compressed bytes differ between releases
// of Go.
func compare(tables map[string][]byte, out string) error {
	for name, plain := range tables {
		packed, err := os.ReadFile(filepath.Join(out, name+".json.gz"))
		if err != nil {
			return err
		}
		have, err := model.Unpack(packed)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !bytes.Equal(have, plain) {
			return fmt.Errorf("table %s is not what the models say; run go run ./tools/modelgen", name)
		}
	}
	files, err := filepath.Glob(filepath.Join(out, "*.gz"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, ok := tables[strings.TrimSuffix(filepath.Base(f), ".json.gz")]; !ok {
			return fmt.Errorf("%s belongs to no model; remove it", f)
		}
	}
	return nil
}
