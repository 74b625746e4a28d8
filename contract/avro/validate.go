package avro

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dhowhq/dhow/contract/verdict"
)

// maxEmpty bounds how many items without any bytes an array may hold: they
// cost nothing to send and memory to read.
const maxEmpty = 4096

// Validate reports whether data is one datum of the schema, whole and nothing
// more, as *verdict.Invalid. It walks the bytes and builds nothing; its time is
// bounded by their number. Beyond what decoders notice it refuses strings that
// are not UTF-8, booleans other than 0 and 1, and blocks whose length in bytes
// is not that of their items, all of which readers take differently; and values
// that their logical type has not: times beyond a day, decimals with too many
// digits, what is no uuid.
func (s *Schema) Validate(data []byte) error {
	w := walker{data: data}
	if w.walk(s.root) && w.at == len(data) {
		return nil
	}
	return w.invalid(s.root)
}

// Datum is how many bytes the first datum in data has. Errors are as those of
// [Schema.Validate].
func (s *Schema) Datum(data []byte) (int, error) {
	w := walker{data: data}
	if w.walk(s.root) {
		return w.at, nil
	}
	return 0, w.invalid(s.root)
}

// walker reads data by a type. Its methods report success; what failed is kept
// aside, so that the way of good data is short.
type walker struct {
	data  []byte
	at    int
	depth int
	fault string
	steps []string // the path of the fault, from below
}

func (w *walker) invalid(root *typ) error {
	if w.fault == "" {
		return &verdict.Invalid{Detail: fmt.Sprintf("%d bytes are left over after the datum of %d bytes", len(w.data)-w.at, w.at)}
	}
	var path strings.Builder
	path.WriteString(short(root.name))
	for i := len(w.steps) - 1; i >= 0; i-- {
		path.WriteString(w.steps[i])
	}
	return &verdict.Invalid{Path: clip(strings.TrimPrefix(path.String(), ".")), Detail: w.fault}
}

// clip shortens the paths of bombs, to which nobody walks.
func clip(path string) string {
	const most = 300
	if len(path) <= most {
		return path
	}
	return strings.ToValidUTF8(path[:most/2]+"…"+path[len(path)-most/2:], "")
}

func (w *walker) fail(format string, args ...any) bool {
	w.fault = fmt.Sprintf(format, args...)
	return false
}

func (w *walker) short(t *typ) bool {
	return w.fail("the bytes end within %s", t.label())
}

func (w *walker) walk(t *typ) bool {
	switch t.kind {
	case kindNull:
		return true
	case kindBoolean:
		return w.boolean(t)
	case kindInt:
		n, ok := w.long()
		if !ok || n != int64(int32(n)) {
			return w.badNumber(t, ok)
		}
		return t.limits == anything || w.day(t, n)
	case kindLong:
		n, ok := w.long()
		if !ok {
			return w.badNumber(t, ok)
		}
		return t.limits == anything || w.day(t, n)
	case kindFloat:
		return w.skip(t, 4)
	case kindDouble:
		return w.skip(t, 8)
	case kindFixed:
		return w.fixed(t)
	case kindBytes:
		b, ok := w.bytes(t)
		return ok && (t.limits == anything || w.text(t, b))
	case kindString:
		return w.string(t)
	case kindEnum:
		return w.enum(t)
	case kindUnion:
		return w.union(t)
	case kindRecord:
		return w.record(t)
	}
	return w.blocks(t)
}

// long reads a number in variable length and zig-zag.
func (w *walker) long() (int64, bool) {
	if w.at < len(w.data) && w.data[w.at] < 0x80 {
		u := uint64(w.data[w.at])
		w.at++
		return int64(u>>1) ^ -int64(u&1), true
	}
	u, n := binary.Uvarint(w.data[w.at:])
	if n <= 0 {
		return 0, false
	}
	w.at += n
	return int64(u>>1) ^ -int64(u&1), true
}

// badNumber says why a number was not read, or was too large.
func (w *walker) badNumber(t *typ, read bool) bool {
	switch {
	case read:
		return w.fail("the number is too large for an int")
	case len(w.data)-w.at < binary.MaxVarintLen64:
		return w.short(t)
	}
	return w.fail("the number is too large for a long")
}

func (w *walker) skip(t *typ, n int) bool {
	if n > len(w.data)-w.at {
		return w.short(t)
	}
	w.at += n
	return true
}

func (w *walker) boolean(t *typ) bool {
	if w.at >= len(w.data) {
		return w.short(t)
	}
	if b := w.data[w.at]; b > 1 {
		return w.fail("a boolean is the byte 0 or 1, not %d", b)
	}
	w.at++
	return true
}

