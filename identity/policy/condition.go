package policy

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operator is a condition operator: ForAllValues:StringNotLikeIfExists.
type operator struct {
	test     func(fact, value string) bool
	negated  bool
	ifExists bool
	all, any bool // ForAllValues, ForAnyValue
	null     bool
	literal  bool // values are compared, not matched: * and ? mean themselves
}

var tests = map[string]func(fact, value string) bool{
	"StringEquals":             func(f, v string) bool { return f == v },
	"StringEqualsIgnoreCase":   strings.EqualFold,
	"StringLike":               func(f, v string) bool { return Like(v, f) },
	"NumericEquals":            number(func(c int) bool { return c == 0 }),
	"NumericLessThan":          number(func(c int) bool { return c < 0 }),
	"NumericLessThanEquals":    number(func(c int) bool { return c <= 0 }),
	"NumericGreaterThan":       number(func(c int) bool { return c > 0 }),
	"NumericGreaterThanEquals": number(func(c int) bool { return c >= 0 }),
	"DateEquals":               date(func(c int) bool { return c == 0 }),
	"DateLessThan":             date(func(c int) bool { return c < 0 }),
	"DateLessThanEquals":       date(func(c int) bool { return c <= 0 }),
	"DateGreaterThan":          date(func(c int) bool { return c > 0 }),
	"DateGreaterThanEquals":    date(func(c int) bool { return c >= 0 }),
	"Bool":                     strings.EqualFold,
	"BinaryEquals":             sameBytes,
	"IpAddress":                inRange,
	"ArnEquals":                arnLike,
	"ArnLike":                  arnLike,
}

// negations are the operators that hold where their test does not.
var negations = map[string]string{
	"StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase", "StringNotLike": "StringLike",
	"NumericNotEquals": "NumericEquals", "DateNotEquals": "DateEquals", "NotIpAddress": "IpAddress",
	"ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike",
}

func parseOperator(s string) (o operator, err error) {
	name, ifExists := strings.CutSuffix(s, "IfExists")
	o.ifExists = ifExists
	name, o.all = strings.CutPrefix(name, "ForAllValues:")
	if !o.all {
		name, o.any = strings.CutPrefix(name, "ForAnyValue:")
	}
	if name == "Null" && !ifExists {
		o.null = true
		return o, nil
	}
	if positive, ok := negations[name]; ok {
		name, o.negated = positive, true
	}
	if o.test = tests[name]; o.test == nil {
		return o, fmt.Errorf("there is no condition operator %q", s)
	}
	o.literal = name != "StringLike" && name != "ArnLike" && name != "ArnEquals"
	return o, nil
}

// holds says whether the condition holds of a key's facts, none where the
// request lacks the key.
func (o operator) holds(have, values []string, variables bool, facts map[string][]string) bool {
	if o.null {
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, "true") == (len(have) == 0) })
	}
	if len(have) == 0 {
		return o.ifExists || o.all || o.negated && !o.any
	}
	one := func(fact string) bool {
		return o.negated != slices.ContainsFunc(values, func(v string) bool { return o.test(fact, o.value(v, variables, facts)) })
	}
	if o.any || !o.all && !o.negated {
		return slices.ContainsFunc(have, one)
	}
	return !slices.ContainsFunc(have, func(f string) bool { return !one(f) })
}

func (o operator) value(v string, variables bool, facts map[string][]string) string {
	v = expand(v, variables, facts)
	if o.literal {
		v = meant.Replace(v)
	}
	return v
}

func number(ok func(int) bool) func(string, string) bool {
	return func(fact, value string) bool {
		f, err1 := strconv.ParseFloat(fact, 64)
		v, err2 := strconv.ParseFloat(value, 64)
		if err1 != nil || err2 != nil {
			return false
		}
		switch {
		case f < v:
			return ok(-1)
		case f > v:
			return ok(1)
		}
		return ok(0)
	}
}

func date(ok func(int) bool) func(string, string) bool {
	read := func(s string) (time.Time, error) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return time.Unix(n, 0), nil
		}
		if t, err := time.Parse(time.DateOnly, s); err == nil {
			return t, nil
		}
		return time.Parse(time.RFC3339, s)
	}
	return func(fact, value string) bool {
		f, err1 := read(fact)
		v, err2 := read(value)
		return err1 == nil && err2 == nil && ok(f.Compare(v))
	}
}

func sameBytes(fact, value string) bool {
	f, err1 := base64.StdEncoding.DecodeString(fact)
	v, err2 := base64.StdEncoding.DecodeString(value)
	return err1 == nil && err2 == nil && string(f) == string(v)
}

func inRange(fact, value string) bool {
	ip, err := netip.ParseAddr(fact)
	if err != nil {
		return false
	}
	if one, err := netip.ParseAddr(value); err == nil {
		return one.Unmap() == ip.Unmap()
	}
	p, err := netip.ParsePrefix(value)
	return err == nil && p.Contains(ip.Unmap())
}

// arnLike matches the six parts of ARNs one by one.
func arnLike(fact, value string) bool {
	f, v := strings.SplitN(fact, ":", 6), strings.SplitN(value, ":", 6)
	if len(f) != 6 || len(v) != 6 {
		return false
	}
	for i := range f {
		if !Like(v[i], f[i]) {
			return false
		}
	}
	return true
}
