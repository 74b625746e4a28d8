package avro

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/avro/ocf"

	"github.com/dhowhq/dhow/contract/verdict"
)

// maxBlock bounds a block of a container file, packed and unpacked.
const maxBlock = 64 << 20

// Container reads an object container file datum by datum. Its blocks may be
// packed by deflate, snappy or zstandard; a block has at most 64 MiB.
type Container struct {
	schema *Schema
	text   string // the schema's
	codec  ocf.Codec
	in     *bufio.Reader
	sync   [16]byte
	number int    // of the block, from 1
	left   int64  // data in the block
	block  []byte // what is left of it, unpacked
}

// OpenContainer reads a container's header. file is its name for messages.
// Errors of the schema are *verdict.Malformed, others *verdict.Invalid or those
// of in.
func OpenContainer(file string, in io.Reader) (*Container, error) {
	c := &Container{in: bufio.NewReader(in)}
	var magic [4]byte
	switch _, err := io.ReadFull(c.in, magic[:]); {
	case err == nil && string(magic[:]) == "Obj\x00":
		return nil, &verdict.Invalid{Detail: "the container has the format of Avro 1.2, which Avro 1.3 replaced: it begins with Obj and the byte 0, and only those with the byte 1 are read. Read it with DataFileReader.openReader of Avro's Java library, which knows both, and write it anew with DataFileWriter"}
	case err != nil || string(magic[:]) != "Obj\x01":
		return nil, &verdict.Invalid{Detail: "not an Avro container file: it does not begin with Obj and the byte 1"}
	}
	meta, err := c.metadata()
	if err != nil {
		return nil, err
	}
	if c.codec, err = codec(string(meta["avro.codec"])); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c.in, c.sync[:]); err != nil {
		c.Close()
		return nil, c.cut(err)
	}
	c.text = string(meta["avro.schema"])
	if c.schema, err = Parse(Source{File: file, Text: c.text}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// codec finds what unpacks the blocks.
func codec(name string) (ocf.Codec, error) {
	switch name {
	case "", "null":
		return nil, nil
	case "deflate":
		return ocf.DeflateCodec(flate.DefaultCompression), nil
	case "snappy":
		return ocf.SnappyCodec(), nil
	case "zstandard":
		return ocf.ZstdCodec(nil, nil)
	}
	return nil, &verdict.Invalid{Detail: fmt.Sprintf("the blocks are packed by %q; null, deflate, snappy and zstandard can be read", name)}
}

// metadata reads the header's map.
func (c *Container) metadata() (map[string][]byte, error) {
	meta := map[string][]byte{}
	for budget := int64(maxText * 2); ; {
		count, err := c.long()
		if err != nil || count == 0 {
			return meta, err
		}
		if count < 0 {
			if _, err := c.long(); err != nil {
				return nil, err
			}
		}
		for n := max(count, -count); n != 0; n-- {
			key, err := c.bytes(&budget)
			if err != nil {
				return nil, err
			}
			if meta[string(key)], err = c.bytes(&budget); err != nil {
				return nil, err
			}
		}
	}
}

func (c *Container) long() (int64, error) {
	n, err := binary.ReadVarint(c.in)
	if err != nil {
		return 0, c.cut(err)
	}
	return n, nil
}

// bytes reads a length and as many bytes, which are taken from budget.
func (c *Container) bytes(budget *int64) ([]byte, error) {
	n, err := c.long()
	if err != nil {
		return nil, err
	}
	if *budget -= n + 1; n < 0 || *budget < 0 {
		return nil, &verdict.Invalid{Detail: "the container's header or one of its blocks is larger than what is read"}
	}
	var buf bytes.Buffer // grows with what comes, not with what is claimed
	if _, err := io.CopyN(&buf, c.in, n); err != nil {
		return nil, c.cut(err)
	}
	return buf.Bytes(), nil
}

// cut is the error of a file that ends where it should go on.
func (c *Container) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &verdict.Invalid{Detail: fmt.Sprintf("the container ends within %s", c.where())}
	}
	return err
}

func (c *Container) where() string {
	if c.number == 0 {
		return "its header"
	}
	return fmt.Sprintf("block %d", c.number)
}

// Schema is what the data were written with.
func (c *Container) Schema() *Schema { return c.schema }

// Text is the schema's text, as it is in the file.
func (c *Container) Text() string { return c.text }

// Next is the next datum's bytes, valid until the next call, and io.EOF after
// the last. The datum is valid by the schema; what is not is an error, as in
// [OpenContainer].
func (c *Container) Next() ([]byte, error) {
	for c.left == 0 {
		if len(c.block) > 0 {
			return nil, &verdict.Invalid{Detail: fmt.Sprintf("%d bytes are left over in %s", len(c.block), c.where())}
		}
		if err := c.next(); err != nil {
			return nil, err
		}
	}
	n, err := c.schema.Datum(c.block)
	if err != nil {
		return nil, err
	}
	datum := c.block[:n:n]
	c.block = c.block[n:]
	c.left--
	return datum, nil
}

// next reads a block.
func (c *Container) next() error {
	if _, err := c.in.Peek(1); err != nil {
		return err
	}
	c.number++
	count, err := c.long()
	if err != nil {
		return err
	}
	budget := int64(maxBlock)
	if c.block, err = c.bytes(&budget); err != nil {
		return err
	}
	var sync [16]byte
	if _, err := io.ReadFull(c.in, sync[:]); err != nil {
		return c.cut(err)
	}
	if sync != c.sync {
		return &verdict.Invalid{Detail: c.where() + " does not end with the container's sync marker"}
	}
	if err := c.unpack(); err != nil {
		return err
	}
	most := int64(maxEmpty)
	if least := c.schema.root.least; least > 0 {
		most = int64(len(c.block) / least)
	}
	if count < 0 || count > most {
		return &verdict.Invalid{Detail: fmt.Sprintf("%s claims %d data and has %d bytes", c.where(), count, len(c.block))}
	}
	c.left = count
	return nil
}

func (c *Container) unpack() (err error) {
	if c.codec == nil {
		return nil
	}
	c.block, err = c.codec.(ocf.BoundedDecompressor).DecompressBounded(c.block, maxBlock)
	if err != nil {
		return &verdict.Invalid{Detail: fmt.Sprintf("%s cannot be unpacked: %v", c.where(), err)}
	}
	return nil
}

// Close frees what unpacking held.
func (c *Container) Close() error {
	if c.codec == nil {
		return nil
	}
	return c.codec.Close()
}