func (w *walker) bytes(t *typ) ([]byte, bool) {
	n, ok := w.long()
	if !ok {
		return nil, w.badNumber(t, ok)
	}
	if n < 0 || n > int64(len(w.data)-w.at) {
		return nil, w.fail("the length of %s is %d, and %d bytes are left", t.label(), n, len(w.data)-w.at)
	}
	b := w.data[w.at : w.at+int(n)]
	w.at += int(n)
	return b, true
}

func (w *walker) string(t *typ) bool {
	b, ok := w.bytes(t)
	if ok && !utf8.Valid(b) {
		return w.fail("the string is not valid UTF-8")
	}
	return ok && (t.limits == anything || w.text(t, b))
}

func (w *walker) fixed(t *typ) bool {
	start := w.at
	return w.skip(t, t.size) && (t.limits == anything || w.text(t, w.data[start:w.at]))
}

func (w *walker) enum(t *typ) bool {
	n, ok := w.long()
	if !ok {
		return w.badNumber(t, ok)
	}
	if n < 0 || n >= int64(len(t.symbols)) {
		return w.fail("%s has %d symbols, and none with the number %d", t.label(), len(t.symbols), n)
	}
	return true
}

func (w *walker) union(t *typ) bool {
	n, ok := w.long()
	if !ok {
		return w.badNumber(t, ok)
	}
	if n < 0 || n >= int64(len(t.branches)) {
		return w.fail("%s has %d types, and none with the number %d", t.label(), len(t.branches), n)
	}
	if !w.deeper() || !w.walk(t.branches[n]) {
		return false
	}
	w.depth--
	return true
}

func (w *walker) deeper() bool {
	if w.depth++; w.depth > maxNesting {
		return w.fail("the datum nests deeper than %d levels", maxNesting)
	}
	return true
}

func (w *walker) record(t *typ) bool {
	if t.least == 0 {
		return true // however many records it is made of
	}
	if !w.deeper() {
		return false
	}
	for i := range t.fields {
		f := &t.fields[i]
		if !w.walk(f.typ) {
			w.steps = append(w.steps, "."+f.name)
			return false
		}
	}
	w.depth--
	return true
}

// blocks walks arrays and maps.
func (w *walker) blocks(t *typ) bool {
	if !w.deeper() {
		return false
	}
	for index := 0; ; {
		count, size, ok := w.blockHead(t)
		if !ok || count == 0 {
			w.depth--
			return ok
		}
		start := w.at
		if !w.blockFits(t, count, index) {
			return false
		}
		if t.items.least == 0 && t.kind == kindArray {
			index, count = index+int(count), 0
		}
		for ; count > 0; count-- {
			if !w.item(t, index) {
				return false
			}
			index++
		}
		if size >= 0 && int64(w.at-start) != size {
			return w.fail("a block of %s says that it has %d bytes and has %d", t.label(), size, w.at-start)
		}
	}
}

// blockHead reads how many items a block has and, where it says so, bytes.
func (w *walker) blockHead(t *typ) (count, size int64, ok bool) {
	if count, ok = w.long(); !ok {
		return 0, 0, w.badNumber(t, ok)
	}
	if count >= 0 {
		return count, -1, true
	}
	if size, ok = w.long(); !ok {
		return 0, 0, w.badNumber(t, ok)
	}
	if count = -count; count < 0 || size < 0 {
		return 0, 0, w.fail("a block of %s has a negative length", t.label())
	}
	return count, size, true
}

// blockFits checks a count against the bytes there are, before anybody counts.
func (w *walker) blockFits(t *typ, count int64, before int) bool {
	least := int64(t.items.least)
	if t.kind == kindMap {
		least = min(least+1, maxLeast) // the key
	}
	left := int64(len(w.data) - w.at)
	if least == 0 {
		if count > maxEmpty-int64(before) {
			return w.fail("%s has %d items without any bytes, at most %d are read", t.label(), count, maxEmpty)
		}
		return true
	}
	if count > left/least {
		return w.fail("a block of %s claims %d items, and %d bytes are left", t.label(), count, left)
	}
	return true
}

func (w *walker) item(t *typ, index int) bool {
	if t.kind == kindArray {
		if w.walk(t.items) {
			return true
		}
		w.steps = append(w.steps, "["+strconv.Itoa(index)+"]")
		return false
	}
	key, ok := w.bytes(keyType)
	switch {
	case !ok:
		w.steps = append(w.steps, "["+strconv.Itoa(index)+"]")
	case !utf8.Valid(key):
		w.steps = append(w.steps, "["+strconv.Itoa(index)+"]")
		return w.fail("the key is not valid UTF-8")
	case !w.walk(t.items):
		w.steps = append(w.steps, "["+strconv.Quote(string(key))+"]")
		return false
	}
	return ok
}

var keyType = &typ{kind: kindString, least: 1}
