package jsonschema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What a JSON text may come to. Numbers are bounded as the library under this
// package computes with fractions of any size, and panics where there is none.
const (
	maxDepth  = 512 // arrays and objects within each other
	maxDigits = 400 // characters of a number
	maxPower  = 400 // its exponent, either way; IEEE 754 ends at 308
)

// reader reads one JSON text (RFC 8259) into what the library takes: map, slice,
// string, json.Number, bool, nil. Stricter than encoding/json, it refuses what
// two readers may read differently: keys that occur twice and bytes that are no
// UTF-8.
type reader struct {
	text  string
	at    int
	depth int

	lines map[string]int // by JSON pointer; nil: not wanted
	path  []string       // kept only with lines
	noted int            // the byte at which the last value in lines begins
	line  int            // and its line, from 1
}

// decode reads a text as a whole; its errors are *syntaxError.
func decode(text string) (any, error) {
	r := reader{text: text}
	return r.document()
}

// decodeLines also says on which line each value begins, by JSON pointer.
func decodeLines(text string) (any, map[string]int, error) {
	r := reader{text: text, lines: map[string]int{}, line: 1}
	v, err := r.document()
	return v, r.lines, err
}

// syntaxError is what is wrong with a JSON text.
type syntaxError struct {
	line   int
	detail string
}

func (e *syntaxError) Error() string { return e.detail }

func (r *reader) document() (any, error) {
	r.space()
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	r.space()
	if r.at < len(r.text) {
		return nil, r.fail("something follows the JSON value")
	}
	return v, nil
}

func (r *reader) fail(format string, args ...any) error {
	line := 1 + strings.Count(r.text[:min(r.at, len(r.text))], "\n")
	return &syntaxError{line, fmt.Sprintf(format, args...)}
}

// unexpected is the error at a byte that begins or continues nothing.
func (r *reader) unexpected(want string) error {
	if r.at >= len(r.text) {
		return r.fail("the JSON text ends where %s should be", want)
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return r.fail("%q at byte %d where %s should be", c, r.at, want)
}

func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

func (r *reader) value() (any, error) {
	if r.lines != nil {
		r.note()
	}
	if r.at >= len(r.text) {
		return nil, r.unexpected("a value")
	}
	switch c := r.text[r.at]; {
	case c == '{':
		return r.nested((*reader).object)
	case c == '[':
		return r.nested((*reader).array)
	case c == '"':
		return r.string()
	case c == '-' || '0' <= c && c <= '9':
		return r.number()
	}
	return r.word()
}

var constants = [...]struct {
	text  string
	value any
}{{"true", true}, {"false", false}, {"null", nil}}

func (r *reader) word() (any, error) {
	rest := r.text[r.at:]
	for _, w := range constants {
		if strings.HasPrefix(rest, w.text) {
			r.at += len(w.text)
			return w.value, nil
		}
	}
	return nil, r.unexpected("a value")
}

func (r *reader) nested(read func(*reader) (any, error)) (any, error) {
	if r.depth++; r.depth > maxDepth {
		return nil, r.fail("more than %d arrays and objects within each other", maxDepth)
	}
	r.at++
	v, err := read(r)
	r.depth--
	return v, err
}

func (r *reader) object() (any, error) {
	obj := map[string]any{}
	for r.space(); !r.take('}'); {
		if len(obj) > 0 {
			if !r.take(',') {
				return nil, r.unexpected(`"," or "}"`)
			}
			r.space()
		}
		if err := r.member(obj); err != nil {
			return nil, err
		}
	}
	return obj, nil
}

func (r *reader) member(obj map[string]any) error {
	if r.at >= len(r.text) || r.text[r.at] != '"' {
		return r.unexpected("a key in quotes")
	}
	key, err := r.string()
	if err != nil {
		return err
	}
	if _, twice := obj[key]; twice {
		return r.fail("the key %q occurs twice in one object", key)
	}
	r.space()
	if !r.take(':') {
		return r.unexpected(`":"`)
	}
	r.space()
	obj[key], err = r.child(key)
	r.space()
	return err
}

func (r *reader) array() (any, error) {
	arr := []any{}
	for r.space(); !r.take(']'); {
		if len(arr) > 0 {
			if !r.take(',') {
				return nil, r.unexpected(`"," or "]"`)
			}
			r.space()
		}
		v, err := r.element(len(arr))
		if err != nil {
			return nil, err
		}
		arr = append(arr, v)
		r.space()
	}
	return arr, nil
}

func (r *reader) element(i int) (any, error) {
	if r.lines == nil {
		return r.value()
	}
	return r.child(strconv.Itoa(i))
}

func (r *reader) child(step string) (any, error) {
	if r.lines == nil {
		return r.value()
	}
	r.path = append(r.path, step)
	v, err := r.value()
	r.path = r.path[:len(r.path)-1]
	return v, err
}

// note keeps where the value that comes begins. Values come in the order of the
// text, so that a line is counted on from the last.
func (r *reader) note() {
	r.line += strings.Count(r.text[r.noted:r.at], "\n")
	r.noted = r.at
	r.lines[pointer(r.path)] = r.line
}

func (r *reader) take(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) string() (string, error) {
	start := r.at + 1
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.at = i + 1
			return r.valid(r.text[start:i])
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.at = i
			return "", r.unexpected(`a character or a closing "`)
		}
	}
	r.at = len(r.text)
	return "", r.unexpected(`a closing "`)
}

