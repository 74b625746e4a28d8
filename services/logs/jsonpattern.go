package logs

import (
	"fmt"
	"strconv"
	"strings"
)

// condition is a part of a JSON pattern, to be asked about a decoded event.
type condition func(event any) bool

// parseJSON reads a JSON pattern:
//
//	{ $.level = "ERROR" && ($.status >= 500 || $.path = "/api*") }
//
// Conditions are = != < <= > >=, IS NULL, IS TRUE, IS FALSE and NOT EXISTS; &&
// binds before ||. A * in a text stands for any characters. A condition on a
// property that is not there does not hold, != included; only NOT EXISTS does.
// Events that are no JSON match nothing. After AWS's "Filter pattern syntax".
func parseJSON(text string) (func(message []byte) bool, error) {
	p := &jsonParser{text: text, at: 1}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); !p.take("}") {
		return nil, p.bad("an operator && or ||, or the closing } is missing")
	}
	if p.space(); p.at < len(p.text) {
		return nil, p.bad("nothing may follow the closing }")
	}
	if p.wild > 3 {
		return nil, badPattern("a pattern can have three wildcard selectors at most")
	}
	return func(message []byte) bool {
		event, ok := decodeEvent(message)
		return ok && c(event)
	}, nil
}

type jsonParser struct {
	text string
	at   int
	wild int // selectors with a wildcard
	deep int // open parentheses
}

// maxDeep bounds the parser's recursion; a pattern of 1024 characters can say
// little that is deeper.
const maxDeep = 100

func (p *jsonParser) bad(why string) error {
	return badPattern(fmt.Sprintf("at character %d: %s", p.at+1, why))
}

func (p *jsonParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take skips token if it is next.
func (p *jsonParser) take(token string) bool {
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

// word skips a keyword, in any case of letters, if it is next.
func (p *jsonParser) word(w string) bool {
	p.space()
	end := p.at + len(w)
	if end > len(p.text) || !strings.EqualFold(p.text[p.at:end], w) || end < len(p.text) && isWord(p.text[end]) {
		return false
	}
	p.at = end
	return true
}

func (p *jsonParser) or() (condition, error) {
	c, err := p.and()
	for err == nil {
		if p.space(); !p.take("||") {
			return c, nil
		}
		var right condition
		left := c
		if right, err = p.and(); err == nil {
			c = func(e any) bool { return left(e) || right(e) }
		}
	}
	return nil, err
}

func (p *jsonParser) and() (condition, error) {
	c, err := p.one()
	for err == nil {
		if p.space(); !p.take("&&") {
			return c, nil
		}
		var right condition
		left := c
		if right, err = p.one(); err == nil {
			c = func(e any) bool { return left(e) && right(e) }
		}
	}
	return nil, err
}

// one reads a condition or a group in parentheses.
func (p *jsonParser) one() (condition, error) {
	if p.space(); !p.take("(") {
		return p.comparison()
	}
	if p.deep++; p.deep > maxDeep {
		return nil, p.bad("parentheses are nested too deep")
	}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); !p.take(")") {
		return nil, p.bad("a closing ) is missing")
	}
	p.deep--
	return c, nil
}

func (p *jsonParser) comparison() (condition, error) {
	path, err := p.selector()
	if err != nil {
		return nil, err
	}
	switch {
	case p.word("IS"):
		for _, k := range []struct {
			name string
			want any
		}{{"NULL", nil}, {"TRUE", true}, {"FALSE", false}} {
			if p.word(k.name) {
				return path.any(func(v any) bool { return isScalar(v) && v == k.want }), nil
			}
		}
		return nil, p.bad("after IS comes NULL, TRUE or FALSE")
	case p.word("NOT"):
		if !p.word("EXISTS") {
			return nil, p.bad("after NOT comes EXISTS")
		}
		there := path.any(func(any) bool { return true })
		return func(e any) bool { return !there(e) }, nil
	}
	p.space()
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if p.take(op) {
			v, err := p.value(op)
			if err != nil {
				return nil, err
			}
			return path.any(v.compare(op)), nil
		}
	}
	return nil, p.bad("after a selector comes =, !=, <, <=, >, >=, IS or NOT EXISTS")
}

// value reads what is compared with: a quoted text, or a word or number.
func (p *jsonParser) value(op string) (operand, error) {
	p.space()
	rest := p.text[p.at:]
	if strings.HasPrefix(rest, "%") {
		return operand{}, p.bad("regular expressions, %…%, are not supported")
	}
	if op != "=" && op != "!=" {
		text, v := p.plain(), operand{}
		var err error
		if v.number, err = strconv.ParseFloat(text, 64); err != nil || !isNumber(text) {
			return v, p.bad(op + " compares with a number")
		}
		return v, nil
	}
	if strings.HasPrefix(rest, `"`) {
		parts, n, err := globQuoted(rest)
		if err != nil {
			return operand{}, p.bad(err.Error())
		}
		p.at += n
		return operand{parts: parts}, nil
	}
	text := p.plain()
	if text == "" {
		return operand{}, p.bad(`a value is missing, or must be in "quotes"`)
	}
	v := operand{parts: strings.Split(text, "*")}
	if n, err := strconv.ParseFloat(text, 64); err == nil && isNumber(text) {
		v.number, v.numeric = n, true
	}
	return v, nil
}

// plain takes a value without quotes.
func (p *jsonParser) plain() string {
	start := p.at
	for p.at < len(p.text) && (isWord(p.text[p.at]) || strings.IndexByte("-+.:/*@#", p.text[p.at]) >= 0) {
		p.at++
	}
	return p.text[start:p.at]
}

// isNumber keeps ParseFloat's Inf, NaN, 0x1p2 and 1_000 out.
func isNumber(s string) bool { return strings.Trim(s, "0123456789+-.eE") == "" }

// globQuoted reads a quoted text and splits it at its wildcards; n is its
// length with the quotes. A backslash takes the meaning off the next character.
func globQuoted(s string) (parts []string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '*':
			parts = append(parts, b.String())
			b.Reset()
		case s[i] == '"':
			return append(parts, b.String()), i + 1, nil
		default:
			b.WriteByte(s[i])
		}
	}
	return nil, 0, fmt.Errorf("a quote is not closed")
}
