// Package register keeps named records in a file to which each change is one
// append: making a file for each record costs several times as much, and on
// some file systems more than what the record is of.
//
// It is for what must survive the process. Changes are not synced: what a power
// loss takes from it are those since the file was last written anew.
package register

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// Register is an open file of records. Its methods are safe for concurrent use;
// two Registers must not share a file.
type Register struct {
	path  string
	above int // how many lines the file may have before it is written anew, if most of them are history

	mu    sync.Mutex
	file  *os.File // nil until there is something to write
	size  int64    // of the file
	lines int
	at    map[string]span // the newest line of each record
}

// span is where a line is; its end includes the newline.
type span struct{ from, to int64 }

// line is a change: a record's new value, or its end if there is none.
type line struct {
	Name  string
	Value json.RawMessage `json:",omitempty"`
}

// rewriteAbove is above for every Register outside of tests.
const rewriteAbove = 4096

// Open reads the file at path, which need not be there, and returns the
// records by name. A line that cannot be read is logged and left out; a crash
// may have cut the last one short. The file stays as it is until the first
// change, which writes it anew: a full disk keeps nobody from reading.
func Open(path string, log *slog.Logger) (*Register, map[string]json.RawMessage, error) {
	r := &Register{path: path, above: rewriteAbove, at: map[string]span{}}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	values := map[string]json.RawMessage{}
	for text := range bytes.Lines(b) {
		from := r.size
		r.size += int64(len(text))
		var l line
		if err := json.Unmarshal(text, &l); err != nil || l.Name == "" || text[len(text)-1] != '\n' {
			log.Warn("a record cannot be read and is left out", "file", path, "at", from, "err", err)
			continue
		}
		if delete(r.at, l.Name); l.Value == nil {
			delete(values, l.Name)
			continue
		}
		r.at[l.Name], values[l.Name] = span{from, r.size}, l.Value
	}
	if len(values) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, nil, err
		}
	}
	return r, values, nil
}

// Put writes a record: after nil it is there for the next Open.
func (r *Register) Put(name string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	b, err = json.Marshal(line{name, b})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	from, err := r.append(b)
	if err == nil {
		r.at[name] = span{from, r.size}
	}
	return err
}

// Delete removes a record; one that is not there is no error.
func (r *Register) Delete(name string) error {
	b, err := json.Marshal(line{Name: name})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.at[name]; !ok {
		return nil
	}
	if _, err := r.append(b); err != nil {
		return err
	}
	delete(r.at, name)
	return nil
}

// append writes a line and returns where it begins.
func (r *Register) append(b []byte) (from int64, err error) {
	if r.file == nil || r.lines > r.above && r.lines > 8*len(r.at) {
		// History that cannot be dropped now, on a full disk say, is no reason to
		// lose a change.
		if err := r.rewrite(); err != nil && r.file == nil {
			return 0, err
		}
	}
	from = r.size
	n, err := r.file.Write(append(b, '\n'))
	r.size += int64(n)
	if err != nil {
		// Part of a line may be there: begin anew with the next.
		r.closeFile()
		return 0, fmt.Errorf("write %s: %w", r.path, err)
	}
	r.lines++
	return from, nil
}

// rewrite replaces the file by one without history.
func (r *Register) rewrite() error {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return err
	}
	tmp := r.path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	at, size, err := r.copy(f)
	if err == nil && size > 0 {
		// Or a power loss could leave the new name with nothing in it.
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, r.path)
	}
	if err != nil {
		f.Close()
		os.Remove(tmp) // it takes room that the disk may lack
		return fmt.Errorf("write %s: %w", r.path, err)
	}
	r.closeFile()
	r.file, r.size, r.at, r.lines = f, size, at, len(at)
	return nil
}

// copy writes the newest line of each record to w and returns where they are.
func (r *Register) copy(w io.Writer) (at map[string]span, size int64, err error) {
	at = make(map[string]span, len(r.at))
	if len(r.at) == 0 {
		return at, 0, nil
	}
	old, err := os.Open(r.path)
	if err != nil {
		return nil, 0, err
	}
	defer old.Close()
	out := bufio.NewWriter(w)
	for name, s := range r.at {
		n, err := io.Copy(out, io.NewSectionReader(old, s.from, s.to-s.from))
		if err == nil && n < s.to-s.from {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, 0, err
		}
		at[name] = span{size, size + n}
		size += n
	}
	return at, size, out.Flush()
}

func (r *Register) closeFile() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// Close lets go of the file; a later Put opens it again.
func (r *Register) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closeFile()
}

// Clear forgets every record and removes the file.
func (r *Register) Clear() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closeFile()
	clear(r.at)
	if err := os.Remove(r.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
