package main

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/dhowhq/dhow/contract/avro"
)

type schemaShowCmd struct {
	Schema    string `arg:"" help:"A file, or REGISTRY/NAME[@VERSION]; of a file that declares several FILE#NAME."`
	Text      bool   `xor:"form" help:"Print the text, with all that it refers to in it; of Avro IDL the schema in JSON, as it is pushed."`
	Canonical bool   `xor:"form" help:"Print the canonical form: of Avro the Parsing Canonical Form."`
}

// Run prints fingerprints of Avro alone: no other language has them.
func (c schemaShowCmd) Run(ctx context.Context) error {
	s, err := loadSchema(ctx, c.Schema)
	if err != nil {
		return err
	}
	switch {
	case c.Text:
		fmt.Println(strings.TrimRight(s.text, "\n"))
		return nil
	case c.Canonical:
		fmt.Println(s.Canonical())
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "NAME\t%s\nFORMAT\t%s\n", s.Name(), s.Source().Format)
	if f, ok := s.Schema.(interface {
		CRC64() uint64
		MD5() [md5.Size]byte
		SHA256() [sha256.Size]byte
	}); ok {
		fmt.Fprintf(w, "CRC-64-AVRO\t%016x\nMD5\t%x\nSHA-256\t%x\n", f.CRC64(), f.MD5(), f.SHA256())
	}
	return nil
}

type schemaCatCmd struct {
	File   string `arg:"" help:"The file, packed by deflate, snappy, zstandard or nothing; - for the standard input."`
	Schema bool   `help:"Print the schema that the file was written with instead."`
}

// Run prints what can be read, up to what cannot.
func (c schemaCatCmd) Run() error {
	in, name := os.Stdin, "the standard input"
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in, name = f, c.File
	}
	file, err := avro.OpenContainer(name, in)
	if err != nil {
		return named(name, err)
	}
	defer file.Close()
	if c.Schema {
		fmt.Println(file.Text())
		return nil
	}
	return named(name, printRecords(os.Stdout, file))
}

// printRecords writes each record on a line of its own.
func printRecords(out io.Writer, file *avro.Container) error {
	w := bufio.NewWriter(out)
	defer w.Flush()
	for n := 1; ; n++ {
		datum, err := file.Next()
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		var line []byte
		if err == nil {
			line, err = file.Schema().ToJSON(datum)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
}

// named puts a file's name before what is wrong with it.
func named(file string, err error) error {
	if err == nil || strings.HasPrefix(err.Error(), file) {
		return err
	}
	return fmt.Errorf("%s: %w", file, err)
}
