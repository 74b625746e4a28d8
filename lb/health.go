package lb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is what a target is, in the words of DescribeTargetHealth.
type State string

// The states of a target.
const (
	Initial   State = "initial"
	Healthy   State = "healthy"
	Unhealthy State = "unhealthy"
	Draining  State = "draining"
	Unused    State = "unused"
)

// Health is a target's state with the reason and its description.
type Health struct {
	State               State
	Reason, Description string
}

// What AWS says of targets that are not healthy.
var (
	checking     = Health{Initial, "Elb.InitialHealthChecking", "Initial health checks in progress"}
	registering  = Health{Initial, "Elb.RegistrationInProgress", "Target registration is in progress"}
	healthy      = Health{State: Healthy}
	draining     = Health{Draining, "Target.DeregistrationInProgress", "Target deregistration is in progress"}
	notInUse     = Health{Unused, "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"}
	otherZone    = Health{Unused, "Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer"}
	invalid      = Health{Unused, "Target.InvalidState", "Target is in the stopped state"}
	unregistered = Health{Unused, "Target.NotRegistered", "Target is not registered to the target group"}
)

// outcome is what one check found.
type outcome struct {
	ok   bool
	why  failure
	code int // of the response, for wrongCode
}

type failure int

const (
	failed failure = iota // no connection, or an answer that is none
	timedOut
	wrongCode
)

func (o outcome) health() Health {
	switch o.why {
	case timedOut:
		return Health{Unhealthy, "Target.Timeout", "Request timed out"}
	case wrongCode:
		return Health{Unhealthy, "Target.ResponseCodeMismatch", fmt.Sprintf("Health checks failed with these codes: [%d]", o.code)}
	}
	return Health{Unhealthy, "Target.FailedHealthChecks", "Health checks failed"}
}

// record is a target's history of checks.
type record struct {
	Health
	passes, fails int // in a row, of the checks that count

	since   time.Time // when quick checks began: registered, or caught failing
	counted time.Time // when the next check that counts is due
	quick   bool      // checks come faster than the interval
}

// note is the record after a check whose outcome is o.
//
// AWS's rules: a new target is healthy after its first success; a target is
// unhealthy after Unhealthy failures in a row and healthy again after Healthy
// successes in a row. Checks that are made between two intervals, to see a
// start or a recovery early, make a new target healthy but count for nothing
// else, so that a slow start is not held against a target sooner than on AWS.
func (r record) note(c Check, o outcome, counts bool) record {
	if o.ok {
		r.fails, r.quick = 0, false
		if counts {
			r.passes++
		}
		if r.State == Initial || r.State == Unhealthy && r.passes >= int(c.Healthy) {
			r.Health = healthy
		}
		return r
	}
	r.passes = 0
	if counts {
		r.fails++
	}
	if r.State == Unhealthy || r.fails >= int(c.Unhealthy) {
		r.Health, r.quick = o.health(), false
	}
	return r
}

// next is when the check after one at now is due. Quick checks come after an
// eighth of the time that has passed since they began, so that what starts
// fast is seen fast and what does not costs little.
func (r record) next(now time.Time) time.Time {
	if !r.quick {
		return r.counted
	}
	wait := max(now.Sub(r.since)/8, quickest)
	if at := now.Add(wait); at.Before(r.counted) {
		return at
	}
	return r.counted
}

// quickest is the shortest time between two checks of a target.
const quickest = 25 * time.Millisecond

// ParseMatcher checks a matcher of HTTP codes, such as 200, 200-299 or
// 200,301-302, and returns what says whether a code matches. The codes of AWS
// are 200 to 499.
func ParseMatcher(m string) (matches func(code int) bool, err error) {
	type span struct{ from, to int }
	var spans []span
	for part := range strings.SplitSeq(m, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || len(from) != 3 || len(to) != 3 || a > b || a < 200 || b > 499 {
			return nil, fmt.Errorf("HTTP codes '%s' are not codes or ranges of codes from 200 to 499, such as 200,301-302", m)
		}
		spans = append(spans, span{a, b})
	}
	return func(code int) bool {
		return slices.ContainsFunc(spans, func(s span) bool { return s.from <= code && code <= s.to })
	}, nil
}
