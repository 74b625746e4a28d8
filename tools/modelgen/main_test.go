package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCurrent is make check's: the embedded tables are what the models say.
func TestCurrent(t *testing.T) {
	const models = "../../../shared/models"
	if _, err := os.Stat(models); err != nil {
		t.Skip("the folder of models is not here: ", err)
	}
	if err := run(models, "../../internal/awsapi/model/tables", true); err != nil {
		t.Error(err)
	}
}

const small = `{"model":{"metadata":{"protocol":"json","endpointPrefix":"x","apiVersion":"1"},
"operations":{"Do":{"http":{"method":"POST","requestUri":"/"},"input":{"shape":"In"}}},
"shapes":{"In":{"type":"structure","required":["b"],"members":{"b":{"shape":"N"},"a":{"shape":"In"}}},"N":{"type":"integer","min":1},"Unused":{"type":"string"}}}}`

func TestGenerate(t *testing.T) {
	models, out := t.TempDir(), t.TempDir()
	if err := run(models, out, false); err == nil || !strings.Contains(err.Error(), "-models") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(models, "x.json"), []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	tables, err := generate(models)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"ops":[{"n":"Do","i":0,"o":-1}],"shapes":[{"n":"In","m":[{"n":"a","s":0},{"n":"b","s":1,"r":true}]},{"n":"N","k":6,"lo":"1"}]}`
	if got := strings.TrimSpace(string(tables["x"])); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := run(models, out, false); err != nil {
		t.Fatal(err)
	}
	if err := run(models, out, true); err != nil {
		t.Errorf("what was just written is not current: %v", err)
	}
	if err := os.WriteFile(filepath.Join(models, "x.json"), []byte(strings.Replace(small, `"min":1`, `"min":2`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(models, out, true); err == nil || !strings.Contains(err.Error(), "table x") {
		t.Errorf("a changed model passes for current: %v", err)
	}
}
