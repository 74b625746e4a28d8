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
	r.above = 8 // so that short tests see the file written anew
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
	r.above = rewriteAbove
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

// A process that is killed leaves a file cut at any byte and, if it was writing
// the file anew, any part of the new one beside it: of what was acknowledged
// nothing is missing, and what comes after is kept, too.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.jsonl")
	r, _ := open(t, path)
	r.above = rewriteAbove
	type point struct {
		size int64
		want map[string]string
	}
	want := map[string]string{}
	points := []point{{0, maps.Clone(want)}}
	for _, c := range [][2]string{{"a", "1"}, {"b", "2\n"}, {"a", "3"}, {"b", ""}, {"c", "ü"}, {"a", ""}, {"a", "4"}} {
		if want[c[0]] = c[1]; c[1] != "" {
			put(t, r, c[0], c[1])
		} else if delete(want, c[0]); r.Delete(c[0]) != nil {
			t.Fatal("no delete")
		}
		points = append(points, point{r.size, maps.Clone(want)})
	}
	whole, err := os.ReadFile(path)
	if err != nil || int64(len(whole)) != r.size {
		t.Fatal(len(whole), r.size, err)
	}
	at := 0
	for cut := range len(whole) + 1 {
		if at+1 < len(points) && points[at+1].size <= int64(cut) {
			at++
		}
		killed := filepath.Join(dir, fmt.Sprint(cut), "r.jsonl")
		os.MkdirAll(filepath.Dir(killed), 0o700)
		for name, b := range map[string][]byte{killed: whole[:cut], killed + ".new": whole[cut/2 : cut]} {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, got := open(t, killed)
		if !maps.Equal(got, points[at].want) {
			t.Fatalf("cut at %d: got %v, want %v", cut, got, points[at].want)
		}
		after := maps.Clone(points[at].want)
		after["d"] = "after"
		put(t, r, "d", "after")
		if _, got := open(t, killed); !maps.Equal(got, after) {
			t.Fatalf("cut at %d, then a change: got %v, want %v", cut, got, after)
		}
	}
}

// Where the file cannot be written anew it is read all the same, and changes
// go on where it is open.
func TestNoRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	r, _ := open(t, path)
	put(t, r, "a", "0")
	if err := os.Mkdir(path+".new", 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	for i := range 4 * r.above {
		put(t, r, "a", fmt.Sprint(i))
	}
	want := map[string]string{"a": fmt.Sprint(4*r.above - 1)}
	r, got := open(t, path)
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if err := r.Put("a", "lost"); err == nil {
		t.Error("a change went well that cannot have been written")
	}
	if err := os.Remove(path + ".new"); err != nil {
		t.Fatal(err)
	}
	put(t, r, "b", "1")
	want["b"] = "1"
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
