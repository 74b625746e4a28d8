package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// TestDocumentedErrors holds each error that the models of EventBridge and SNS
// document to be one that the service makes somewhere and a test of its names, or
// one that docs/messaging.md gives the reason for why it does not occur. It reads
// texts: that an error comes where it should is for the tests that it looks for.
func TestDocumentedErrors(t *testing.T) {
	page, err := os.ReadFile("../docs/messaging.md")
	if err != nil {
		t.Fatal(err)
	}
	// What is nobody's fault but the server's the edge says, for all services.
	own := map[string]bool{"InternalErrorException": true, "InternalException": true}
	for _, service := range []string{"events", "sns"} {
		m, err := model.Load(service)
		if err != nil {
			t.Fatal(err)
		}
		code, tests := sources(t, "../services/"+service)
		absent := map[string]bool{}
		for _, row := range regexp.MustCompile(`(?m)^\| `+service+` \| (.*?) \|`).FindAllStringSubmatch(string(page), -1) {
			for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
				absent[name[1]] = true
			}
		}
		seen := map[string]bool{}
		for _, op := range m.Ops {
			for _, i := range op.Errors {
				shape := m.Shapes[i]
				if seen[shape.Name] || own[shape.Name] {
					continue
				}
				seen[shape.Name] = true
				said := strings.Contains(code, "&types."+shape.Name+"{") || strings.Contains(code, `Code: "`+shape.Name+`"`)
				tried := strings.Contains(tests, `"`+shape.Name+`"`) || shape.Code != "" && strings.Contains(tests, `"`+shape.Code+`"`)
				switch {
				case absent[shape.Name] && said:
					t.Errorf("%s: %s is said, and docs/messaging.md has a reason why it is not", service, shape.Name)
				case !absent[shape.Name] && !said:
					t.Errorf("%s: %s is not said, and docs/messaging.md has no reason", service, shape.Name)
				case said && !tried:
					t.Errorf("%s: no test names %s", service, shape.Name)
				}
			}
		}
		for name := range absent {
			if !seen[name] {
				t.Errorf("docs/messaging.md: %s has no error %s", service, name)
			}
		}
		if len(seen) < 10 {
			t.Errorf("%s has only %d errors", service, len(seen))
		}
	}
}

// sources are the texts of a package's files and of its tests.
func sources(t *testing.T, dir string) (code, tests string) {
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "_test.go") {
			tests += string(text)
		} else {
			code += string(text)
		}
	}
	return code, tests
}
