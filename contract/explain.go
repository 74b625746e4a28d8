package contract

import (
	"fmt"
	"strings"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Explain says what broke, where, and what to do about it, in a sentence for
// people. before is the version that could still come before the new one, the
// smallest minor bump of the last: "1.4.0"; "" where none is known.
func (b Break) Explain(before string) string {
	a, ok := advices[b.Problem.Kind]
	if !ok {
		a = advice{newReads: does{"changed", "take the change back"}, oldReads: does{"changed", "take the change back"}}
	}
	d, hurt := a.oldReads, "readers on "+b.With+" cannot read it"
	if b.NewReads {
		d, hurt = a.newReads, "the new version cannot read what "+b.With+" wrote"
	}
	if b.Problem.Kind != verdict.NoDefault {
		hurt = b.Problem.Detail + ", so " + hurt
	}
	return fmt.Sprintf("%s %s: %s; %s", b.subject(), d.change, hurt, strings.ReplaceAll(d.remedy, "BEFORE", first(before)))
}

// first is when to do what has to come before a change.
func first(before string) string {
	if before == "" {
		return "in a version of its own"
	}
	return "in " + before
}

// subject names what changed, where the new version has it, or else the old.
func (b Break) subject() string {
	p := b.Problem
	at, other := p.Writer, p.Reader
	if b.NewReads {
		at, other = other, at
	}
	if at.Line == 0 {
		at = other
	}
	name := "the message"
	if root, path, ok := strings.Cut(p.Path, "."); ok {
		name = "field `" + path + "`"
	} else if root != "" {
		name = "`" + root + "`"
	}
	if at == (verdict.Place{}) {
		return name
	}
	return name + " (" + at.String() + ")"
}

// advice is the words for a kind of problem, by who reads.
type advice struct {
	newReads does // the new version reads what an old one wrote
	oldReads does // the other way round
}

type does struct{ change, remedy string }

var advices = map[verdict.Kind]advice{
	verdict.NoDefault: {
		does{"is new and has no default", "give it a default"},
		does{"was removed and has no default", "give it a default BEFORE first"},
	},
	verdict.Type: {
		does{"changed its type", "keep the type, and add a field of another name for the new one"},
		does{"changed its type", "keep the type, and add a field of another name for the new one"},
	},
	verdict.Name: {
		does{"changed a name", "keep the old name, or make it an alias of the new one"},
		does{"changed a name", "keep the old name, or make the new one an alias of it BEFORE first"},
	},
	verdict.Symbol: {
		does{"lost a symbol", "keep the symbol, or give the enum a default"},
		does{"has a new symbol", "give the enum a default BEFORE first"},
	},
	verdict.Branch: {
		does{"takes fewer types", "keep the type in the union"},
		does{"takes more types", "add the type to what readers take BEFORE first"},
	},
	verdict.Size: {
		does{"changed its size", "keep the size, and add a field of another name for the new one"},
		does{"changed its size", "keep the size, and add a field of another name for the new one"},
	},
	verdict.Logical: {
		does{"changed its logical type", "keep precision and scale, and add a field of another name for the new ones"},
		does{"changed its logical type", "keep precision and scale, and add a field of another name for the new ones"},
	},
	verdict.Constraint: {
		does{"became stricter", "allow what was allowed before"},
		does{"became looser", "let readers take it BEFORE first"},
	},
	verdict.FieldNumber: {
		does{"has a number that meant something else", "take a number that was never used, and reserve the old one"},
		does{"has a number that meant something else", "take a number that was never used, and reserve the old one"},
	},
}
