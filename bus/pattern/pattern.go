// Package pattern matches JSON events with the event patterns of EventBridge and
// the filter policies of SNS.
//
// A Pattern is parsed once and tells by itself whether it matches an event. A
// Set is many patterns in one automaton: what matching costs grows with the
// event and with the patterns that match, not with those that do not.
//
// The rules are those of the EventBridge user guide's pages on event patterns
// and of SNS's on filter policies. An event is the set of its leaves: a pattern's
// field matches if any leaf at its path does, where leaves below an array belong
// together: fields below the same array must match within one of its elements.
package pattern

// Error is why a pattern is not valid.
type Error struct {
	Reason string // in AWS's words
	Where  string // " at [Source: …; line: 1, column: 9]" or ""; AWS sends it behind the reason
}

func (e *Error) Error() string { return e.Reason + e.Where }
