package initproc

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o755, "data": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	path := other + ":" + dir
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"tool", filepath.Join(dir, "tool"), nil},
		{filepath.Join(dir, "tool"), filepath.Join(dir, "tool"), nil},
		{"data", "", fs.ErrPermission},
		{"nope", "", fs.ErrNotExist},
		{dir + "/nope", "", fs.ErrNotExist},
		{dir, "", fs.ErrPermission},
	} {
		got, err := find(c.name, path)
		if !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("find(%q) = %q, %v; want %q, %v", c.name, got, err, c.want, c.err)
		}
	}
}