func (r *reader) valid(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", r.fail("a string that is no UTF-8")
	}
	return s, nil
}

// escaped reads on with a string of which [start, i) has no escape.
func (r *reader) escaped(start, i int) (string, error) {
	out := []byte(r.text[start:i])
	for r.at = i; r.at < len(r.text); {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return r.valid(string(out))
		case c < ' ':
			return "", r.unexpected(`a character or a closing "`)
		case c != '\\':
			out = append(out, c)
			r.at++
		default:
			c, err := r.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, c)
		}
	}
	return "", r.unexpected(`a closing "`)
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (r *reader) escape() (rune, error) {
	if r.at+1 < len(r.text) && r.text[r.at+1] == 'u' {
		return r.unicode()
	}
	if r.at++; r.at < len(r.text) {
		if c, ok := escapes[r.text[r.at]]; ok {
			r.at++
			return c, nil
		}
	}
	return 0, r.unexpected("an escape of JSON")
}

// unicode reads \uXXXX, or two that make one character; halves of such a pair
// alone read as U+FFFD, as encoding/json has it.
func (r *reader) unicode() (rune, error) {
	c, ok := r.hex(r.at)
	if !ok {
		r.at += 2
		return 0, r.unexpected("four hexadecimal digits")
	}
	r.at += 6
	if !utf16.IsSurrogate(c) {
		return c, nil
	}
	if low, ok := r.hex(r.at); ok {
		if full := utf16.DecodeRune(c, low); full != utf8.RuneError {
			r.at += 6
			return full, nil
		}
	}
	return utf8.RuneError, nil
}

func (r *reader) hex(at int) (rune, bool) {
	if at+6 > len(r.text) || r.text[at:at+2] != `\u` {
		return 0, false
	}
	n, err := strconv.ParseUint(r.text[at+2:at+6], 16, 32)
	return rune(n), err == nil && r.text[at+2] != '+'
}

func (r *reader) number() (any, error) {
	start := r.at
	r.take('-')
	if !r.take('0') && r.digits() == 0 {
		return nil, r.unexpected("a digit")
	}
	if r.take('.') && r.digits() == 0 {
		return nil, r.unexpected("a digit")
	}
	if r.take('e') || r.take('E') {
		_ = r.take('-') || r.take('+')
		from := r.at
		if r.digits() == 0 {
			return nil, r.unexpected("a digit")
		}
		if n, err := strconv.Atoi(r.text[from:r.at]); err != nil || n > maxPower {
			return nil, r.fail("a number with an exponent beyond %d", maxPower)
		}
	}
	if r.at-start > maxDigits {
		return nil, r.fail("a number of more than %d characters", maxDigits)
	}
	return json.Number(r.text[start:r.at]), nil
}

func (r *reader) digits() (n int) {
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
		n++
	}
	return n
}

// pointer is the JSON pointer (RFC 6901) of a path.
func pointer(path []string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(steps.Replace(step))
	}
	return b.String()
}

var steps = strings.NewReplacer("~", "~0", "/", "~1")
