package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a page.
var block = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")

// TestContractsPage runs the commands of docs/contracts.md in one shell, in
// order, and looks for each line that the page shows in what they print.
func TestContractsPage(t *testing.T) {
	p := need(t)
	for _, tool := range []string{"aws", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	page, err := os.ReadFile("../docs/contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"examples", "sdk", "contract", "go.mod", "go.sum"} {
		if err := os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	blocks := block.FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 12 {
		t.Fatalf("only %d blocks were found", len(blocks))
	}
	// The CLI's version 1 needs to be told where SQS is, as the page says.
	script := "set -eu\naws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }\n"
	for _, b := range blocks {
		if b[1] == "sh" {
			script += "echo '== block'\n" + strings.ReplaceAll(b[2], "go build -o work/contracts", "go build -C "+root+" -o "+dir+"/work/contracts")
		}
	}
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(dhow)+":"+os.Getenv("PATH"), "AWS_ENDPOINT_URL="+p.url, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID="+newAccount(), "AWS_SECRET_ACCESS_KEY=any", "AWS_PAGER=", "AWS_CA_BUNDLE=", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "CGO_ENABLED=0", "GITHUB_ACTIONS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	parts := strings.Split(string(out), "== block\n")[1:]
	n := -1
	for _, b := range blocks {
		if b[1] == "sh" {
			n++
			continue
		}
		got := strings.Join(strings.Fields(parts[n]), " ")
		for line := range strings.Lines(b[2]) {
			if want := strings.Join(strings.Fields(line), " "); !strings.Contains(got, want) {
				t.Errorf("block %d does not print %q, but\n%s", n+1, want, parts[n])
			}
		}
	}
}
