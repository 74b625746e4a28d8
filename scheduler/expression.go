package scheduler

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Expression is a statement of ECS's cluster query language, such as
// "attribute:ecs.instance-type =~ t3.* and runningTasksCount < 5": as placement
// constraints and ListContainerInstances' filter take it.
type Expression struct{ match func(facts) bool }

// facts gives the values of a subject, none if it has none.
type facts = func(subject string) []string

// Match reports whether a node of which facts are true matches.
func (e *Expression) Match(f func(subject string) []string) bool { return e.match(f) }

// maxExpression is AWS's limit.
const maxExpression = 2000

var subjects = []string{"agentConnected", "agentVersion", "ec2InstanceId", "registeredAt", "runningTasksCount", "task:group"}

// ParseExpression reads an expression. Its grammar, by the ECS developer
// guide's page on the cluster query language:
//
//	or      = and { ("||" | "or") and }
//	and     = term { ("&&" | "and") term }
//	term    = ("!" | "not") term | "(" or ")" | subject operator [argument]
func ParseExpression(text string) (*Expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("it is longer than %d characters", maxExpression)
	}
	p := &parser{text: text}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, fmt.Errorf("%q is more than one expression", p.text[p.at:])
	}
	return &Expression{match: e}, nil
}

type parser struct {
	text string
	at   int
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// symbol takes s if it comes next.
func (p *parser) symbol(s string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.at:], s) {
		return false
	}
	p.at += len(s)
	return true
}

// word takes the word w if it comes next, in either case.
func (p *parser) word(w string) bool {
	p.space()
	end := p.at + len(w)
	if end > len(p.text) || !strings.EqualFold(p.text[p.at:end], w) {
		return false
	}
	if end < len(p.text) && nameByte(p.text[end]) {
		return false
	}
	p.at = end
	return true
}

func nameByte(c byte) bool { return c > ' ' && strings.IndexByte("()[],=!<>~&|", c) < 0 }

// name takes a subject or a plain value.
func (p *parser) name() string {
	p.space()
	from := p.at
	if p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\'') {
		if end := strings.IndexByte(p.text[p.at+1:], p.text[p.at]); end >= 0 {
			p.at += end + 2
			return p.text[from+1 : p.at-1]
		}
	}
	for p.at < len(p.text) && nameByte(p.text[p.at]) {
		p.at++
	}
	return p.text[from:p.at]
}

func (p *parser) or() (func(facts) bool, error) {
	left, err := p.and()
	for err == nil && (p.symbol("||") || p.word("or")) {
		var right func(facts) bool
		if right, err = p.and(); err == nil {
			l := left
			left = func(f facts) bool { return l(f) || right(f) }
		}
	}
	return left, err
}

func (p *parser) and() (func(facts) bool, error) {
	left, err := p.term()
	for err == nil && (p.symbol("&&") || p.word("and")) {
		var right func(facts) bool
		if right, err = p.term(); err == nil {
			l := left
			left = func(f facts) bool { return l(f) && right(f) }
		}
	}
	return left, err
}

func (p *parser) term() (func(facts) bool, error) {
	switch {
	case p.symbol("!") || p.word("not"):
		e, err := p.term()
		if err != nil {
			return nil, err
		}
		return func(f facts) bool { return !e(f) }, nil
	case p.symbol("("):
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.symbol(")") {
			return nil, errors.New("a parenthesis is not closed")
		}
		return e, nil
	}
	subject := p.name()
	if !slices.Contains(subjects, subject) && (!strings.HasPrefix(subject, "attribute:") || subject == "attribute:") {
		return nil, fmt.Errorf("%q is no subject: use attribute:NAME, %s", subject, strings.Join(subjects, ", "))
	}
	return p.comparison(subject)
}

func (p *parser) comparison(subject string) (func(facts) bool, error) {
	switch {
	case p.symbol("!exists") || p.word("not_exists"):
		return func(f facts) bool { return len(f(subject)) == 0 }, nil
	case p.word("exists"):
		return func(f facts) bool { return len(f(subject)) > 0 }, nil
	case p.symbol("!in") || p.word("not_in"):
		list, err := p.list()
		return func(f facts) bool { return !anyOf(f(subject), list) }, err
	case p.word("in"):
		list, err := p.list()
		return func(f facts) bool { return anyOf(f(subject), list) }, err
	case p.symbol("=~") || p.word("matches"):
		re, err := p.regexp()
		return func(f facts) bool { return slices.ContainsFunc(f(subject), re) }, err
	case p.symbol("!~") || p.word("not_matches"):
		re, err := p.regexp()
		return func(f facts) bool { return !slices.ContainsFunc(f(subject), re) }, err
	}
	for _, o := range orders {
		if !p.symbol(o.sign) && !p.word(o.word) {
			continue
		}
		arg := p.name()
		if arg == "" {
			return nil, fmt.Errorf("%s %s lacks a value", subject, o.sign)
		}
		if o.sign == "!=" {
			return func(f facts) bool { return !slices.Contains(f(subject), arg) }, nil
		}
		return func(f facts) bool {
			return slices.ContainsFunc(f(subject), func(v string) bool { return o.ok(compare(v, arg)) })
		}, nil
	}
	return nil, fmt.Errorf("%s is followed by no operator: use ==, !=, <, <=, >, >=, in, !in, =~, !~, exists or !exists", subject)
}

var orders = []struct {
	sign, word string
	ok         func(int) bool
}{
	{"==", "equals", func(c int) bool { return c == 0 }},
	{"!=", "not_equals", nil},
	{">=", "greater_than_equal", func(c int) bool { return c >= 0 }},
	{"<=", "less_than_equal", func(c int) bool { return c <= 0 }},
	{">", "greater_than", func(c int) bool { return c > 0 }},
	{"<", "less_than", func(c int) bool { return c < 0 }},
}

func anyOf(values, list []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(list, v) })
}

func (p *parser) list() ([]string, error) {
	if !p.symbol("[") {
		return nil, errors.New("in takes a list: [VALUE, VALUE]")
	}
	var list []string
	for {
		v := p.name()
		if v == "" {
			return nil, errors.New("a list lacks a value")
		}
		list = append(list, v)
		switch {
		case p.symbol("]"):
			return list, nil
		case !p.symbol(","):
			return nil, errors.New("a list is not closed")
		}
	}
}

// regexp takes a pattern: up to the next space, or the parenthesis that closes
// a group opened before it. It must match the whole value.
func (p *parser) regexp() (func(string) bool, error) {
	p.space()
	from, depth := p.at, 0
	for ; p.at < len(p.text) && p.text[p.at] > ' '; p.at++ {
		if c := p.text[p.at]; c == '(' {
			depth++
		} else if c == ')' {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	if from == p.at {
		return nil, errors.New("a pattern is missing")
	}
	re, err := regexp.Compile(`^(?:` + p.text[from:p.at] + `)$`)
	if err != nil {
		return nil, fmt.Errorf("%q is no pattern: %w", p.text[from:p.at], err)
	}
	return re.MatchString, nil
}

// compare orders numbers as numbers, versions part by part, and else text.
func compare(a, b string) int {
	if x, err := strconv.ParseFloat(a, 64); err == nil {
		if y, err := strconv.ParseFloat(b, 64); err == nil {
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		}
	}
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	if len(as) < 2 || len(bs) < 2 {
		return strings.Compare(a, b)
	}
	return slices.CompareFunc(as, bs, func(x, y string) int {
		i, err1 := strconv.Atoi(x)
		j, err2 := strconv.Atoi(y)
		if err1 != nil || err2 != nil {
			return strings.Compare(x, y)
		}
		return i - j
	})
}
