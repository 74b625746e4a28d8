package pattern

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// lexer reads the tokens of a pattern, and knows their places as AWS tells of
// them: the column behind what was read, where a string counts as read up to its
// first quote until somebody asks for its text.
type lexer struct {
	src   string
	pos   int
	quote int // behind the first quote of the last token, if that is a string; or 0
}

// token is a token; kind is '{', '}', '[', ']', '"', '0' for numbers, 't' for
// true, false and null, or 0 at the end.
type token struct {
	kind byte
	text string // of strings, numbers and literals
}

func (t token) String() string {
	if t.text != "" {
		return t.text
	}
	return string(t.kind)
}

// text counts the last token, a string, as read.
func (l *lexer) text() *lexer {
	l.quote = 0
	return l
}

// fail is an error at the place that was reached.
func (l *lexer) fail(format string, args ...any) error {
	return l.failAt(l.place(), format, args...)
}

// failInList is fail as AWS says it for the elements of inner lists: with the
// place twice.
func (l *lexer) failInList(format string, args ...any) error {
	err := l.fail(format, args...).(*Error)
	err.Where += err.Where
	return err
}

func (l *lexer) place() int {
	if l.quote > 0 {
		return l.quote
	}
	return l.pos
}

func (l *lexer) failAt(pos int, format string, args ...any) error {
	const shown = 500
	before := l.src[:min(pos, len(l.src))]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	src, more := l.src, ""
	if len(src) > shown {
		cut := shown
		for !utf8.RuneStart(src[cut]) {
			cut--
		}
		src, more = src[:cut], fmt.Sprintf("[truncated %d chars]", utf8.RuneCountInString(src[cut:]))
	}
	return &Error{Reason: fmt.Sprintf(format, args...), Where: fmt.Sprintf("\n at [Source: (String)\"%s\"%s; line: %d, column: %d]", src, more, line, column)}
}

func (l *lexer) space() {
	for l.pos < len(l.src) && strings.IndexByte(" \t\r\n", l.src[l.pos]) >= 0 {
		l.pos++
	}
}

// next reads a token where a value may stand, or the end of an array or object.
func (l *lexer) next() (token, error) {
	l.quote = 0
	l.space()
	if l.pos == len(l.src) {
		return token{}, l.fail("Unexpected end-of-input")
	}
	c := l.src[l.pos]
	switch c {
	case '{', '}', '[', ']':
		l.pos++
		return token{kind: c}, nil
	case '"':
		return l.str()
	case ',', ':':
		return token{}, l.unexpected("expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")
	}
	return l.word()
}

func (l *lexer) unexpected(want string) error {
	r, _ := utf8.DecodeRuneInString(l.src[l.pos:])
	return l.failAt(l.pos, "Unexpected character ('%c' (code %d)): %s", r, r, want)
}

// word reads a number or a literal.
func (l *lexer) word() (token, error) {
	start := l.pos
	for l.pos < len(l.src) && !delimiter(l.src[l.pos]) {
		l.pos++
	}
	text := l.src[start:l.pos]
	switch text {
	case "true", "false", "null":
		return token{kind: 't', text: text}, nil
	}
	if isNumber([]byte(text)) {
		return token{kind: '0', text: text}, nil
	}
	if c := text[0]; c == '-' || c >= '0' && c <= '9' || c == '\'' {
		l.pos = start
		return token{}, l.unexpected("was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")
	}
	return token{}, l.fail("Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')", text)
}

// str reads a string, at whose quote it stands.
func (l *lexer) str() (token, error) {
	l.pos++
	quote := l.pos
	var text []byte
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		switch {
		case c == '"':
			l.pos++
			l.quote = quote
			return token{kind: '"', text: strings.ToValidUTF8(string(text), "\uFFFD")}, nil
		case c < ' ':
			return token{}, l.failAt(l.pos, "Illegal unquoted character ((CTRL-CHAR, code %d)): has to be escaped using backslash to be included in string value", c)
		case c == '\\':
			var ok bool
			if text, l.pos, ok = unescape(text, []byte(l.src), l.pos); !ok {
				return token{}, l.failAt(l.pos+1, "Unrecognized character escape")
			}
		default:
			text = append(text, c)
			l.pos++
		}
	}
	return token{}, l.fail("Unexpected end-of-input: was expecting closing quote for a string value")
}

// name reads the name of an object's next member and the colon behind it, or the
// end of the object.
func (l *lexer) name(first bool) (name string, end bool, err error) {
	l.quote = 0
	l.space()
	if l.pos < len(l.src) && l.src[l.pos] == '}' {
		l.pos++
		return "", true, nil
	}
	if !first {
		if err := l.punctuation(',', "comma to separate Object entries"); err != nil {
			return "", false, err
		}
		l.space()
	}
	if l.pos == len(l.src) {
		return "", false, l.fail("Unexpected end-of-input: expected close marker for Object")
	}
	if l.src[l.pos] != '"' {
		return "", false, l.unexpected("was expecting double-quote to start field name")
	}
	t, err := l.str()
	if err != nil {
		return "", false, err
	}
	l.quote = 0
	return t.text, false, l.punctuation(':', "colon to separate field name and value")
}

// element reads an array's next element's first token, or its end.
func (l *lexer) element(first bool) (token, error) {
	l.quote = 0
	l.space()
	if !first && l.pos < len(l.src) && l.src[l.pos] != ']' {
		if err := l.punctuation(',', "comma to separate Array entries"); err != nil {
			return token{}, err
		}
		l.space()
		if l.pos < len(l.src) && l.src[l.pos] == ']' {
			return token{}, l.unexpected("expected a value")
		}
	}
	t, err := l.next()
	if err == nil && t.kind == '}' {
		l.pos--
		return token{}, l.unexpected("expected a value or the end of the Array")
	}
	return t, err
}

func (l *lexer) punctuation(c byte, what string) error {
	l.space()
	if l.pos == len(l.src) {
		return l.fail("Unexpected end-of-input: was expecting %s", what)
	}
	if l.src[l.pos] != c {
		return l.unexpected("was expecting " + what)
	}
	l.pos++
	return nil
}

// skip passes over a value.
func (l *lexer) skip() error {
	s := scanner{src: []byte(l.src), pos: l.pos}
	if err := s.skip(0); err != nil {
		return err
	}
	l.pos = s.pos
	return nil
}
