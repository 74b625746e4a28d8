package registry

import (
	"errors"
	"fmt"

	"github.com/dhowhq/dhow/contract"
)

// Why a call is refused, besides *verdict.Malformed, *Incompatible and
// *SemverError.
var (
	ErrNoRegistry     = errors.New("registry is not found")
	ErrNoSchema       = errors.New("schema is not found")
	ErrNoVersion      = errors.New("schema version is not found")
	ErrRegistryExists = errors.New("registry already exists")
	ErrSchemaExists   = errors.New("schema already exists")
	ErrDeleting       = errors.New("it is being deleted")
	ErrDisabled       = errors.New("its compatibility is DISABLED: it takes no more versions. Set another one first")
	ErrFormat         = errors.New("a schema's versions are all of one data format")
	ErrReference      = errors.New("a schema that the definition refers to is not found")
	ErrInUse          = errors.New("messages come in it")
	ErrReferenced     = errors.New("other schemas refer to it")
	ErrCheckpoint     = errors.New("it is the checkpoint")
	ErrFirst          = errors.New("the first version goes with its schema only")
	ErrNecessary      = errors.New("its schema's compatibility compares new versions with it: set a later checkpoint first")
	ErrTooMany        = errors.New("a schema has at most 100000 versions")
	ErrMetadata       = errors.New("there is no such metadata")
	ErrMetadataExists = errors.New("the metadata is there already")
	ErrMetadataLimit  = errors.New("a version has at most 10 pairs of metadata")
)

// Incompatible is a definition that does not get on with what is there.
type Incompatible struct {
	Schema Name
	Level  contract.Level
	Breaks []contract.Break // one at least
	Before string           // the version that could still come first: the smallest minor bump of the last, 1.4.0
}

// maxBreaks bounds how many breaks a sentence tells.
const maxBreaks = 10

func (e *Incompatible) Error() string {
	text := fmt.Sprintf("%s does not allow this change of %s: ", e.Level, e.Schema.Schema)
	for i, b := range e.Breaks {
		switch {
		case i == maxBreaks:
			return text + fmt.Sprintf("; and %d more", len(e.Breaks)-i)
		case i > 0:
			text += "; "
		}
		text += b.Explain(e.Before)
	}
	return text
}

// SemverError is a declared semantic version that cannot be.
type SemverError struct {
	Declared string
	Smallest string // what would be right; "" where that is not the point
	Detail   string
}

func (e *SemverError) Error() string { return e.Detail }
