package http1

import (
	"net/http"
	"net/textproto"
	"strconv"
	"sync/atomic"
	"time"
)

func appendStatus(b []byte, status int) []byte {
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(status), 10)
	if text := http.StatusText(status); text != "" {
		b = append(append(b, ' '), text...)
	} else {
		b = strconv.AppendInt(append(b, " status code "...), int64(status), 10)
	}
	return append(b, "\r\n"...)
}

// appendFields appends a line for each value. A name that is none is left out,
// and line ends in values are spaces.
func appendFields(b []byte, name string, values []string) []byte {
	if name == "" || !all(name, inToken) {
		return b
	}
	for _, v := range values {
		b = append(append(b, name...), ": "...)
		at := len(b)
		b = append(b, textproto.TrimString(v)...)
		for i, c := range b[at:] {
			if c == '\r' || c == '\n' {
				b[at+i] = ' '
			}
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// stamp is the Date of a second.
type stamp struct {
	second int64
	text   string
}

var latest atomic.Pointer[stamp]

func date(now time.Time) string {
	s := latest.Load()
	if s == nil || s.second != now.Unix() {
		s = &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
		latest.Store(s)
	}
	return s.text
}
