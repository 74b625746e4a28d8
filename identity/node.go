package identity

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// NodePrefix begins the principal of a node's agent: arn:dhow:node:::NODEID.
const NodePrefix = "arn:dhow:node:::"

// Node is the identity of a node's agent.
type Node struct {
	ID              string
	AccessKeyID     string // begins DHOWNODE
	SecretAccessKey string
}

// Principal is the node's name as a caller.
func (n Node) Principal() string { return NodePrefix + n.ID }

// LoadNode returns the node identity kept at path, and makes it at the first
// call. The file is readable by its owner only.
func LoadNode(path string) (Node, error) {
	var n Node
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(data, &n); err != nil || n.ID == "" || n.AccessKeyID == "" || n.SecretAccessKey == "" {
			return n, fmt.Errorf("node identity %s is damaged; remove the file to have a new node", path)
		}
		return n, nil
	case !errors.Is(err, fs.ErrNotExist):
		return n, err
	}
	n = Node{ID: strings.ToLower(random(10)), AccessKeyID: "DHOWNODE" + random(10), SecretAccessKey: random(30)}
	data, _ = json.Marshal(n)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return n, err
	}
	// Written aside, synced and renamed: a crash leaves no half identity, and a
	// loss of power none that the state's tasks are not of.
	if err := writeSynced(path+".new", data); err != nil {
		return n, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return n, err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return n, err
	}
	return n, errors.Join(d.Sync(), d.Close())
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// random returns n random bytes in base 32, without padding.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails, see its documentation
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}
