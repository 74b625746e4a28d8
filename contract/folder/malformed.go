package folder

import (
	"errors"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Malformed are the schemas in an error of Read's that are none, each with its
// place.
func Malformed(err error) (list []*verdict.Malformed) {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, e := range many.Unwrap() {
			list = append(list, Malformed(e)...)
		}
		return list
	}
	var one *verdict.Malformed
	if errors.As(err, &one) {
		list = append(list, one)
	}
	return list
}
