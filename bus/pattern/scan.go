package pattern

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// errJSON is the answer to an event that is no JSON object.
var errJSON = errors.New("pattern: the event is not a JSON object")

// MaxDepth is how deep an event's JSON may be nested.
const MaxDepth = 1000

// scanner reads the tokens of an event, which is not known to be JSON. It
// copies nothing but strings with escapes.
type scanner struct {
	src []byte
	pos int
	buf []byte // of strings with escapes; grows through one event
}

// peek skips white space and returns the byte that follows, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// eat takes c, if it is next.
func (s *scanner) eat(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// str reads a string, whose quote is next.
func (s *scanner) str() ([]byte, error) {
	start := s.pos + 1
	for i := start; i < len(s.src); i++ {
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return s.src[start:i], nil
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			return nil, errJSON
		}
	}
	return nil, errJSON
}

// escaped reads the rest of a string from its first escape, at i.
func (s *scanner) escaped(start, i int) ([]byte, error) {
	from := len(s.buf)
	s.buf = append(s.buf, s.src[start:i]...)
	for i < len(s.src) {
		c := s.src[i]
		switch {
		case c == '"':
			s.pos = i + 1
			return s.buf[from:len(s.buf):len(s.buf)], nil
		case c < ' ':
			return nil, errJSON
		case c != '\\':
			s.buf = append(s.buf, c)
			i++
		default:
			var ok bool
			if s.buf, i, ok = unescape(s.buf, s.src, i); !ok {
				return nil, errJSON
			}
		}
	}
	return nil, errJSON
}

// unescape appends what the escape at src[i] stands for, and returns where it
// ends. Half a surrogate pair stands for U+FFFD.
func unescape(dst, src []byte, i int) ([]byte, int, bool) {
	if i+1 >= len(src) {
		return dst, i, false
	}
	switch c := src[i+1]; c {
	case '"', '\\', '/':
		return append(dst, c), i + 2, true
	case 'b':
		return append(dst, '\b'), i + 2, true
	case 'f':
		return append(dst, '\f'), i + 2, true
	case 'n':
		return append(dst, '\n'), i + 2, true
	case 'r':
		return append(dst, '\r'), i + 2, true
	case 't':
		return append(dst, '\t'), i + 2, true
	case 'u':
		r, ok := hex4(src, i+2)
		if !ok {
			return dst, i, false
		}
		i += 6
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if i+1 < len(src) && src[i] == '\\' && src[i+1] == 'u' {
				low, ok := hex4(src, i+2)
				if !ok {
					return dst, i, false
				}
				if pair = utf16.DecodeRune(r, low); pair != utf8.RuneError {
					i += 6
				}
			}
			r = pair
		}
		return utf8.AppendRune(dst, r), i, true
	}
	return dst, i, false
}

func hex4(src []byte, i int) (r rune, ok bool) {
	if i+4 > len(src) {
		return 0, false
	}
	for _, c := range src[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// bare reads a number, true, false or null and returns its text.
func (s *scanner) bare() ([]byte, error) {
	start := s.pos
	for s.pos < len(s.src) && !delimiter(s.src[s.pos]) {
		s.pos++
	}
	text := s.src[start:s.pos]
	switch string(text) {
	case "true", "false", "null":
		return text, nil
	}
	if !isNumber(text) {
		return nil, errJSON
	}
	return text, nil
}

func delimiter(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\t', '\n', '\r', ':', '"', '[', '{':
		return true
	}
	return false
}

// isNumber reports whether text is a number in JSON's grammar.
func isNumber(text []byte) bool {
	i := 0
	digits := func() bool {
		from := i
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(text) && text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if !digits() {
		return false
	}
	if i < len(text) && text[i] == '.' {
		if i++; !digits() {
			return false
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(text) && i > 0
}

// skip passes over a value that nobody asks for.
func (s *scanner) skip(depth int) error {
	if depth > MaxDepth {
		return errJSON
	}
	switch s.peek() {
	case '"':
		mark := len(s.buf)
		_, err := s.str()
		s.buf = s.buf[:mark]
		return err
	case '{':
		s.pos++
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		s.pos++
		return s.array(func() error { return s.skip(depth + 1) })
	}
	_, err := s.bare()
	return err
}

// object reads the members of an object whose brace is taken; member reads a
// value.
func (s *scanner) object(member func(name []byte) error) error {
	if s.eat('}') {
		return nil
	}
	for {
		if s.peek() != '"' {
			return errJSON
		}
		name, err := s.str()
		if err != nil {
			return err
		}
		if !s.eat(':') {
			return errJSON
		}
		if err := member(name); err != nil {
			return err
		}
		if s.eat('}') {
			return nil
		}
		if !s.eat(',') {
			return errJSON
		}
	}
}

// array reads the elements of an array whose bracket is taken.
func (s *scanner) array(element func() error) error {
	if s.eat(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.eat(']') {
			return nil
		}
		if !s.eat(',') {
			return errJSON
		}
	}
}
