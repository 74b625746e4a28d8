package codec

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner takes JSON text apart. It is strict: what it accepts, encoding/json
// accepts.
type scanner struct {
	b     []byte
	i     int
	depth int
	buf   []byte // of the last string with escapes
}

func (s *scanner) invalid() error {
	if s.i >= len(s.b) {
		return broken("The request body is not valid JSON: it ends at byte %d, inside a value", s.i)
	}
	return broken("The request body is not valid JSON: unexpected character (code %d) at byte %d", s.b[s.i], s.i)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is no space, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// next moves past a comma to the next element; done is at the closing end.
func (s *scanner) next(first bool, end byte) (done bool, err error) {
	c := s.peek()
	if c == end {
		s.i++
		return true, nil
	}
	if first {
		return false, nil
	}
	if c != ',' {
		return false, s.invalid()
	}
	s.i++
	if s.peek() == end {
		return false, s.invalid()
	}
	return false, nil
}

// key reads the next key of an object and its colon. On the first call the
// scanner is at '{'. The key is valid until the next string.
func (s *scanner) key(first bool) (key []byte, done bool, err error) {
	if first {
		s.i++
	}
	if done, err = s.next(first, '}'); done || err != nil {
		return nil, done, err
	}
	if s.peek() != '"' {
		return nil, false, s.invalid()
	}
	if key, err = s.str(); err != nil {
		return nil, false, err
	}
	if s.peek() != ':' {
		return nil, false, s.invalid()
	}
	s.i++
	return key, false, nil
}

// null moves past a null, if one is next.
func (s *scanner) null() bool {
	if s.peek() == 'n' && bytes.HasPrefix(s.b[s.i:], []byte("null")) {
		s.i += 4
		return true
	}
	return false
}

// literal moves past true, false or null.
func (s *scanner) literal() error {
	for _, word := range []string{"true", "false", "null"} {
		if len(s.b)-s.i >= len(word) && string(s.b[s.i:s.i+len(word)]) == word {
			s.i += len(word)
			return nil
		}
	}
	return s.invalid()
}

// str reads a string. The bytes are valid until the next call.
func (s *scanner) str() ([]byte, error) {
	s.i++
	start := s.i
	ascii := true
	for {
		s.i += plain(s.b[s.i:])
		if s.i >= len(s.b) {
			return nil, s.invalid()
		}
		switch c := s.b[s.i]; {
		case c == '"':
			out := s.b[start:s.i]
			if !ascii && !utf8.Valid(out) {
				return nil, broken("The request body is not valid UTF-8 at byte %d", start)
			}
			s.i++
			return out, nil
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return nil, s.invalid()
		default:
			ascii = false
			s.i++
		}
	}
}

// plain is how many bytes there are before one that ends a string, begins an
// escape, is no ASCII or must not be in a string. It looks at eight together.
func plain(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		quote, slash := w^'"'*ones, w^'\\'*ones
		// A byte's top bit is set in x-ones&^x where it is zero in x; what a carry
		// adds is above one that is.
		if found := (w | (w-' '*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & tops; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] < utf8.RuneSelf && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// unescaped is what stands for a character after a backslash, zero for none.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads a string that has an escape at s.i. Escapes stand close together
// in most such strings, which hold JSON, so it goes byte by byte.
func (s *scanner) escaped(start int) ([]byte, error) {
	if rest := len(s.b) - start; cap(s.buf) < rest {
		s.buf = make([]byte, rest) // no string is longer than its escaped form
	}
	out := s.buf[:cap(s.buf)]
	n := copy(out, s.b[start:s.i])
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			if !utf8.Valid(out[:n]) {
				return nil, broken("The request body is not valid UTF-8 at byte %d", start)
			}
			return out[:n], nil
		case c < 0x20:
			return nil, s.invalid()
		case c != '\\':
			s.i++
		case s.i+1 < len(s.b) && unescaped[s.b[s.i+1]] != 0:
			c = unescaped[s.b[s.i+1]]
			s.i += 2
		default:
			r, err := s.unicode()
			if err != nil {
				return nil, err
			}
			n += utf8.EncodeRune(out[n:], r)
			continue
		}
		out[n] = c
		n++
	}
	return nil, s.invalid()
}

// unicode reads an escape by number; a pair of surrogates is one character.
func (s *scanner) unicode() (rune, error) {
	if s.i+1 >= len(s.b) || s.b[s.i+1] != 'u' {
		s.i++
		return 0, s.invalid()
	}
	s.i += 2
	r, ok := s.hex4()
	if !ok {
		return 0, s.invalid()
	}
	if utf16.IsSurrogate(r) {
		r = s.surrogate(r)
	}
	return r, nil
}

// surrogate reads the second half of a pair; a lone half is U+FFFD.
func (s *scanner) surrogate(first rune) rune {
	if s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
		at := s.i
		s.i += 2
		if second, ok := s.hex4(); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				return r
			}
		}
		s.i = at
	}
	return utf8.RuneError
}

func (s *scanner) hex4() (rune, bool) {
	if len(s.b)-s.i < 4 {
		return 0, false
	}
	var r rune
	for _, c := range s.b[s.i : s.i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.i += 4
	return r, true
}

// num reads a number's text; whole says that it has no fraction or exponent.
func (s *scanner) num() (text []byte, whole bool, err error) {
	start := s.i
	whole = true
	if s.at('-') {
		s.i++
	}
	switch {
	case s.at('0'):
		s.i++
	case !s.digits():
		return nil, false, s.invalid()
	}
	if s.at('.') {
		s.i++
		whole = false
		if !s.digits() {
			return nil, false, s.invalid()
		}
	}
	if s.at('e') || s.at('E') {
		s.i++
		whole = false
		if s.at('+') || s.at('-') {
			s.i++
		}
		if !s.digits() {
			return nil, false, s.invalid()
		}
	}
	return s.b[start:s.i], whole, nil
}

func (s *scanner) at(c byte) bool { return s.i < len(s.b) && s.b[s.i] == c }

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// skip moves past a value of any kind.
func (s *scanner) skip() error {
	switch c := s.peek(); {
	case c == '{':
		if s.depth++; s.depth > maxDepth {
			return errDepth
		}
		for first := true; ; first = false {
			_, done, err := s.key(first)
			if err != nil {
				return err
			}
			if done {
				s.depth--
				return nil
			}
			if err := s.skip(); err != nil {
				return err
			}
		}
	case c == '[':
		if s.depth++; s.depth > maxDepth {
			return errDepth
		}
		s.i++
		for first := true; ; first = false {
			done, err := s.next(first, ']')
			if err != nil {
				return err
			}
			if done {
				s.depth--
				return nil
			}
			if err := s.skip(); err != nil {
				return err
			}
		}
	case c == '"':
		_, err := s.str()
		return err
	case c == '-', '0' <= c && c <= '9':
		_, _, err := s.num()
		return err
	}
	return s.literal()
}
