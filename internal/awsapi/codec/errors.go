package codec

import "fmt"

// A SyntaxError says that a request's bytes are not what the protocol or the
// model says they are. Its message goes to the caller.
type SyntaxError struct {
	Message string
	Shape   string // the kind that was expected, "" where the form itself is broken
}

func (e *SyntaxError) Error() string { return e.Message }

func broken(format string, args ...any) error {
	return &SyntaxError{Message: fmt.Sprintf(format, args...)}
}

// Bounds on what one request may make the decoder do.
const (
	maxDepth  = 500      // nested structures, lists and maps
	maxMemory = 64 << 20 // bytes of list elements: "{}" is two bytes on the wire and may be a kilobyte in Go
)

var errDepth = &SyntaxError{Message: fmt.Sprintf("The request is nested deeper than %d levels.", maxDepth)}

// Seen records which members of the top-level structure a request had.
type Seen struct{ bits [4]uint64 }

func (s *Seen) mark(i int) {
	if s != nil && i < len(s.bits)*64 {
		s.bits[i/64] |= 1 << (i % 64)
	}
}

// Has reports whether member i was present.
func (s *Seen) Has(i int) bool {
	return i >= 0 && i < len(s.bits)*64 && s.bits[i/64]&(1<<(i%64)) != 0
}

// budget bounds the memory of one decoded request.
type budget struct{ spent int }

func (b *budget) spend(bytes int) error {
	if b.spent += bytes; b.spent > maxMemory {
		return broken("The request has too many list elements.")
	}
	return nil
}
