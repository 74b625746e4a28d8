package contract

import (
	"fmt"
	"strings"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Explain says what broke, where, and what to do about it, in a sentence for
// people and in the words of the schema's language. before is the version that
// could still come before the new one, the smallest minor bump of the last:
// "1.4.0"; "" where none is known.
func (b Break) Explain(before string) string {
	d, hurt := b.advice(), "readers on "+b.With+" cannot read it"
	if b.NewReads {
		hurt = "the new version cannot read what " + b.With + " wrote"
	}
	if !d.whole {
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

// advice is what to say: of the format, or else of any.
func (b Break) advice() does {
	a, ok := byFormat[b.Format][b.Problem.Kind]
	if !ok {
		a, ok = advices[b.Problem.Kind]
	}
	switch {
	case !ok:
		return does{change: "changed", remedy: "take the change back"}
	case b.NewReads:
		return a.newReads
	}
	return a.oldReads
}

// subject names what changed, where the new version has it, or else the old.
func (b Break) subject() string {
	p := b.Problem
	at, other := p.Writer, p.Reader
	if b.NewReads {
		at, other = other, at
	}
	if at.Line == 0 && other.Line > 0 {
		at = other
	}
	name := b.name()
	if at == (verdict.Place{}) {
		return name
	}
	return name + " (" + at.String() + ")"
}

// name is a path in words. JSON Schema's root is $, the other languages' is the
// message's name, if it has one.
func (b Break) name() string {
	root, path, below := strings.Cut(b.Problem.Path, ".")
	switch {
	case b.Problem.Path == "" || b.Problem.Path == "$":
		return "the message"
	case strings.Contains(root, "["): // the message is a list or a map, or a name is in quotes
		return "`" + b.Problem.Path + "`"
	case below:
		return "field `" + path + "`"
	}
	return "`" + root + "`"
}

// advice is the words for a kind of problem, by who reads.
type advice struct {
	newReads does // the new version reads what an old one wrote
	oldReads does // the other way round
}

type does struct {
	change, remedy string
	whole          bool // the change says all: details would repeat it
}

// advices are Avro's, and what holds for every language. What they call BEFORE
// is compatible itself, and makes the change compatible after it.
var advices = map[verdict.Kind]advice{
	verdict.NoDefault: {
		does{"is new and has no default", "give it a default", true},
		does{"was removed and has no default", "give it a default BEFORE first", true},
	},
	verdict.Type: {
		does{change: "changed its type", remedy: "keep the type, and add a field of another name for the new one"},
		does{change: "changed its type", remedy: "keep the type, and add a field of another name for the new one"},
	},
	verdict.Name: {
		does{change: "changed a name", remedy: "keep the old name, or make it an alias of the new one"},
		does{change: "changed a name", remedy: "keep the old name, or make the new one an alias of it BEFORE first"},
	},
	verdict.Symbol: {
		does{change: "lost a symbol", remedy: "keep the symbol, or give the enum a default"},
		does{change: "has a new symbol", remedy: "give the enum a default BEFORE first"},
	},
	verdict.Branch: {
		does{change: "takes fewer types", remedy: "keep the type in the union"},
		does{change: "takes more types", remedy: "keep the union, and add a field of another name for the new type"},
	},
	verdict.Size: {
		does{change: "changed its size", remedy: "keep the size, and add a field of another name for the new one"},
		does{change: "changed its size", remedy: "keep the size, and add a field of another name for the new one"},
	},
	verdict.Logical: {
		does{change: "changed its logical type", remedy: "keep precision and scale, and add a field of another name for the new ones"},
		does{change: "changed its logical type", remedy: "keep precision and scale, and add a field of another name for the new ones"},
	},
	verdict.Constraint: {
		does{change: "became stricter", remedy: "allow what was allowed before"},
		does{change: "became looser", remedy: "keep to what was allowed before"},
	},
	verdict.FieldNumber: {
		does{change: "has a number that meant something else", remedy: "keep the number, or take one that was never used and reserve the old one"},
		does{change: "has a number that meant something else", remedy: "keep the number, or take one that was never used and reserve the old one"},
	},
}

// byFormat are the words of languages other than Avro, where these differ. In
// JSON Schema one schema says what may be sent and what is taken, so nothing
// that comes before makes a change compatible.
var byFormat = map[Format]map[verdict.Kind]advice{
	JSON: {
		verdict.NoDefault: {
			does{change: "became required", remedy: "leave it out of \"required\""},
			does{change: "is no longer required", remedy: "keep it in \"required\""},
		},
		verdict.Type: {
			does{change: "changed its type", remedy: "keep the old type beside the new one, or add a property of another name"},
			does{change: "changed its type", remedy: "keep the type, and add a property of another name for the new one"},
		},
		verdict.Symbol: {
			does{change: "takes fewer values", remedy: "keep the values that were allowed"},
			does{change: "takes more values", remedy: "keep to the values that readers know, and add a property of another name for new ones"},
		},
		verdict.Branch: {
			does{change: "takes fewer forms", remedy: "keep a branch that takes it"},
			does{change: "takes more forms", remedy: "keep to the forms that readers know, and add a property of another name for new ones"},
		},
	},
	Protobuf: {
		verdict.NoDefault: {
			does{change: "became required", remedy: "make it optional"},
			does{change: "is no longer required", remedy: "keep it required"},
		},
		verdict.Type: {
			does{change: "changed its type", remedy: "keep the type, and add a field of another name and number for the new one"},
			does{change: "changed its type", remedy: "keep the type, and add a field of another name and number for the new one"},
		},
		verdict.Name: {
			does{change: "is the first message now", remedy: "keep the first message first"},
			does{change: "is no longer the first message", remedy: "keep the first message first"},
		},
		verdict.Symbol: {
			does{change: "lost a value", remedy: "keep the value, or make the enum open"},
			does{change: "has a new value", remedy: "make the enum open BEFORE first"},
		},
		verdict.Branch: {
			does{change: "lost a choice", remedy: "keep the field in the oneof"},
			does{change: "has a new choice", remedy: "add the field outside of the oneof"},
		},
		verdict.Constraint: {
			does{change: "has another default", remedy: "leave the default out"},
			does{change: "is no longer sent when it is zero", remedy: "make it optional, so that zero is sent"},
		},
		verdict.FieldNumber: {
			does{change: "has a number that meant something else", remedy: "keep the number and its label, and reserve it when its field goes; a new field takes one that was never used"},
			does{change: "has a number that meant something else", remedy: "keep the number and its label, and reserve it when its field goes; a new field takes one that was never used"},
		},
	},
}
