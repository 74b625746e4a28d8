package logs

import (
	"bytes"
	"strings"
)

// parsePattern reads a filter pattern; nil matches everything. There are two
// kinds: JSON patterns in braces, see parseJSON, and those for plain text:
// terms that must all be there, "quoted phrases", -exclusions, and ?terms of
// which one must be there. Regular expressions %…% and patterns for fields
// [a, b] are refused in words.
func parsePattern(p string) (func(message []byte) bool, error) {
	p = strings.TrimSpace(p)
	switch {
	case p == "":
		return nil, nil
	case strings.HasPrefix(p, "{"):
		return parseJSON(p)
	case strings.HasPrefix(p, "["):
		return nil, badPattern("patterns for space-delimited fields, [a, b], are not supported; terms and JSON patterns { … } are")
	case strings.HasPrefix(p, "%"):
		return nil, badPattern("regular expressions, %…%, are not supported; terms and JSON patterns { … } are")
	}
	var all, none, some [][]byte
	for p != "" {
		kind := byte(0)
		if p[0] == '-' || p[0] == '?' {
			kind, p = p[0], p[1:]
		}
		term, rest, err := nextTerm(p)
		if err != nil {
			return nil, err
		}
		p = strings.TrimLeft(rest, " \t")
		switch kind {
		case '-':
			none = append(none, []byte(term))
		case '?':
			some = append(some, []byte(term))
		default:
			all = append(all, []byte(term))
		}
	}
	// Beside terms without it, a ? has no effect, as AWS's guide says.
	if len(all) > 0 || len(none) > 0 {
		some = nil
	}
	return func(s []byte) bool {
		for _, t := range all {
			if !bytes.Contains(s, t) {
				return false
			}
		}
		for _, t := range none {
			if bytes.Contains(s, t) {
				return false
			}
		}
		for _, t := range some {
			if bytes.Contains(s, t) {
				return true
			}
		}
		return len(some) == 0
	}, nil
}

func badPattern(why string) error { return invalid("Invalid filter pattern: " + why) }

// nextTerm takes a word or a quoted phrase off p.
func nextTerm(p string) (term, rest string, err error) {
	if strings.HasPrefix(p, `"`) {
		return nextQuoted(p)
	}
	end := strings.IndexAny(p, " \t")
	if end < 0 {
		end = len(p)
	}
	term, rest = p[:end], p[end:]
	for i := range len(term) {
		// Other characters than these must be quoted, as AWS asks.
		if !isWord(term[i]) {
			return "", "", badPattern(`terms with characters other than letters, digits and _ must be in "quotes"`)
		}
	}
	if term == "" {
		return "", "", badPattern("a term is empty")
	}
	return term, rest, nil
}

func isWord(c byte) bool {
	return c >= 128 || c == '_' || c >= '0' && c <= '9' || c|32 >= 'a' && c|32 <= 'z'
}

// nextQuoted takes a phrase off p, which begins with its quote.
func nextQuoted(p string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			b.WriteByte(p[i])
		case p[i] == p[0]:
			if b.Len() == 0 {
				return "", "", badPattern("a phrase is empty")
			}
			return b.String(), p[i+1:], nil
		default:
			b.WriteByte(p[i])
		}
	}
	return "", "", badPattern("a quote is not closed")
}
