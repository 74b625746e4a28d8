package avro

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting bounds how deep JSON and data may nest; the libraries that read
// what passes here draw the same line.
const maxNesting = 1000

// shape is a kind of JSON value.
type shape byte

const (
	jsonNull shape = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

func (s shape) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[s]
}

// value is a JSON value that knows its line.
type value struct {
	shape shape
	line  int
	text  string   // of strings the characters, of numbers and booleans the literal
	names []string // of objects, one for each item
	items []value
}

// member finds a member of an object by name, nil where it has none.
func (v *value) member(name string) *value {
	for i, n := range v.names {
		if n == name {
			return &v.items[i]
		}
	}
	return nil
}

// textOf is a member that is a string, else "".
func (v *value) textOf(name string) string {
	if m := v.member(name); m != nil && m.shape == jsonString {
		return m.text
	}
	return ""
}

// jsonReader reads one JSON text strictly by RFC 8259, keeping lines.
// encoding/json keeps no places, takes duplicate names and mends bad UTF-8.
type jsonReader struct {
	text  string
	at    int
	line  int
	depth int
}

// jsonError is what is wrong with a JSON text.
type jsonError struct {
	line   int
	detail string
}

func (e *jsonError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.detail) }

func readJSON(text string) (value, *jsonError) {
	r := jsonReader{text: text, line: 1}
	v, err := r.value()
	if err != nil {
		return v, err
	}
	if r.space(); r.at < len(text) {
		return v, r.fail("something follows the end of the JSON value: %s", r.here())
	}
	return v, nil
}

func (r *jsonReader) fail(format string, args ...any) *jsonError {
	return &jsonError{r.line, fmt.Sprintf(format, args...)}
}

// here quotes what comes next, for messages.
func (r *jsonReader) here() string {
	if r.at >= len(r.text) {
		return "the end of the text"
	}
	_, n := utf8.DecodeRuneInString(r.text[r.at:])
	return strconv.Quote(r.text[r.at : r.at+n])
}

func (r *jsonReader) space() {
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\n':
			r.line++
		case ' ', '\t', '\r':
		default:
			return
		}
	}
}

// next skips space and tells the byte that comes, 0 at the end.
func (r *jsonReader) next() byte {
	if r.space(); r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *jsonReader) value() (v value, err *jsonError) {
	c := r.next()
	v.line = r.line
	switch {
	case c == '{', c == '[':
		if r.depth++; r.depth > maxNesting {
			return v, r.fail("JSON nests deeper than %d levels", maxNesting)
		}
		if c == '{' {
			err = r.object(&v)
		} else {
			err = r.array(&v)
		}
		r.depth--
	case c == '"':
		v.shape = jsonString
		v.text, err = r.string()
	case c == '-' || c >= '0' && c <= '9':
		v.shape = jsonNumber
		v.text, err = r.number()
	default:
		err = r.word(&v)
	}
	return v, err
}

func (r *jsonReader) word(v *value) *jsonError {
	for _, w := range []string{"null", "true", "false"} {
		if !strings.HasPrefix(r.text[r.at:], w) {
			continue
		}
		if r.at += len(w); w != "null" {
			v.shape, v.text = jsonBool, w
		}
		return nil
	}
	return r.fail("a JSON value should be here, not %s", r.here())
}

func (r *jsonReader) array(v *value) *jsonError {
	v.shape = jsonArray
	r.at++
	if r.next() == ']' {
		r.at++
		return nil
	}
	for {
		item, err := r.value()
		if err != nil {
			return err
		}
		v.items = append(v.items, item)
		switch r.next() {
		case ',':
			r.at++
		case ']':
			r.at++
			return nil
		default:
			return r.fail("an array goes on with a comma or ends with ], not with %s", r.here())
		}
	}
}

func (r *jsonReader) object(v *value) *jsonError {
	v.shape = jsonObject
	r.at++
	if r.next() == '}' {
		r.at++
		return nil
	}
	var seen map[string]bool // once there are too many to look through
	for {
		if err := r.objectMember(v, &seen); err != nil {
			return err
		}
		switch r.next() {
		case ',':
			r.at++
		case '}':
			r.at++
			return nil
		default:
			return r.fail("an object goes on with a comma or ends with }, not with %s", r.here())
		}
	}
}

