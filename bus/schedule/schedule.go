// Package schedule reads the schedule expressions of EventBridge, rate() and
// cron(), and tells when they are due.
//
// The rules are those of the EventBridge user guide, "Setting a schedule pattern
// for scheduled rules".
package schedule

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrInvalid is the answer to what is no schedule expression, in AWS's words.
var ErrInvalid = errors.New("Parameter ScheduleExpression is not valid.") //lint:ignore ST1005 AWS's sentence

// Schedule is when something is due, again and again.
type Schedule interface {
	// Next is the first time after the given one, in its location: a cron
	// expression is read in it. It is zero if there is none. A rate counts from
	// the given time. Local times that a change of the clock leaves out do not
	// come; those that it repeats come once.
	Next(after time.Time) time.Time
}

// Parse reads a schedule expression. Its error is ErrInvalid.
func Parse(expression string) (Schedule, error) {
	if len(expression) > 256 {
		return nil, ErrInvalid
	}
	if inner, ok := call(expression, "rate"); ok {
		return parseRate(inner)
	}
	if inner, ok := call(expression, "cron"); ok {
		return parseCron(inner)
	}
	return nil, ErrInvalid
}

func call(expression, name string) (inner string, ok bool) {
	rest, ok := strings.CutPrefix(expression, name+"(")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, ")")
}

// rate is a period.
type rate time.Duration

func (r rate) Next(after time.Time) time.Time { return after.Add(time.Duration(r)) }

var units = map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}

// parseRate reads a number and its unit, which is in the singular for 1 alone.
func parseRate(s string) (Schedule, error) {
	value, unit, ok := strings.Cut(s, " ")
	n, err := strconv.Atoi(value)
	if !ok || err != nil || n < 1 || value[0] == '+' {
		return nil, ErrInvalid
	}
	singular := strings.TrimSuffix(unit, "s")
	d, ok := units[singular]
	if !ok || (unit == singular) != (n == 1) || n > 1_000_000 {
		return nil, ErrInvalid
	}
	return rate(time.Duration(n) * d), nil
}
