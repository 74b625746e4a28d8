package avro

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/wire"
)

// Consumer reads messages into values of T, whichever version of the schema they
// were written with. It is safe for concurrent use.
type Consumer[T any] struct {
	source  Source
	reader  *Version
	decoder wire.Decoder
	decode  []twmb.Opt
	bare    *reader // of messages that name no schema, nil where they are refused
	readers cache[*reader]
}

// reader reads what one version wrote.
type reader struct {
	writer *Version
	schema *twmb.Schema // resolved
	hollow *shape       // the writer's, where what it wrote may claim much in few bytes
	err    error        // of a version that cannot be read
}

// NewConsumer finds the version that T is made for, once; messages of all
// versions that this one can read are read as it. schema is what [ParseWanted]
// reads, for example shop/order@^1.
func NewConsumer[T any](ctx context.Context, source Source, schema string, opts ...Option) (*Consumer[T], error) {
	o := optionsOf(opts)
	if err := misplaced(o.ofProducers, "producers"); err != nil {
		return nil, err
	}
	want, err := ParseWanted(schema)
	if err != nil {
		return nil, err
	}
	c := &Consumer[T]{source: source, decoder: wire.Decoder{Limit: o.limit, Only: o.only}, decode: o.decode}
	if c.reader, err = chosen(ctx, source, want, o); err != nil {
		return nil, fmt.Errorf("a consumer of %s: %w", want, err)
	}
	if o.bare == "" {
		return c, nil
	}
	bare, err := ParseWanted(want.Name + "@" + o.bare)
	var writer *Version
	if err == nil {
		writer, err = source.Select(ctx, bare)
	}
	if err != nil {
		return nil, fmt.Errorf("a consumer of %s, for messages that name no schema: %w", want, err)
	}
	c.bare = c.reads(writer)
	return c, nil
}

// chosen is the version that a program is built for: the text that it was given,
// or else the newest that is wanted.
func chosen(ctx context.Context, source Source, want Wanted, o options) (*Version, error) {
	if o.definition != "" {
		return parse(&Version{Name: want.Name, Definition: o.definition}, o.custom...)
	}
	v, err := source.Select(ctx, want)
	if err != nil || len(o.custom) == 0 {
		return v, err
	}
	again := *v
	return parse(&again, o.custom...)
}

// Version is what messages are read as.
func (c *Consumer[T]) Version() *Version { return c.reader }

var (
	// ErrNoReference is a message that does not say what it was written with.
	ErrNoReference = errors.New("the message names no schema version")
	// ErrUnreadable is a message of a version that the consumer's cannot read.
	ErrUnreadable = errors.New("the versions do not resolve")
)

// Decode reads a message of bytes, as in Kinesis or Kafka: its header and its
// payload, or an envelope. ctx bounds the time that a version not met before may
// take to fetch.
//
// Errors: *Invalid where the payload does not fit the version it names; those of
// [Source] where that version is not to be had, of which [ErrUnknown] is final;
// [ErrUnreadable], [ErrNoReference], and those of package wire.
func (c *Consumer[T]) Decode(ctx context.Context, message []byte) (*T, error) {
	v := new(T)
	if err := c.DecodeInto(ctx, message, v); err != nil {
		return nil, err
	}
	return v, nil
}

// DecodeInto is Decode into a value that is there. Where it returns an error the
// value may be half read.
func (c *Consumer[T]) DecodeInto(ctx context.Context, message []byte, v *T) error {
	var h wire.Header
	payload, err := h.Split(message, c.decoder.Only)
	if err != nil || h.Form == wire.None || h.Zlib {
		return c.Read(ctx, wire.Message{Body: message}, v)
	}
	r, err := c.readerOf(ctx, &h.Reference)
	if err != nil {
		return err
	}
	return c.payload(r, payload, v)
}

// Read reads a message with its attributes into v, for transports that this
// package has no helper for.
func (c *Consumer[T]) Read(ctx context.Context, m wire.Message, v *T) error {
	d, err := c.decoder.Decode(m)
	if err != nil {
		return err
	}
	r, err := c.readerOf(ctx, &d.Reference)
	switch {
	case err != nil:
		return err
	case !d.JSON:
		return c.payload(r, d.Payload, v)
	}
	if err := r.schema.DecodeJSON(d.Payload, v, c.decode...); err != nil {
		return invalid(r.writer, err)
	}
	return nil
}

func (c *Consumer[T]) payload(r *reader, payload []byte, v *T) error {
	if r.hollow != nil && r.hollow.overfull(payload) {
		return &Invalid{Schema: r.writer.String(), Path: cmp.Or(r.writer.record, "the message"), Detail: fmt.Sprintf("it has more than %d items without any bytes", maxEmpties)}
	}
	rest, err := r.schema.Decode(payload, v, c.decode...)
	if err != nil {
		in := invalid(r.writer, err)
		if path := locate(r.writer, payload); path != "" {
			in.Path = path
		}
		return in
	}
	if len(rest) > 0 {
		return &Invalid{Schema: r.writer.String(), Path: cmp.Or(r.writer.record, "the message"), Detail: fmt.Sprintf("%d bytes are left over", len(rest))}
	}
	return nil
}

// readerOf finds the reader for a reference.
func (c *Consumer[T]) readerOf(ctx context.Context, ref *wire.Reference) (*reader, error) {
	r, ok := c.readers.get(ref)
	if !ok {
		var err error
		if r, err = c.meet(ctx, *ref); err != nil {
			return nil, err
		}
	}
	return r, r.err
}

// meet finds the reader for a reference that was not met before.
func (c *Consumer[T]) meet(ctx context.Context, ref wire.Reference) (*reader, error) {
	switch {
	case ref.Form == wire.None && c.bare == nil:
		return nil, fmt.Errorf("%w: %s", ErrNoReference, "neither a header nor attributes nor an envelope that is known")
	case ref.Form == wire.None:
		return c.bare, nil
	case ref.Form == wire.Named && !sameName(ref.Name, c.reader.Name):
		return nil, unknown("the message is of %s, and %s is read here", ref, c.reader.Name)
	}
	writer, err := c.source.Find(ctx, c.reader.Name, ref)
	if err != nil {
		return nil, err
	}
	r := c.reads(writer)
	c.readers.put(ref, r)
	return r, nil
}

// reads makes the reader of what a version wrote.
func (c *Consumer[T]) reads(writer *Version) *reader {
	r := &reader{writer: writer}
	if s := shapeOf(writer); s.hollow() {
		r.hollow = &s
	}
	if r.schema, r.err = twmb.Resolve(writer.schema, c.reader.schema); r.err != nil {
		r.err = fmt.Errorf("%w: %s was written, and %s cannot read it: %w", ErrUnreadable, writer, c.reader, r.err)
	}
	return r
}
