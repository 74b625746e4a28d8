package coverage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

func TestRender(t *testing.T) {
	notes, err := ParseNotes([]byte("# comment\n\necs\tRunTask.overrides\tCPU is ignored\necs\tRunTask\tno EBS\n"))
	if err != nil {
		t.Fatal(err)
	}
	served := map[string][]string{"ecs": {"RunTask", "StopTask"}}
	page, err := Render(served, notes)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{
		"| [Amazon EC2 Container Service](#ecs) | 1 | 1 | 75 | 77 |", "**Done** (1): StopTask\n",
		"- RunTask.overrides: CPU is ignored\n- RunTask: no EBS\n", "## ec2",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Index(text, "## ecs") > strings.Index(text, "## acm") {
		t.Error("services with nothing to show come first")
	}
	all, err := model.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		for _, op := range i.Ops {
			if !strings.Contains(text, op) {
				t.Errorf("%s.%s is missing", i.Name, op)
			}
		}
	}
}

func TestBadNotes(t *testing.T) {
	for _, bad := range []string{"ecs\tRunTask\n", "ecs RunTask x", "ecs\tNonsense\tx", "nonsense\tRunTask\tx", "ecs\tRunTask\t"} {
		if _, err := ParseNotes([]byte(bad)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCurrent(t *testing.T) {
	dir := t.TempDir()
	notes, page := filepath.Join(dir, "notes.tsv"), filepath.Join(dir, "coverage.md")
	served := map[string][]string{"sqs": {"SendMessage"}}
	if err := os.WriteFile(notes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := File(served, notes)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Current(served, notes, page); err != nil {
		t.Error(err)
	}
	if err := Current(map[string][]string{}, notes, page); err == nil {
		t.Error("a page that claims too much passes for current")
	}
}
