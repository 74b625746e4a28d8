package stream

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/dhowhq/dhow/store"
)

// iteratorSecret is the name of the key that seals iterators; a stream's own has
// the stream's id.
const iteratorSecret = "iterators"

// sealer returns AES-256-GCM with a key.
func sealer(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// seal appends the nonce and the sealed text to b.
func seal(a cipher.AEAD, b, text, with []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, a.NonceSize())...)
	rand.Read(b[at:]) // never fails, see its documentation
	return a.Seal(b, b[at:at+a.NonceSize()], text, with)
}

// unseal returns what seal was given.
func unseal(a cipher.AEAD, sealed, with []byte) ([]byte, error) {
	n := a.NonceSize()
	if len(sealed) < n {
		return nil, fmt.Errorf("stream: %d bytes are no sealed text", len(sealed))
	}
	return a.Open(nil, sealed[:n], sealed[n:], with)
}

// ensureSecret returns the key of that name, made if it is not there.
func ensureSecret(tx *store.Tx, name string) ([]byte, error) {
	s, ok := secrets.Get(tx, name)
	if ok {
		return s.Key, nil
	}
	s = secret{Name: name, Key: make([]byte, 32)}
	rand.Read(s.Key)
	return s.Key, secrets.Put(tx, s)
}

// iteratorSealer returns the sealer of iterators, whose key outlives restarts.
func (e *Engine) iteratorSealer(ctx context.Context) (cipher.AEAD, error) {
	var key []byte
	err := e.db.Update(ctx, func(tx *store.Tx) (err error) {
		key, err = ensureSecret(tx, iteratorSecret)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sealer(key)
}
