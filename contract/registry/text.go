package registry

import "github.com/dhowhq/dhow/contract"

// First is the semantic version of a first version that declares none.
const First = first

// Declared is the semantic version that a definition's text declares, as it is
// written there; "" for none.
func Declared(f contract.Format, text string) string { return textSemver(f, text) }

// SameText reports whether two texts without references are one definition.
func SameText(f contract.Format, a, b string) bool { return normal(f, a) == normal(f, b) }
