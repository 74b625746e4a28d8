package idl

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dhowhq/dhow/contract/verdict"
)

// form is the kind of a token.
type form byte

const (
	end    form = iota
	word        // an identifier, which may have dots and dashes
	quoted      // an identifier in backquotes, which is no keyword
	text        // a string
	number
	mark // one character
)

type token struct {
	form form
	text string // of strings the characters
	line int
	doc  string // the documentation comment before it
}

func (t token) String() string {
	switch t.form {
	case end:
		return "the end of the file"
	case text:
		return "a string"
	}
	return "`" + t.text + "`"
}

// lexer cuts a text into tokens, one ahead.
type lexer struct {
	source string // the file's path
	text   string
	at     int
	line   int
	next   token
}

func (l *lexer) fail(line int, format string, args ...any) error {
	return &verdict.Malformed{Place: verdict.Place{File: l.source, Line: line}, Detail: fmt.Sprintf(format, args...)}
}

// take is the token that is next, and reads the one after it.
func (l *lexer) take() (token, error) {
	t := l.next
	return t, l.advance()
}

func (l *lexer) advance() error {
	doc, err := l.blank()
	if err != nil {
		return err
	}
	l.next = token{line: l.line, doc: doc}
	if l.at >= len(l.text) {
		return nil
	}
	switch c := l.text[l.at]; {
	case letter(c):
		l.next.form, l.next.text = word, l.identifier()
	case c == '`':
		return l.backquoted()
	case c == '"' || c == '\'':
		return l.string(c)
	case digit(c) || c == '-' && l.at+1 < len(l.text) && (digit(l.text[l.at+1]) || l.text[l.at+1] == 'I'):
		l.next.form, l.next.text = number, l.number()
	default:
		_, size := utf8.DecodeRuneInString(l.text[l.at:])
		l.next.form, l.next.text = mark, l.text[l.at:l.at+size]
		l.at += size
	}
	return nil
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// blank skips space and comments and keeps the last that is documentation.
func (l *lexer) blank() (doc string, err error) {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case rest[0] == '\n':
			l.line++
			l.at++
		case strings.IndexByte(" \t\r\f", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "//"):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				l.at += n
			} else {
				l.at = len(l.text)
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return "", l.fail(l.line, "a comment does not end")
			}
			comment := rest[2 : 2+n]
			if strings.HasPrefix(comment, "*") {
				doc = documentation(comment[1:])
			}
			l.line += strings.Count(comment, "\n")
			l.at += n + 4
		default:
			return doc, nil
		}
	}
	return doc, nil
}

// documentation is a comment without the stars at its left.
func documentation(comment string) string {
	lines := strings.Split(comment, "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		lines[i] = strings.TrimSpace(strings.TrimPrefix(line, "*"))
	}
	return strings.ToValidUTF8(strings.TrimSpace(strings.Join(lines, "\n")), "\uFFFD")
}

// identifier reads words joined by dots or dashes.
func (l *lexer) identifier() string {
	start := l.at
	for l.at < len(l.text) {
		c := l.text[l.at]
		joint := (c == '.' || c == '-') && l.at+1 < len(l.text) && letter(l.text[l.at+1])
		if !joint && !letter(c) && !digit(c) {
			break
		}
		l.at++
	}
	return l.text[start:l.at]
}

func (l *lexer) backquoted() error {
	n := strings.IndexByte(l.text[l.at+1:], '`')
	if n < 1 {
		return l.fail(l.line, "a name in backquotes does not end")
	}
	l.next.form, l.next.text = quoted, l.text[l.at+1:l.at+1+n]
	l.at += n + 2
	if strings.ContainsAny(l.next.text, "\n") {
		return l.fail(l.line, "a name in backquotes does not end")
	}
	return nil
}

func (l *lexer) number() string {
	start := l.at
	for l.at++; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		sign := (c == '-' || c == '+') && l.text[l.at-1]|0x20 == 'e'
		if !digit(c) && !letter(c) && c != '.' && !sign {
			break
		}
	}
	return l.text[start:l.at]
}

// string reads a string with JSON's escapes; single quotes serve as well.
func (l *lexer) string(quote byte) error {
	raw := []byte{'"'}
	for i := l.at + 1; i < len(l.text); i++ {
		switch c := l.text[i]; {
		case c == quote:
			l.at = i + 1
			l.next.form = text
			raw = append(raw, '"')
			if !utf8.Valid(raw) || json.Unmarshal(raw, &l.next.text) != nil {
				return l.fail(l.line, "a string is not valid: its escapes are those of JSON")
			}
			return nil
		case c == '\n':
			return l.fail(l.line, "a string does not end on its line")
		case c == '\\' && i+1 < len(l.text):
			i++
			if l.text[i] == '\'' {
				raw = append(raw, '\'')
			} else {
				raw = append(raw, c, l.text[i])
			}
		case c == '"':
			raw = append(raw, '\\', '"')
		default:
			raw = append(raw, c)
		}
	}
	return l.fail(l.line, "a string does not end")
}
