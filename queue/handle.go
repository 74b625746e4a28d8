package queue

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// handle is what a receipt handle says: which message, and which of its
// receives.
type handle struct {
	seq      uint64
	receives uint32
}

// A receipt handle is base64 of a version, the beginning of the queue's ID, and
// a block that only the queue can make: number, receives, a constant.
const (
	handleVersion = 1
	handleID      = 8
	handleMark    = 0x51756575
	handleLen     = 1 + handleID + aes.BlockSize
)

// handles makes and reads a queue's receipt handles.
type handles struct {
	id    string
	block cipher.Block
}

func newHandles(id string, secret []byte) handles {
	sum := sha256.Sum256(append([]byte("receipt handles\x00"), secret...))
	block, err := aes.NewCipher(sum[:16])
	if err != nil {
		panic(err) // of another key length
	}
	return handles{id[:handleID], block}
}

func (hs handles) format(h handle) string {
	var b [handleLen]byte
	b[0] = handleVersion
	copy(b[1:], hs.id)
	block := b[1+handleID:]
	binary.BigEndian.PutUint64(block, h.seq)
	binary.BigEndian.PutUint32(block[8:], h.receives)
	binary.BigEndian.PutUint32(block[12:], handleMark)
	hs.block.Encrypt(block, block)
	return base64.StdEncoding.EncodeToString(b[:])
}

// parse reads a handle: ErrHandle if it is none, ErrOtherQueue if another queue
// made it.
func (hs handles) parse(s string) (h handle, err error) {
	var b [2 * handleLen]byte
	if len(s) != base64.StdEncoding.EncodedLen(handleLen) {
		return h, ErrHandle
	}
	n, err := base64.StdEncoding.Strict().Decode(b[:], []byte(s))
	if err != nil || n != handleLen || b[0] != handleVersion {
		return h, ErrHandle
	}
	if string(b[1:1+handleID]) != hs.id {
		return h, ErrOtherQueue
	}
	block := b[1+handleID : handleLen]
	hs.block.Decrypt(block, block)
	if binary.BigEndian.Uint32(block[12:]) != handleMark {
		return h, ErrHandle
	}
	return handle{binary.BigEndian.Uint64(block), binary.BigEndian.Uint32(block[8:])}, nil
}
