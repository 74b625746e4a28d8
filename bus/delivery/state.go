package delivery

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dhowhq/dhow/journal"
)

var errRecord = errors.New("not a record of this version")

// Records begin with the version of their form.
const version = 1

// encodeItem writes a message: the time, the lanes, the body.
func encodeItem(at time.Time, i Item) []byte {
	n := 32 + len(i.Body)
	for _, l := range i.Lanes {
		n += 4 + len(l)
	}
	b := append(make([]byte, 0, n), version)
	b = binary.AppendVarint(b, at.UnixMicro())
	b = binary.AppendUvarint(b, uint64(len(i.Lanes)))
	for _, l := range i.Lanes {
		b = binary.AppendUvarint(b, uint64(len(l)))
		b = append(b, l...)
	}
	return append(b, i.Body...)
}

// decodeItem reads a message. Its body shares b.
func decodeItem(b []byte) (at time.Time, i Item, err error) {
	if len(b) == 0 || b[0] != version {
		return at, i, errRecord
	}
	b = b[1:]
	micro, n := binary.Varint(b)
	if n <= 0 {
		return at, i, errRecord
	}
	b = b[n:]
	lanes, n := binary.Uvarint(b)
	if n <= 0 || lanes > uint64(len(b)) {
		return at, i, errRecord
	}
	b = b[n:]
	for range lanes {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return at, i, errRecord
		}
		i.Lanes = append(i.Lanes, string(b[n:n+int(size)]))
		b = b[n+int(size):]
	}
	i.Body = b
	return time.UnixMicro(micro), i, nil
}

// taskKey is a lane of a record.
type taskKey struct {
	seq journal.Seq
	n   int
}

// stateRecord is a state on disk. These are few: those of failures, and of
// records of which some lanes are done and others wait.
type stateRecord struct {
	Seq       journal.Seq
	Lane      int
	Attempts  int        `json:",omitempty"`
	Next      *time.Time `json:",omitempty"`
	Done      bool       `json:",omitempty"`
	Dead      bool       `json:",omitempty"`
	Code      string     `json:",omitempty"`
	Message   string     `json:",omitempty"`
	Exhausted string     `json:",omitempty"`
	Retries   int        `json:",omitempty"`
}

// maxMessage is how much of an error's text is kept, in bytes.
const maxMessage = 1024

// said is an error's text as a dead letter can hold it: a part of it may be a
// receiver's.
func said(err error) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r // of bytes that are no UTF-8, RuneError
	}, err.Error())
	for n := maxMessage; len(s) > maxMessage; n-- {
		if utf8.RuneStart(s[n]) {
			s = s[:n]
		}
	}
	return s
}

func encodeState(k taskKey, s state) []byte {
	r := stateRecord{Seq: k.seq, Lane: k.n, Done: s.done}
	if !s.done {
		r.Attempts, r.Dead, r.Code, r.Message, r.Exhausted, r.Retries = s.attempts, s.dead, s.why.Code, s.why.Message, s.why.Exhausted, s.why.Retries
		if !s.next.IsZero() {
			r.Next = &s.next
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	return append([]byte{version}, b...)
}

func decodeState(b []byte) (k taskKey, s state, err error) {
	var r stateRecord
	if len(b) == 0 || b[0] != version || json.Unmarshal(b[1:], &r) != nil {
		return k, s, errRecord
	}
	s = state{attempts: r.Attempts, done: r.Done, dead: r.Dead, why: Failure{r.Code, r.Message, r.Exhausted, r.Retries}}
	if r.Next != nil {
		s.next = *r.Next
	}
	return taskKey{r.Seq, r.Lane}, s, nil
}
