package wire

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// LimitError is a payload that inflates to more than the receiver takes.
type LimitError struct{ Limit int } // bytes

func (e *LimitError) Error() string {
	return fmt.Sprintf("the compressed payload inflates to more than %d bytes", e.Limit)
}

// AppendZlib appends Glue's header and the payload compressed, the form that
// Glue's serializers write where their compression type is ZLIB.
func AppendZlib(dst []byte, version UUID, payload []byte) []byte {
	dst = append(append(dst, glueVersion, glueZlib), version[:]...)
	buf := bytes.NewBuffer(dst)
	w, _ := writers.Get().(*zlib.Writer)
	defer writers.Put(w)
	w.Reset(buf)
	w.Write(payload) // a bytes.Buffer takes everything
	w.Close()
	return buf.Bytes()
}

var writers = sync.Pool{New: func() any { return zlib.NewWriter(nil) }}

// Inflate appends what a compressed payload inflates to. The payload is one
// whole zlib stream; more than limit bytes of it are refused with *LimitError,
// and no more than that is kept in memory.
func Inflate(dst, payload []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(payload)
	r, err := inflater(in)
	if err != nil {
		return dst, fmt.Errorf("the compressed payload is not zlib: %w", err)
	}
	defer readers.Put(r)
	out := bytes.NewBuffer(dst)
	n, err := io.Copy(out, io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return dst, fmt.Errorf("the compressed payload is damaged: %w", err)
	case n > int64(limit):
		return dst, &LimitError{limit}
	case in.Len() > 0:
		return dst, fmt.Errorf("%d bytes follow the compressed payload", in.Len())
	}
	return out.Bytes(), nil
}

var readers sync.Pool

func inflater(in io.Reader) (io.ReadCloser, error) {
	r, ok := readers.Get().(io.ReadCloser)
	if !ok {
		return zlib.NewReader(in)
	}
	return r, r.(zlib.Resetter).Reset(in, nil)
}
