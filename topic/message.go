package topic

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"
)

// MaxMessage is the largest message in bytes, attributes included.
const MaxMessage = 256 << 10

// Message is what a publisher gives; the engine fills in the rest.
type Message struct {
	Subject    *string           `json:",omitempty"`
	Body       string            // of MessageStructure json, the default one
	Bodies     map[string]string `json:",omitempty"` // by protocol, of MessageStructure json
	Attributes []Attribute       `json:",omitempty"` // sorted by name
	Group      string            `json:",omitempty"`
	Dedup      string            `json:",omitempty"`
	Trace      string            `json:",omitempty"` // X-Amzn-Trace-Id

	ID       string
	Time     time.Time
	Sequence string `json:",omitempty"`
	Replay   string `json:",omitempty"` // Replay.ID of a message from the archive
	Type     string `json:",omitempty"` // of a confirmation: what it is
	Token    string `json:",omitempty"` // of a confirmation
}

// Attribute is a message attribute. Type is String, Number or Binary, one of
// these with a suffix, or String.Array. Binary has its value in Binary.
type Attribute struct {
	Name, Type string
	Value      string `json:",omitempty"`
	Binary     []byte `json:",omitempty"`
}

// IsBinary reports whether the attribute's value is bytes.
func (a Attribute) IsBinary() bool { return isType(a.Type, "Binary") }

func isType(t, base string) bool {
	return t == base || len(t) > len(base) && t[:len(base)] == base && t[len(base)] == '.'
}

// Size is what counts towards MaxMessage.
func (m *Message) Size() int {
	n := len(m.Body)
	if m.Subject != nil {
		n += len(*m.Subject)
	}
	for _, a := range m.Attributes {
		n += len(a.Name) + len(a.Type) + len(a.Value) + len(a.Binary)
	}
	return n
}

// bodyFor is the body that a protocol gets.
func (m *Message) bodyFor(protocol string) string {
	if b, ok := m.Bodies[protocol]; ok {
		return b
	}
	return m.Body
}

// Published is the outcome of a publication.
type Published struct {
	ID       string
	Sequence string // of FIFO topics, 20 digits
}

// A message on disk is a byte that says how it is written, and the message as
// JSON: plain, or sealed with the topic's key.
const (
	plain  = 0
	sealed = 1
)

var errRecord = errors.New("topic: a message on disk cannot be read")

// encode writes a message for the disk; key is nil for no sealing.
func encode(m *Message, key []byte) ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil || key == nil {
		return append([]byte{plain}, data...), err
	}
	gcm, err := sealer(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+gcm.NonceSize(), 1+gcm.NonceSize()+len(data)+gcm.Overhead())
	out[0] = sealed
	rand.Read(out[1:])
	return gcm.Seal(out, out[1:], data, nil), nil
}

func decode(b, key []byte) (m Message, err error) {
	if len(b) == 0 {
		return m, errRecord
	}
	data := b[1:]
	if b[0] == sealed {
		gcm, err := sealer(key)
		if err != nil || len(data) < gcm.NonceSize() {
			return m, errRecord
		}
		if data, err = gcm.Open(nil, data[:gcm.NonceSize()], data[gcm.NonceSize():], nil); err != nil {
			return m, errRecord
		}
	} else if b[0] != plain {
		return m, errRecord
	}
	if json.Unmarshal(data, &m) != nil {
		return m, errRecord
	}
	return m, nil
}

func sealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal is the key that the topic's messages are sealed with on disk, nil for
// none.
func (t *Topic) seal() []byte {
	if t.Attributes["KmsMasterKeyId"] == "" {
		return nil
	}
	return t.Key
}
