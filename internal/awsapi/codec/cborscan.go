package codec

import (
	"encoding/binary"
	"math"
)

// cborScanner takes CBOR apart.
type cborScanner struct {
	b     []byte
	i     int
	depth int
}

// cborItem is the head of a data item.
type cborItem struct {
	first byte
	major byte
	n     uint64 // length, number or float bits
	open  bool   // the length is not given; a break ends it
}

func (h cborItem) null() bool { return h.first == cborNull || h.first == cborUndefined }

func (h cborItem) name() string {
	switch h.major {
	case cborUint, cborNeg:
		return "integer"
	case cborBytes:
		return "byte string"
	case cborText:
		return "text string"
	case cborArray:
		return "array"
	case cborMap:
		return "map"
	}
	if h.first == cborTrue || h.first == cborFalse {
		return "boolean"
	}
	return "number"
}

func (h cborItem) int() (int64, bool) {
	switch {
	case h.n > math.MaxInt64:
		return 0, false
	case h.major == cborUint:
		return int64(h.n), true
	case h.major == cborNeg:
		return -1 - int64(h.n), true
	}
	return 0, false
}

func (h cborItem) float() (float64, bool) {
	switch h.first {
	case cborHalf:
		return half(uint16(h.n)), true
	case cborSingle:
		return float64(math.Float32frombits(uint32(h.n))), true
	case cborDouble:
		return math.Float64frombits(h.n), true
	}
	if h.n > math.MaxInt64 {
		switch h.major {
		case cborUint:
			return float64(h.n), true
		case cborNeg:
			return -1 - float64(h.n), true
		}
	}
	return 0, false
}

// half is an IEEE 754 binary16.
func half(bits uint16) float64 {
	exp, frac := int(bits>>10&0x1f), float64(bits&0x3ff)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		f = math.Inf(1)
		if frac != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(frac+1024, exp-25)
	}
	if bits&0x8000 != 0 {
		f = -f
	}
	return f
}

func (s *cborScanner) short() error {
	return broken("The request body is not valid CBOR: it ends at byte %d, inside an item", len(s.b))
}

// take returns the next n bytes.
func (s *cborScanner) take(n uint64) ([]byte, error) {
	if n > uint64(len(s.b)-s.i) {
		return nil, s.short()
	}
	out := s.b[s.i : s.i+int(n)]
	s.i += int(n)
	return out, nil
}

// head reads the head of the next item.
func (s *cborScanner) head() (h cborItem, err error) {
	if s.i >= len(s.b) {
		return h, s.short()
	}
	h.first = s.b[s.i]
	h.major = h.first &^ 31
	s.i++
	switch low := h.first & 31; {
	case low < 24:
		h.n = uint64(low)
	case low < 28:
		size := uint64(1) << (low - 24)
		arg, err := s.take(size)
		if err != nil {
			return h, err
		}
		var wide [8]byte
		copy(wide[8-size:], arg)
		h.n = binary.BigEndian.Uint64(wide[:])
	case low == 31 && h.major >= cborBytes && h.major <= cborMap:
		h.open = true
		return h, nil
	default:
		return h, broken("The request body is not valid CBOR: unexpected byte %#02x at byte %d", h.first, s.i-1)
	}
	// Every element takes a byte at least: a larger count is a lie.
	if h.major == cborArray && h.n > uint64(len(s.b)-s.i) || h.major == cborMap && h.n > uint64(len(s.b)-s.i)/2 {
		return h, s.short()
	}
	return h, nil
}

// item is head past any tags.
func (s *cborScanner) item() (h cborItem, err error) {
	for range 16 {
		if h, err = s.head(); err != nil || h.major != cborTag {
			return h, err
		}
	}
	return h, broken("A CBOR item has too many tags at byte %d", s.i)
}

// end moves past a break, if one is next.
func (s *cborScanner) end() bool {
	if s.i < len(s.b) && s.b[s.i] == cborBreak {
		s.i++
		return true
	}
	return false
}

// skip moves past an item of any kind.
func (s *cborScanner) skip() error {
	if s.depth++; s.depth > maxDepth {
		return errDepth
	}
	defer func() { s.depth-- }()
	h, err := s.item()
	if err != nil {
		return err
	}
	switch h.major {
	case cborBytes, cborText:
		if !h.open {
			_, err := s.take(h.n)
			return err
		}
		for !s.end() {
			part, err := s.head()
			if err != nil {
				return err
			}
			if part.major != h.major || part.open {
				return broken("A CBOR string has a part of another kind at byte %d", s.i)
			}
			if _, err := s.take(part.n); err != nil {
				return err
			}
		}
	case cborArray, cborMap:
		per := uint64(1)
		if h.major == cborMap {
			per = 2
		}
		for i := uint64(0); h.open || i < h.n*per; i++ {
			if h.open && i%per == 0 && s.end() {
				return nil
			}
			if err := s.skip(); err != nil {
				return err
			}
		}
	}
	return nil
}
