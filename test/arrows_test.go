package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// rank is a package's height: it imports only what is lower, or on its own
// height where the architecture says so.
func rank(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	switch top {
	case "cmd", "test", "examples":
		return 5
	case "services":
		return 4
	case "store", "journal":
		return 1
	case "internal", "tools":
		return 0
	default:
		return 3 // engines
	}
}

// TestArrows holds the direction of imports: cmd → services → engines → store and journal
// → internal, and no service imports another. What users build into their own
// programs brings nothing of the platform along but the forms of messages.
func TestArrows(t *testing.T) {
	const module = "github.com/dhowhq/dhow/"
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; packages++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, i := range p.Imports {
			to, ours := strings.CutPrefix(i, module)
			if !ours {
				continue
			}
			if rank(to) > rank(from) {
				t.Errorf("%s imports %s, which is above it", from, to)
			}
			if rank(from) == 4 && rank(to) == 4 && service(from) != service(to) {
				t.Errorf("%s imports %s: services do not know each other", from, to)
			}
			if public(from) && !public(to) {
				t.Errorf("%s is part of users' programs, and imports %s", from, to)
			}
		}
	}
	if packages < 20 {
		t.Errorf("only %d packages were looked at", packages)
	}
}

// service is the face that a package below services/ belongs to.
func service(pkg string) string { return strings.Split(pkg, "/")[1] }

// public reports whether a package is part of users' programs.
func public(pkg string) bool { return strings.HasPrefix(pkg, "sdk/") || pkg == "contract/wire" }
