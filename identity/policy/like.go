package policy

import "strings"

// Like matches a pattern whose * stands for any characters and whose ? for one.
func Like(pattern, s string) bool {
	// Only the last star has to be tried again, so the cost is bounded by the
	// product of the lengths, whatever a policy says.
	star, rest := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, rest = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || plain(pattern[p]) == s[i]):
			p, i = p+1, i+1
		case star >= 0:
			rest++
			p, i = star+1, rest
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Bytes that no document has, for JSON escapes none of them into UTF-8, stand in
// patterns for the characters that would have a meaning.
const (
	literalStar  = 0xfe
	literalQuery = 0xff
)

func plain(b byte) byte {
	switch b {
	case literalStar:
		return '*'
	case literalQuery:
		return '?'
	}
	return b
}

var (
	literal = strings.NewReplacer("*", string([]byte{literalStar}), "?", string([]byte{literalQuery}))
	meant   = strings.NewReplacer(string([]byte{literalStar}), "*", string([]byte{literalQuery}), "?")
)

// expand puts facts in the place of variables: ${aws:PrincipalAccount}, or with
// a default ${aws:PrincipalTag/team, 'none'}; ${*}, ${?} and ${$} are these
// characters. A value with a variable that has no single fact and no default
// matches nothing: it becomes a byte that is in no request.
func expand(pattern string, variables bool, facts map[string][]string) string {
	if !variables || !strings.Contains(pattern, "${") {
		return pattern
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(pattern, "${")
		b.WriteString(before)
		name, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			b.WriteString(rest)
			return b.String()
		}
		name, otherwise, hasDefault := strings.Cut(name, ",")
		name = strings.TrimSpace(name)
		switch have := facts[strings.ToLower(name)]; {
		case name == "*" || name == "?" || name == "$":
			b.WriteString(literal.Replace(name))
		case len(have) == 1:
			b.WriteString(literal.Replace(have[0]))
		case hasDefault:
			b.WriteString(literal.Replace(strings.Trim(strings.TrimSpace(otherwise), "'")))
		default:
			return string([]byte{0xfd})
		}
		pattern = after
	}
}
