package avro

import (
	"fmt"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/wire"
)

// Option is a choice of a producer or consumer. One that is of the other side
// alone is an error.
type Option func(*options)

type options struct {
	form       wire.Form
	hasForm    bool
	zlib       bool
	definition string
	custom     []twmb.SchemaOpt
	decode     []twmb.Opt
	limit      int
	bare       string
	only       wire.Forms

	ofProducers, ofConsumers string // the last option that is for one side alone
}

func optionsOf(opts []Option) options {
	o := options{limit: wire.DefaultLimit}
	for _, set := range opts {
		set(&o)
	}
	return o
}

// misplaced is the error for an option of the other side.
func misplaced(name, side string) error {
	if name == "" {
		return nil
	}
	return fmt.Errorf("avro: %s is an option of %s: leave it out here", name, side)
}

// WithForm has a producer name the schema in one form. Without it that is Glue's
// where the version has an id of Glue, else Confluent's where it has one of
// those, else Avro's single-object encoding.
func WithForm(f wire.Form) Option {
	return func(o *options) { o.form, o.hasForm, o.ofProducers = f, true, "WithForm" }
}

// WithZlib has a producer compress payloads as Glue's serializers do. It is of
// Glue's form alone.
func WithZlib() Option { return func(o *options) { o.zlib, o.ofProducers = true, "WithZlib" } }

// WithSchema gives the text of the schema that the program is built for, in place
// of the newest version that is wanted: a producer writes with it, and finds its
// version in the source; a consumer reads with it, and needs no source to begin.
func WithSchema(definition string) Option { return func(o *options) { o.definition = definition } }

// WithCustom has the schema that is read or written parsed with options of the
// Avro library, conversions of one's own types for one (twmb.NewCustomType).
func WithCustom(opts ...twmb.SchemaOpt) Option {
	return func(o *options) { o.custom = append(o.custom, opts...) }
}

// WithDecode gives a consumer options of the Avro library, twmb.SkipUnknown for
// one: T may then lack fields that the schema has.
func WithDecode(opts ...twmb.Opt) Option {
	return func(o *options) { o.decode, o.ofConsumers = append(o.decode, opts...), "WithDecode" }
}

// WithLimit is what a compressed payload may inflate to at a consumer, in bytes:
// 1 MiB without it.
func WithLimit(bytes int) Option {
	return func(o *options) { o.limit, o.ofConsumers = bytes, "WithLimit" }
}

// WithBare has a consumer take messages that name no schema as written with one
// version, "1.0.0" for one. Without it they are refused.
func WithBare(version string) Option {
	return func(o *options) { o.bare, o.ofConsumers = version, "WithBare" }
}

// WithForms has a consumer look for some forms alone. A payload without a header
// may begin like one, so whoever reads such payloads says what else may come.
func WithForms(forms ...wire.Form) Option {
	return func(o *options) { o.only, o.ofConsumers = wire.Only(forms...), "WithForms" }
}
