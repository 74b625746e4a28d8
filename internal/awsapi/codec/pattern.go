package codec

import (
	"regexp"
	"strings"
	"sync"
)

// Pattern is a constraint's regular expression. The models write Java's; what
// Go's cannot say (look-around, mostly) is not checked.
type Pattern struct {
	source string
	re     func() *regexp.Regexp
}

func compile(source string) *Pattern {
	if source == "" {
		return nil
	}
	return &Pattern{source: source, re: sync.OnceValue(func() *regexp.Regexp {
		re, err := CompilePattern(source)
		if err != nil {
			return nil
		}
		return re
	})}
}

// match reports whether s as a whole is like the pattern, as AWS's services
// match, and true where the pattern cannot be compiled.
func (p *Pattern) match(s string) bool {
	re := p.re()
	return re == nil || re.MatchString(s)
}

var patterns sync.Map // source → *regexp.Regexp

// CompilePattern translates a model's pattern to Go. It fails for what Go's
// regular expressions lack.
func CompilePattern(source string) (*regexp.Regexp, error) {
	if re, ok := patterns.Load(source); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := regexp.Compile(`\A(?:` + translate(source) + `)\z`)
	if err == nil {
		patterns.Store(source, re)
	}
	return re, err
}

// posix are Java's names for classes of ASCII characters.
var posix = map[string]string{"ASCII": "ascii", "Alpha": "alpha", "Alnum": "alnum", "Digit": "digit", "Punct": "punct",
	"Print": "print", "Graph": "graph", "Upper": "upper", "Lower": "lower", "Space": "space", "Cntrl": "cntrl", "Blank": "blank", "XDigit": "xdigit"}

// astral is how Java's patterns say "beyond the basic plane": in UTF-16.
var astral = strings.NewReplacer(`\uD800\uDC00-\uDBFF\uDFFF`, `\x{10000}-\x{10FFFF}`)

// translate rewrites Java's \uXXXX, its names of ASCII classes and repeat
// counts above Go's limit of 1000. A count that is dropped makes the pattern
// milder; the length constraints beside it still hold.
func translate(p string) string {
	p = astral.Replace(p)
	var b strings.Builder
	class := false
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+5 < len(p) && p[i+1] == 'u':
			b.WriteString(`\x{` + p[i+2:i+6] + `}`)
			i += 5
		case p[i] == '\\' && i+1 < len(p) && p[i+1] == 'Z':
			b.WriteString(`\z`)
			i++
		case p[i] == '\\' && i+2 < len(p) && p[i+1] == 'p' && p[i+2] == '{':
			end := strings.IndexByte(p[i:], '}')
			if end < 0 {
				end = len(p) - i - 1
			}
			b.WriteString(property(p[i:i+end+1], class))
			i += end
		case p[i] == '\\' && i+1 < len(p):
			b.WriteString(p[i : i+2])
			i++
		case p[i] == '{' && !class:
			end := strings.IndexByte(p[i:], '}')
			if end < 0 {
				b.WriteByte(p[i])
				continue
			}
			b.WriteString(repeat(p[i : i+end+1]))
			i += end
		default:
			class = p[i] == '[' || class && p[i] != ']'
			b.WriteByte(p[i])
		}
	}
	return b.String()
}

// property translates \p{NAME}, inside a class or not.
func property(p string, class bool) string {
	name, ok := posix[strings.Trim(p[2:], "{}")]
	switch {
	case !ok:
		return p
	case class:
		return "[:" + name + ":]"
	}
	return "[[:" + name + ":]]"
}

func repeat(r string) string {
	lo, hi, ranged := strings.Cut(strings.Trim(r, "{}"), ",")
	big := func(s string) bool {
		return len(s) > 3 && strings.Trim(s, "0123456789") == "" && s > "1000" || len(s) > 4
	}
	switch {
	case big(lo):
		return "{1000,}"
	case ranged && big(hi):
		return "{" + lo + ",}"
	}
	return r
}
