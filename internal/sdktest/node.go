package sdktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Missing skips a test for want of a program, but not where every program has to
// be there.
func Missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Environ is the environment with nothing of AWS in it.
func Environ() (env []string) {
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") {
			env = append(env, e)
		}
	}
	return env
}

// Node returns a command that runs a script with Node in a folder where the npm
// packages are installed. Short tests install none and are skipped.
func Node(t *testing.T, script string, packages []string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("installs npm packages")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		Missing(t, "npm is not installed")
	}
	dir := t.TempDir()
	install := exec.Command("npm", append([]string{"install", "--no-audit", "--no-fund", "--prefer-offline"}, packages...)...)
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		Missing(t, "npm cannot install the packages: "+string(out))
	}
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(script)
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{name}, args...)...)
	cmd.Dir = dir
	return cmd
}
