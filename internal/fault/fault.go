// Package fault makes errors of stores, journals and engines that callers of the
// API are told of in words of their own: awsapi's Public, from rooms that know
// nothing of it.
package fault

// Error is such an error. Two are equal if they say the same.
type Error struct {
	text, sentence string
	ours           bool
}

// Ours is a failure of dhow's that passes, such as a full disk: the edge answers
// 503, which every SDK tries again, with the service's own word for its failures.
func Ours(text, sentence string) error { return Error{text, sentence, true} }

// Theirs is a request that cannot be served: the edge answers 400.
func Theirs(text, sentence string) error { return Error{text, sentence, false} }

// Error is the text for logs.
func (e Error) Error() string { return e.text }

// Public is what the API's edge asks for.
func (e Error) Public() (sentence string, ours bool) { return e.sentence, e.ours }
