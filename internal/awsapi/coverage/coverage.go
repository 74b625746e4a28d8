// Package coverage writes docs/coverage.md: every operation of every AWS
// model that dhow knows, and whether dhow serves it. What is served comes from
// the server itself; what is served in part, from docs/coverage-notes.tsv.
package coverage

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// Note says what of an operation is missing.
type Note struct {
	Service   string // the model's name
	Operation string
	Field     string // "" for the operation as a whole
	Text      string
}

// ParseNotes reads lines of "service TAB operation[.field] TAB note"; those
// that begin with # are comments.
func ParseNotes(tsv []byte) ([]Note, error) {
	var notes []Note
	lines := bufio.NewScanner(bytes.NewReader(tsv))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), "\r ")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, "\t")
		if len(parts) != 3 || parts[2] == "" {
			return nil, fmt.Errorf("line %d: want service, operation[.field] and note, with tabs between them", n)
		}
		op, field, _ := strings.Cut(parts[1], ".")
		info, ok := model.Lookup(parts[0])
		if !ok {
			return nil, fmt.Errorf("line %d: there is no service %q", n, parts[0])
		}
		if !info.HasOp(op) {
			return nil, fmt.Errorf("line %d: %s has no operation %q", n, parts[0], op)
		}
		notes = append(notes, Note{parts[0], op, field, parts[2]})
	}
	return notes, lines.Err()
}

// section is what the page says of one service.
type section struct {
	info         *model.Info
	done, partly []string
	not          []string
	notes        map[string][]Note
}

// Render returns the page for the operations that are served, by model name
// (awsapi.Server.Served).
func Render(served map[string][]string, notes []Note) ([]byte, error) {
	list, err := sections(served, notes)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# API coverage\n\nWritten by `dhow coverage`; do not edit. What is served in part is told in `coverage-notes.tsv`.\n" +
		"An operation that is not served answers 501 with an error that names it.\n\n" +
		"| service | done | partly | not | of |\n|---|--:|--:|--:|--:|\n")
	var done, partly, not int
	for _, s := range list {
		done, partly, not = done+len(s.done), partly+len(s.partly), not+len(s.not)
		name := s.info.FullName
		if len(s.done)+len(s.partly) > 0 {
			name = fmt.Sprintf("[%s](#%s)", name, s.info.Name)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", name, len(s.done), len(s.partly), len(s.not), len(s.info.Ops))
	}
	fmt.Fprintf(&b, "| all | %d | %d | %d | %d |\n", done, partly, not, done+partly+not)
	for _, s := range list {
		s.write(&b)
	}
	return b.Bytes(), nil
}

// sections puts the services with served operations first, then by name.
func sections(served map[string][]string, notes []Note) ([]*section, error) {
	all, err := model.All()
	if err != nil {
		return nil, err
	}
	var out []*section
	for _, info := range all {
		s := &section{info: info, notes: map[string][]Note{}}
		for _, n := range notes {
			if n.Service == info.Name {
				s.notes[n.Operation] = append(s.notes[n.Operation], n)
			}
		}
		for _, op := range info.Ops {
			switch {
			case !slices.Contains(served[info.Name], op):
				s.not = append(s.not, op)
			case len(s.notes[op]) > 0:
				s.partly = append(s.partly, op)
			default:
				s.done = append(s.done, op)
			}
		}
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if x, y := len(a.done)+len(a.partly) > 0, len(b.done)+len(b.partly) > 0; x != y {
			return x
		}
		return a.info.Name < b.info.Name
	})
	return out, nil
}

func (s *section) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\n%s, API version %s.\n", s.info.Name, s.info.FullName, s.info.Version)
	list := func(title string, ops []string) {
		if len(ops) > 0 {
			fmt.Fprintf(b, "\n**%s** (%d): %s\n", title, len(ops), strings.Join(ops, ", "))
		}
	}
	list("Done", s.done)
	if len(s.partly) > 0 {
		fmt.Fprintf(b, "\n**Partly** (%d):\n\n", len(s.partly))
		for _, op := range s.partly {
			for _, n := range s.notes[op] {
				name := op
				if n.Field != "" {
					name += "." + n.Field
				}
				fmt.Fprintf(b, "- %s: %s\n", name, n.Text)
			}
		}
	}
	list("Not", s.not)
}

// File renders the page from the notes in that file.
func File(served map[string][]string, notesFile string) ([]byte, error) {
	tsv, err := os.ReadFile(notesFile)
	if err != nil {
		return nil, err
	}
	notes, err := ParseNotes(tsv)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", notesFile, err)
	}
	return Render(served, notes)
}

// Current returns an error unless page is what File would write.
func Current(served map[string][]string, notesFile, page string) error {
	want, err := File(served, notesFile)
	if err != nil {
		return err
	}
	have, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%s is not what the server serves; run dhow coverage", page)
	}
	return nil
}
