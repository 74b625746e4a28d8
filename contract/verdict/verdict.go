// Package verdict is what checks of schemas and messages come to, in words that
// all schema languages share.
package verdict

import "fmt"

// Place is where in a file something is declared; zero for nowhere.
type Place struct {
	File string // as its source is named, "order.avsc"; may be ""
	Line int    // from 1
}

func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.File == "":
		return fmt.Sprintf("line %d", p.Line)
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Kind is what keeps a reader from reading.
type Kind string

const (
	NoDefault   Kind = "NO_DEFAULT"   // the reader has a field that the writer has not, and no default for it
	Type        Kind = "TYPE"         // types that do not resolve
	Name        Kind = "NAME"         // named types of different names, and no alias
	Symbol      Kind = "SYMBOL"       // an enum symbol that the reader does not know
	Branch      Kind = "BRANCH"       // a union branch that the reader does not know
	Size        Kind = "SIZE"         // fixed types of different sizes
	Logical     Kind = "LOGICAL"      // logical types that read differently: scale, precision
	Constraint  Kind = "CONSTRAINT"   // a value that the writer allows and the reader refuses
	FieldNumber Kind = "FIELD_NUMBER" // a number or label that means something else
)

// Problem is one reason for which a reader cannot read what a writer may have
// written.
type Problem struct {
	Kind   Kind
	Path   string // from the root, by the reader's names: "Order.lines[].total"
	Reader Place  // zero where the reader has nothing of it
	Writer Place  // zero where the writer has nothing of it
	Detail string // what differs: "string cannot be read as int"
}

// Invalid is what is wrong with a message, as an error.
type Invalid struct {
	Path   string // of the value, "Order.lines[3].total"; "" for the message as a whole
	Detail string
}

func (i *Invalid) Error() string {
	if i.Path == "" {
		return i.Detail
	}
	return i.Path + ": " + i.Detail
}

// Malformed is what is wrong with a schema's text, as an error.
type Malformed struct {
	Place  Place
	Detail string
}

func (m *Malformed) Error() string {
	if at := m.Place.String(); at != "" {
		return at + ": " + m.Detail
	}
	return m.Detail
}
