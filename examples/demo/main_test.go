package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParse takes flags alone.
func TestParse(t *testing.T) {
	var out strings.Builder
	got, err := parse([]string{"-once", "-listen", "127.0.0.1:1", "-data-dir", "/d"}, &out)
	if want := (options{"127.0.0.1:1", "/d", true}); err != nil || got != want || out.Len() > 0 {
		t.Errorf("%+v, %v, %q; want %+v", got, err, &out, want)
	}
	for _, args := range []string{"again -once -data-dir /d", "-once again", "-twice"} {
		out.Reset()
		_, err := parse(strings.Fields(args), &out)
		if err == nil || !strings.Contains(out.String(), err.Error()) || !strings.Contains(out.String(), "-data-dir") {
			t.Errorf("%s: %v, and says %q", args, err, &out)
		}
	}
	if _, err := parse([]string{"-help"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
}

// TestPresent says where to start the demonstration before anything is started.
func TestPresent(t *testing.T) {
	dir := t.TempDir()
	if err := present(dir); err == nil || !strings.Contains(err.Error(), "start it in the root of the repository") {
		t.Errorf("of an empty folder: %v", err)
	}
	for _, name := range []string{"bin/hello", "bin/orders", releases} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := present(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join("../..", releases)); err != nil {
		t.Errorf("the repository has no schemas there: %v", err)
	}
}
