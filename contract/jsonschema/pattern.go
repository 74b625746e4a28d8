package jsonschema

import (
	"fmt"
	"regexp"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// maxPattern bounds a pattern's text: what it compiles to, and so the time per
// character of a message, grows with it.
const maxPattern = 4 << 10

// compilePattern compiles a pattern of ECMA 262, which is what JSON Schema has,
// for Go's RE2, which takes time linear in the text whatever the pattern. What
// ECMA writes otherwise is translated; look-around and back references have no
// linear form and are refused.
func compilePattern(pattern string) (js.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("a pattern of more than %d bytes", maxPattern)
	}
	re, err := regexp.Compile(fromECMA(pattern))
	if err != nil {
		return nil, fmt.Errorf("not a pattern that runs in time linear in the message (RE2: no look-around, no back references): %w", err)
	}
	return ecmaPattern{re, pattern}, nil
}

// ecmaPattern keeps the text as the schema has it.
type ecmaPattern struct {
	*regexp.Regexp
	text string
}

func (p ecmaPattern) String() string { return p.text }

// spaces is what \s is in ECMA 262: white space and line ends of all Unicode.
const spaces = `\t\n\x{0B}\f\r\x{2028}\x{2029}\x{FEFF}\p{Zs}`

// fromECMA writes a pattern of ECMA 262 as RE2 has it, where they differ.
func fromECMA(pattern string) string {
	var b strings.Builder
	for class := false; pattern != ""; {
		n := 1
		switch c := pattern[0]; {
		case c == '\\' && len(pattern) > 1:
			var out string
			out, n = escapeFromECMA(pattern, class)
			b.WriteString(out)
		case c == '[' && !class:
			class = true
			switch {
			case strings.HasPrefix(pattern, "[^]"): // any character
				b.WriteString(`[\s\S]`)
				n, class = 3, false
			case strings.HasPrefix(pattern, "[]"): // none
				b.WriteString(`[^\s\S]`)
				n, class = 2, false
			case strings.HasPrefix(pattern, "[^"):
				b.WriteString("[^")
				n = 2
			default:
				b.WriteByte(c)
			}
		case c == '[':
			b.WriteString(`\[`)
		case c == '.' && !class: // not a line's end
			b.WriteString(`[^\n\r\x{2028}\x{2029}]`)
		case c == ']':
			class = false
			b.WriteByte(c)
		case c == '$' && !class: // the very end, as there is no m flag
			b.WriteString(`\z`)
		default:
			b.WriteByte(c)
		}
		pattern = pattern[n:]
	}
	return b.String()
}

// escapeFromECMA writes the escape that a text begins with, and says how many
// bytes it took.
func escapeFromECMA(p string, class bool) (out string, n int) {
	open, close := "[", "]"
	if class {
		open, close = "", ""
	}
	switch c := p[1]; {
	case c == 's':
		return open + spaces + close, 2
	case c == 'S' && !class:
		return `[^` + spaces + `]`, 2
	case c == 'c' && len(p) > 2 && isLetter(p[2]):
		return fmt.Sprintf(`\x%02x`, p[2]&31), 3
	case c == 'v':
		return `\x0b`, 2
	case c == '0' && (len(p) == 2 || p[2] < '0' || p[2] > '9'):
		return `\x00`, 2
	case c == 'b' && class:
		return `\x08`, 2
	case c == 'u' && strings.HasPrefix(p[2:], "{"):
		if end := strings.IndexByte(p, '}'); end > 3 {
			return `\x` + p[2:end+1], end + 1
		}
	case c == 'u' && len(p) >= 6 && isHex(p[2:6]):
		return `\x{` + p[2:6] + `}`, 6
	case strings.IndexByte("AzQEaCZG", c) >= 0: // escapes of RE2 alone
		return string(c), 2
	}
	return p[:2], 2
}

func isLetter(c byte) bool { return 'a' <= c|32 && c|32 <= 'z' }

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
