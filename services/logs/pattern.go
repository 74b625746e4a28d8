package logs

import "strings"

// parsePattern reads CloudWatch Logs' patterns for plain text: terms that must
// all be there, "quoted phrases", -exclusions, and ?terms of which one must be
// there. A nil function matches everything. Patterns for JSON, for fields and
// regular expressions are refused in words.
func parsePattern(p string) (func(string) bool, error) {
	p = strings.TrimSpace(p)
	switch {
	case p == "":
		return nil, nil
	case strings.HasPrefix(p, "{"), strings.HasPrefix(p, "["):
		return nil, invalid("Invalid filter pattern: patterns for JSON { … } and for fields [ … ] are not supported, terms are")
	}
	var all, none, some []string
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
			none = append(none, term)
		case '?':
			some = append(some, term)
		default:
			all = append(all, term)
		}
	}
	// Beside terms without it, a ? has no effect, as AWS's guide says.
	if len(all) > 0 || len(none) > 0 {
		some = nil
	}
	return func(s string) bool {
		for _, t := range all {
			if !strings.Contains(s, t) {
				return false
			}
		}
		for _, t := range none {
			if strings.Contains(s, t) {
				return false
			}
		}
		for _, t := range some {
			if strings.Contains(s, t) {
				return true
			}
		}
		return len(some) == 0
	}, nil
}

// nextTerm takes a word or a quoted phrase off p.
func nextTerm(p string) (term, rest string, err error) {
	if !strings.HasPrefix(p, `"`) {
		end := strings.IndexAny(p, " \t")
		if end < 0 {
			end = len(p)
		}
		term, rest = p[:end], p[end:]
		for i := range len(term) {
			// Other characters than these must be quoted, as AWS asks.
			if c := term[i]; c < 128 && c != '_' && (c < '0' || c > '9') && (c|32 < 'a' || c|32 > 'z') {
				return "", "", invalid(`Invalid filter pattern: terms with characters other than letters, digits and _ must be in "quotes"`)
			}
		}
		if term == "" {
			return "", "", invalid("Invalid filter pattern: a term is empty")
		}
		return term, rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			b.WriteByte(p[i])
		case p[i] == '"':
			if b.Len() == 0 {
				return "", "", invalid("Invalid filter pattern: a phrase is empty")
			}
			return b.String(), p[i+1:], nil
		default:
			b.WriteByte(p[i])
		}
	}
	return "", "", invalid("Invalid filter pattern: a quote is not closed")
}
