package avro

import (
	"errors"
	"fmt"
	"strings"

	twmb "github.com/twmb/avro"
)

// Invalid is a message that does not fit its schema, or a value that does not
// fit the schema it is to be written with.
type Invalid struct {
	Schema string // the version, "shop/order@1.2.0"
	Path   string // of the value, "Order.lines.sku"; the record alone where it is none of its fields
	Detail string
	Err    error // of the Avro library; nil where it found nothing wrong
}

func (i *Invalid) Error() string { return fmt.Sprintf("%s: %s: %s", i.Schema, i.Path, i.Detail) }

func (i *Invalid) Unwrap() error { return i.Err }

// invalid puts an error of the Avro library into words.
func invalid(v *Version, err error) *Invalid {
	in := &Invalid{Schema: v.String(), Path: v.record, Detail: strings.TrimPrefix(err.Error(), "avro: "), Err: err}
	var s *twmb.SemanticError
	if errors.As(err, &s) {
		if s.Field != "" {
			in.Path = strings.TrimPrefix(in.Path+"."+s.Field, ".")
		}
		in.Detail = innermost(s)
	}
	if in.Path == "" {
		in.Path = "the message"
	}
	return in
}

// innermost is the reason within semantic errors: what is around it says only
// that the record cannot be read because of it.
func innermost(s *twmb.SemanticError) string {
	for {
		if s.Err == nil {
			return strings.TrimPrefix((&twmb.SemanticError{GoType: s.GoType, AvroType: s.AvroType}).Error(), "avro: ")
		}
		var deeper *twmb.SemanticError
		if !errors.As(s.Err, &deeper) {
			return strings.TrimPrefix(s.Err.Error(), "avro: ")
		}
		s = deeper
	}
}
