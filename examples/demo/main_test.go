package main

import (
	"errors"
	"flag"
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
