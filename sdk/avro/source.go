package avro

import (
	"context"
	"errors"
	"fmt"

	"github.com/dhowhq/dhow/contract/wire"
)

// Source is where schemas come from: a [Lock] that was embedded when the program
// was built, a [Registry] that is asked while it runs, or a [Chain] of both.
//
// Both methods return at once what they have; what they have to fetch they fetch
// in bounded time. Errors wrap [ErrUnknown] where the source answered that it has
// no such version, and nothing else.
type Source interface {
	// Select returns the newest version that is wanted.
	Select(ctx context.Context, want Wanted) (*Version, error)
	// Find returns the version that a message names. It looks among the versions
	// of the schema called name where the reference itself says too little.
	Find(ctx context.Context, name string, ref wire.Reference) (*Version, error)
}

// ErrUnknown is a schema version that a source does not have.
var ErrUnknown = errors.New("unknown schema version")

// Chain is sources that are asked in turn until one answers. A lock before a
// registry spares the network for what is embedded; a lock after it is what
// remains when the registry cannot be reached.
func Chain(sources ...Source) Source { return chain(sources) }

type chain []Source

func (c chain) Select(ctx context.Context, want Wanted) (*Version, error) {
	return c.first(func(s Source) (*Version, error) { return s.Select(ctx, want) })
}

func (c chain) Find(ctx context.Context, name string, ref wire.Reference) (*Version, error) {
	return c.first(func(s Source) (*Version, error) { return s.Find(ctx, name, ref) })
}

func (c chain) first(ask func(Source) (*Version, error)) (*Version, error) {
	if len(c) == 0 {
		return nil, unknown("the chain has no sources")
	}
	var failed []error
	answered := true
	for _, s := range c {
		v, err := ask(s)
		if err == nil {
			return v, nil
		}
		answered = answered && errors.Is(err, ErrUnknown)
		failed = append(failed, err)
	}
	err := errors.Join(failed...)
	if !answered { // one that has it may have been out of reach
		err = &unreached{err}
	}
	return nil, err
}

// unreached hides ErrUnknown of the sources that did answer.
type unreached struct{ error }

func (e *unreached) Is(target error) bool { return target != ErrUnknown && errors.Is(e.error, target) }
func (e *unreached) As(target any) bool   { return errors.As(e.error, target) }

func unknown(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnknown, fmt.Sprintf(format, args...))
}
