package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unique"

	"github.com/dhowhq/dhow/contract"
)

// UnmarshalJSON reads a row, as package json would do, in a third of the time:
// there may be many thousands of versions, and all are read at the start. What
// versions have rarely is left to that package.
func (v *Version) UnmarshalJSON(data []byte) error {
	var read Version
	if read.scan(data) {
		*v = read
		return nil
	}
	type plain Version // without this method
	return json.Unmarshal(data, (*plain)(v))
}

// scan reads what MarshalJSON makes of a version, and reports whether it could.
// Of data that is no JSON it may take some, and never panics.
func (v *Version) scan(data []byte) bool {
	for open := byte('{'); ; open = ',' {
		if len(data) > 0 && data[0] == '}' && open == ',' {
			return len(data) == 1
		}
		if len(data) < 2 || data[0] != open || data[1] != '"' {
			return false
		}
		end := bytes.IndexByte(data[2:], '"') + 2
		if end < 2 || end+2 > len(data) || data[end+1] != ':' {
			return false
		}
		key := data[2:end]
		value, rest, ok := token(data[end+2:])
		if !ok || !v.set(key, value) {
			return false
		}
		data = rest
	}
}

// token cuts a value without escapes off: a string with its quotes, or what
// stands before the next comma or brace.
func token(data []byte) (value, rest []byte, ok bool) {
	if len(data) > 0 && data[0] == '"' {
		end := bytes.IndexByte(data[1:], '"') + 2
		if end < 2 || bytes.IndexByte(data[1:end], '\\') >= 0 {
			return nil, nil, false
		}
		return data[:end], data[end:], true
	}
	end := bytes.IndexAny(data, ",}")
	return data[:max(end, 0)], data[max(end, 0):], end > 0
}

// set sets a field, and reports whether it could.
func (v *Version) set(key, value []byte) bool {
	if value[0] == '"' {
		return v.setText(string(key), value[1:len(value)-1])
	}
	switch string(key) {
	case "Number":
		n, err := strconv.ParseInt(string(value), 10, 64)
		v.Number = n
		return err == nil
	case "SchemaID":
		n, err := strconv.Atoi(string(value))
		v.SchemaID = n
		return err == nil
	case "Declared":
		v.Declared = string(value) == "true"
		return v.Declared
	case "Deleted":
		v.Deleted = string(value) == "true"
		return v.Deleted
	}
	return false
}

// setText sets a field to a string; what many versions share is kept once.
func (v *Version) setText(key string, value []byte) (ok bool) {
	shared := func() string { return unique.Make(string(value)).Value() }
	var err error
	switch key {
	case "Account":
		v.Account = shared()
	case "Region":
		v.Region = shared()
	case "Registry":
		v.Registry = shared()
	case "Name":
		v.Name = shared()
	case "ID":
		v.ID = string(value)
	case "Status":
		v.Status = Status(shared())
	case "Format":
		v.Format = contract.Format(shared())
	case "Packed":
		v.Packed = make([]byte, base64.StdEncoding.DecodedLen(len(value)))
		var n int
		n, err = base64.StdEncoding.Decode(v.Packed, value)
		v.Packed = v.Packed[:n]
	case "Digest":
		v.Digest = string(value)
	case "Semver":
		v.Semver = string(value)
	case "Smallest":
		v.Smallest = string(value)
	case "Created":
		v.Created, err = time.Parse(time.RFC3339Nano, string(value))
	default:
		return false
	}
	return err == nil
}
