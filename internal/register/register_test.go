package register

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var quiet = slog.New(slog.DiscardHandler)

type tester interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}

func open(t tester, path string) (*Register, map[string]string) {
	t.Helper()
	r, values, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, b := range values {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		got[name] = s
	}
	return r, got
}

func put(t tester, r *Register, name, value string) {
	t.Helper()
	if err := r.Put(name, value); err != nil {
		t.Fatal(err)
	}
}

// What was put and not deleted is there after every end: an orderly one, that
// of the process alone, and one in the middle of a line.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n), "r.jsonl")
		r, _ := open(t, path)
		want := map[string]string{}
		name := rapid.SampledFrom([]string{"a", "b/c", "ü\n", `"`, "d"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := name.Draw(t, "name"), rapid.String().Draw(t, "value")
				put(t, r, k, v)
				want[k] = v
			},
			"delete": func(t *rapid.T) {
				k := name.Draw(t, "name")
				if err := r.Delete(k); err != nil {
					t.Fatal(err)
				}
				delete(want, k)
			},
			"close": func(t *rapid.T) { r.Close() },
			"reopen": func(t *rapid.T) {
				var got map[string]string
				if r, got = open(t, path); !maps.Equal(got, want) {
					t.Fatal("got", got, "want", want)
				}
			},
			"torn": func(t *rapid.T) {
				cut := []byte(`{"Name":"a","Value":"lost"}` + "\n")
				cut = cut[:rapid.IntRange(1, len(cut)-1).Draw(t, "length")]
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				f.Write(cut)
				f.Close()
				var got map[string]string
				if r, got = open(t, path); !maps.Equal(got, want) {
					t.Fatal("got", got, "want", want)
				}
			},
		})
	})
}

// The file does not grow with history.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	r, _ := open(t, path)
	put(t, r, "kept", "from the start")
	for i := range 3 * rewriteAbove {
		put(t, r, "changes", fmt.Sprint(i))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(b, []byte("\n")); lines > rewriteAbove+10 {
		t.Errorf("the file has %d lines for 2 records", lines)
	}
	want := map[string]string{"kept": "from the start", "changes": fmt.Sprint(3*rewriteAbove - 1)}
	if _, got := open(t, path); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	r, _ := open(t, path)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 100 {
				if err := r.Put(fmt.Sprint(i), fmt.Sprint(n)); err != nil {
					t.Error(err)
				}
			}
			if i%2 == 0 {
				if err := r.Delete(fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	want := map[string]string{"1": "99", "3": "99", "5": "99", "7": "99"}
	if _, got := open(t, path); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// An empty register leaves no file, and a change that cannot be written is
// told and loses nothing.
func TestEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "r.jsonl")
	r, _ := open(t, path)
	put(t, r, "a", "1")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	r.file.Close() // what follows fails
	if err := r.Put("a", "2"); err == nil {
		t.Error("a write to a closed file went well")
	}
	put(t, r, "b", "3")
	if _, got := open(t, path); !maps.Equal(got, map[string]string{"a": "1", "b": "3"}) {
		t.Errorf("got %v", got)
	}
	if err := r.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the file is left:", err)
	}
	put(t, r, "c", "4")
	if err := r.Delete("c"); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("a file without records is left:", err)
	}
}
