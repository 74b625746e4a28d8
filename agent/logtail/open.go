package logtail

import (
	"bufio"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a container's output for reading, at the first whole line of what
// is kept of it.
func Open(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	at, err := f.Seek(0, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // nothing is kept
		_, err = f.Seek(0, io.SeekEnd)
	case err == nil && at > 0:
		// The block may begin within a line.
		var line []byte
		line, err = bufio.NewReaderSize(f, block).ReadSlice('\n')
		if err == nil {
			_, err = f.Seek(at+int64(len(line)), io.SeekStart)
		} else if errors.Is(err, bufio.ErrBufferFull) || err == io.EOF {
			_, err = f.Seek(at, io.SeekStart)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
