package avro

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/dhowhq/dhow/contract/wire"
)

// Producer writes values of T as messages of one version of a schema. It is safe
// for concurrent use.
type Producer[T any] struct {
	version *Version
	ref     wire.Reference
	zlib    bool
	size    atomic.Int64 // of the last message, a guess for the next
	unions  *route       // to those whose values may fit more than one type
}

// NewProducer finds the version that is written, once: what a program writes
// changes with the program. schema is what [ParseWanted] reads, for example
// shop/order@1.2.0.
func NewProducer[T any](ctx context.Context, source Source, schema string, opts ...Option) (*Producer[T], error) {
	o := optionsOf(opts)
	if err := misplaced(o.ofConsumers, "consumers"); err != nil {
		return nil, err
	}
	want, err := ParseWanted(schema)
	if err != nil {
		return nil, err
	}
	v, err := written(ctx, source, want, o)
	if err != nil {
		return nil, fmt.Errorf("a producer of %s: %w", want, err)
	}
	p := &Producer[T]{version: v, zlib: o.zlib}
	if p.ref, err = v.Reference(formOf(v, o)); err != nil {
		return nil, fmt.Errorf("a producer of %s: %w", want, err)
	}
	if o.zlib && p.ref.Form != wire.Glue {
		return nil, fmt.Errorf("a producer of %s: only the form Glue has compression, and this one writes %s", want, p.ref.Form)
	}
	if p.unions, err = routeOf(v, o.custom...); err != nil {
		return nil, fmt.Errorf("a producer of %s: %w", want, err)
	}
	return p, nil
}

func formOf(v *Version, o options) wire.Form {
	switch {
	case o.hasForm:
		return o.form
	case v.UUID != wire.UUID{}:
		return wire.Glue
	case v.ID != 0:
		return wire.Confluent
	}
	return wire.SingleObject
}

// written finds the version that a producer writes.
func written(ctx context.Context, source Source, want Wanted, o options) (*Version, error) {
	mine, err := chosen(ctx, source, want, o)
	if err != nil || o.definition == "" {
		return mine, err
	}
	v, err := source.Find(ctx, want.Name, wire.Reference{Form: wire.SingleObject, Fingerprint: mine.fingerprint})
	if err != nil {
		return nil, fmt.Errorf("the schema given has to be a version in the source: %w", err)
	}
	if _, ok := want.accepts(v); !ok {
		return nil, fmt.Errorf("the schema given is version %s, which %s leaves out", v, want)
	}
	mine.Version, mine.UUID, mine.ID = v.Version, v.UUID, v.ID
	return mine, nil
}

// Version is what the producer writes with.
func (p *Producer[T]) Version() *Version { return p.version }

// Reference is how messages name the version.
func (p *Producer[T]) Reference() wire.Reference { return p.ref }

// Encode returns the message of a value: header and payload. A value that does
// not fit the schema is refused as *Invalid.
//
// Of a union a value is the type that its Go type is called as (Paid, of
// shop.Paid), else the only one that it fits, else the one for which Go has its
// type: a string is no enum. Where that does not tell, it is refused:
// map[string]any{"shop.Paid": v} says which it is. A nil slice or map is null where
// the union has that.
func (p *Producer[T]) Encode(v *T) ([]byte, error) {
	dst := make([]byte, 0, p.size.Load()+16)
	dst, err := p.Append(dst, v)
	if err != nil {
		return nil, err
	}
	if n := int64(len(dst)); n != p.size.Load() {
		p.size.Store(n)
	}
	return dst, nil
}

// Append appends the message of a value to dst. It allocates nothing for the
// header.
func (p *Producer[T]) Append(dst []byte, v *T) ([]byte, error) {
	if p.zlib {
		payload, err := p.payload(nil, v)
		if err != nil {
			return dst, err
		}
		return wire.AppendZlib(dst, p.ref.UUID, payload), nil
	}
	out, err := p.payload(p.ref.AppendHeader(dst), v)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (p *Producer[T]) payload(dst []byte, v *T) ([]byte, error) {
	value, err := p.told(v)
	if err != nil {
		return dst, err
	}
	out, err := p.version.schema.AppendEncode(dst, value)
	if err != nil {
		return dst, invalid(p.version, err)
	}
	return out, nil
}

// told is a value in which values of unions name their types where the Avro library
// has to be told.
func (p *Producer[T]) told(v *T) (any, error) {
	if p.unions == nil || v == nil {
		return v, nil
	}
	with, bad := p.unions.chosen(reflect.ValueOf(v), 0)
	switch {
	case bad != nil:
		return nil, &Invalid{Schema: p.version.String(), Path: cmp.Or(strings.TrimPrefix(p.version.record+bad.path, "."), "the message"), Detail: bad.detail}
	case with.IsValid():
		return with.Interface(), nil
	}
	return v, nil
}

// Text is Encode for services that carry text alone: base64 of the message, and
// the attributes that have to travel with it. In the form Named those name the
// schema; in others the header does, and there are none.
func (p *Producer[T]) Text(v *T) (body string, attributes map[string]string, err error) {
	message, err := p.Encode(v)
	if err != nil {
		return "", nil, err
	}
	return base64.StdEncoding.EncodeToString(message), p.attributes(), nil
}

// attributes are what travels beside a payload in the form Named.
func (p *Producer[T]) attributes() map[string]string {
	if p.ref.Form != wire.Named {
		return nil
	}
	return map[string]string{
		wire.SchemaAttribute: p.ref.Name, wire.VersionAttribute: p.ref.Version, wire.ContentTypeAttribute: wire.AvroBinary,
	}
}

// ErrHeaderless is a producer of the form Named and a service whose messages have
// no attributes.
var ErrHeaderless = errors.New("messages of this service have no attributes to name the schema in: use the form Glue, Confluent or SingleObject")
