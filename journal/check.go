package journal

import (
	"errors"
	"fmt"
)

// CheckName refuses a name that no log can have; back ends call it.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("journal: a log's name has 1 to %d bytes, not %d", MaxName, len(name))
	}
	if !plain(name[0]) || !plain(name[len(name)-1]) {
		return fmt.Errorf("journal: the log's name %q must begin and end with a letter or digit", name)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case plain(c), c == '-', c == '_', c == '.', c == '/', c == ':':
		default:
			return fmt.Errorf("journal: the log's name %q has a byte %q: letters, digits and -_./: are allowed", name, c)
		}
	}
	return nil
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// CheckBatch refuses records that Append need not take; back ends call it,
// unless they take more.
func CheckBatch(records [][]byte) error {
	if len(records) == 0 {
		return errors.New("journal: nothing to append")
	}
	size := 0
	for _, r := range records {
		size += len(r)
	}
	if size > MaxRecord || len(records) > MaxBatch {
		return fmt.Errorf("%w: %d records of %d bytes together", ErrTooBig, len(records), size)
	}
	return nil
}
