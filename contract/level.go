package contract

import (
	"slices"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Level is which earlier versions a new one has to get on with, by its name in
// the Glue Schema Registry (CompatibilityMode).
type Level string

const (
	None        Level = "NONE"     // anything goes
	Disabled    Level = "DISABLED" // no new versions at all
	Backward    Level = "BACKWARD" // the new reads the last
	BackwardAll Level = "BACKWARD_ALL"
	Forward     Level = "FORWARD" // the last reads the new
	ForwardAll  Level = "FORWARD_ALL"
	Full        Level = "FULL" // both
	FullAll     Level = "FULL_ALL"
)

// Version is a schema with the name of its version.
type Version struct {
	Label string // "1.3.0"; what messages call it
	Schema
}

// Break is one version that does not get on with a new one.
type Break struct {
	With     string // the label of the earlier version
	NewReads bool   // true: the new version cannot read what the earlier wrote; false: the other way round
	Problem  verdict.Problem
	Format   Format // of the new version, whose words Explain speaks
}

// Check lists what a level has against a new version after those before it,
// oldest first. The level Disabled is the caller's to refuse: nothing breaks.
func Check(level Level, next Schema, earlier []Version) []Break {
	backward := slices.Contains([]Level{Backward, BackwardAll, Full, FullAll}, level)
	forward := slices.Contains([]Level{Forward, ForwardAll, Full, FullAll}, level)
	all := slices.Contains([]Level{BackwardAll, ForwardAll, FullAll}, level)
	if n := len(earlier); !all && n > 1 {
		earlier = earlier[n-1:]
	}
	var breaks []Break
	for _, v := range earlier {
		if backward {
			for _, p := range next.CanRead(v.Schema) {
				breaks = append(breaks, Break{With: v.Label, NewReads: true, Problem: p, Format: next.Source().Format})
			}
		}
		if forward {
			for _, p := range v.CanRead(next) {
				breaks = append(breaks, Break{With: v.Label, Problem: p, Format: next.Source().Format})
			}
		}
	}
	return breaks
}