func (r *jsonReader) objectMember(v *value, seen *map[string]bool) *jsonError {
	if r.next() != '"' {
		return r.fail("a member's name in quotes should be here, not %s", r.here())
	}
	name, err := r.string()
	if err != nil {
		return err
	}
	if twice(v.names, name, seen) {
		return r.fail("%q is twice in one object", name)
	}
	if r.next() != ':' {
		return r.fail("a colon should follow the name %q, not %s", name, r.here())
	}
	r.at++
	item, err := r.value()
	v.names, v.items = append(v.names, name), append(v.items, item)
	return err
}

// twice reports whether name is among names, in constant time once there are many.
func twice(names []string, name string, seen *map[string]bool) bool {
	if len(names) < 16 {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return false
	}
	if *seen == nil {
		*seen = make(map[string]bool, 2*len(names))
		for _, n := range names {
			(*seen)[n] = true
		}
	}
	if (*seen)[name] {
		return true
	}
	(*seen)[name] = true
	return false
}

func (r *jsonReader) string() (string, *jsonError) {
	r.at++
	start := r.at
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			s := r.text[start:r.at]
			r.at++
			return r.valid(s)
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", r.fail("a string holds the control character %#02x: it has to be escaped", c)
		}
	}
	return "", r.fail("a string does not end")
}

func (r *jsonReader) valid(s string) (string, *jsonError) {
	if !utf8.ValidString(s) {
		return "", r.fail("a string is not valid UTF-8")
	}
	return s, nil
}

// escaped goes on reading a string at its first escape.
func (r *jsonReader) escaped(start int) (string, *jsonError) {
	buf := []byte(r.text[start:r.at])
	for r.at < len(r.text) {
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return r.valid(string(buf))
		case c < ' ':
			return "", r.fail("a string holds the control character %#02x: it has to be escaped", c)
		case c != '\\':
			buf = append(buf, c)
		default:
			char, err := r.escape()
			if err != nil {
				return "", err
			}
			buf = utf8.AppendRune(buf, char)
		}
	}
	return "", r.fail("a string does not end")
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads what follows a backslash.
func (r *jsonReader) escape() (rune, *jsonError) {
	if r.at >= len(r.text) {
		return 0, r.fail("a string does not end")
	}
	c := r.text[r.at]
	r.at++
	if c != 'u' {
		char, ok := escapes[c]
		if !ok {
			return 0, r.fail(`\%c is no escape in JSON`, c)
		}
		return char, nil
	}
	char, err := r.hex()
	if err != nil || !utf16.IsSurrogate(char) {
		return char, err
	}
	if strings.HasPrefix(r.text[r.at:], `\u`) {
		r.at += 2
		low, err := r.hex()
		if err != nil {
			return 0, err
		}
		if both := utf16.DecodeRune(char, low); both != utf8.RuneError {
			return both, nil
		}
	}
	return 0, r.fail(`\u%04x is half a character`, char)
}

func (r *jsonReader) hex() (rune, *jsonError) {
	if r.at+4 > len(r.text) {
		return 0, r.fail(`\u needs four hexadecimal digits`)
	}
	n, err := strconv.ParseUint(r.text[r.at:r.at+4], 16, 16)
	if err != nil {
		return 0, r.fail(`\u needs four hexadecimal digits, not %q`, r.text[r.at:r.at+4])
	}
	r.at += 4
	return rune(n), nil
}

func (r *jsonReader) number() (string, *jsonError) {
	start := r.at
	r.accept("-")
	switch {
	case r.accept("0"):
	case r.digits() == 0:
		return "", r.fail("a number has no digits")
	}
	if r.accept(".") && r.digits() == 0 {
		return "", r.fail("a number has no digits after its point")
	}
	if r.accept("eE") {
		r.accept("+-")
		if r.digits() == 0 {
			return "", r.fail("a number has no digits in its exponent")
		}
	}
	return r.text[start:r.at], nil
}

func (r *jsonReader) accept(any string) bool {
	if r.at < len(r.text) && strings.IndexByte(any, r.text[r.at]) >= 0 {
		r.at++
		return true
	}
	return false
}

func (r *jsonReader) digits() (n int) {
	for ; r.at < len(r.text) && r.text[r.at] >= '0' && r.text[r.at] <= '9'; r.at++ {
		n++
	}
	return n
}
