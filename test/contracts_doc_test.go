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
var block = regexp.MustCompile("(?ms)^```(sh|text|hcl)\n(.*?)^```$")

// TestContractsPages runs the commands of each page on contracts in one shell,
// in order, and looks for each line that the page shows in what they print.
func TestContractsPages(t *testing.T) {
	p := need(t)
	for _, page := range []struct {
		name   string
		blocks int // at least
		tools  []string
	}{
		{"contracts.md", 12, []string{"aws", "curl"}},
		{"contracts-broker.md", 8, []string{"aws", "curl"}},
		{"contracts-deploy.md", 8, []string{"aws", "busybox"}},
	} {
		t.Run(page.name, func(t *testing.T) {
			t.Parallel()
			for _, tool := range page.tools {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skip(tool + " is not installed")
				}
			}
			text, err := os.ReadFile(filepath.Join("../docs", page.name))
			if err != nil {
				t.Fatal(err)
			}
			blocks := block.FindAllStringSubmatch(string(text), -1)
			if len(blocks) < page.blocks {
				t.Fatalf("only %d blocks were found", len(blocks))
			}
			showsWhatItPrints(t, p, blocks)
		})
	}
}

// showsWhatItPrints runs a page's blocks of commands, each of which the block of
// text after it belongs to.
func showsWhatItPrints(t *testing.T, p *platform, blocks [][]string) {
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
		switch b[1] {
		case "sh":
			n++
		case "text":
			for line := range strings.Lines(b[2]) {
				if want := joined(line); !strings.Contains(joined(parts[n]), want) {
					t.Errorf("block %d does not print %q, but\n%s", n+1, want, parts[n])
				}
			}
		}
	}
}

// joined is a text with its white space made even.
func joined(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestContractsPageTerraform holds what the page shows of Terraform to what the
// conversation with Terraform applies.
func TestContractsPageTerraform(t *testing.T) {
	page, err := os.ReadFile("../docs/contracts-broker.md")
	if err != nil {
		t.Fatal(err)
	}
	applied, err := os.ReadFile("testdata/script/contracts_terraform.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, b := range block.FindAllStringSubmatch(string(page), -1) {
		if b[1] != "hcl" {
			continue
		}
		for _, part := range strings.Split(strings.TrimSpace(b[2]), "\n\n") {
			if shown++; !strings.Contains(string(applied), part) {
				t.Errorf("no conversation applies\n%s", part)
			}
		}
	}
	if shown == 0 {
		t.Error("the page shows nothing of Terraform")
	}
}
