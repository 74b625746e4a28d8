package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// vpcRecord is what is kept of a VPC. It is written when the router is
// complete and deleted before it is taken apart: what has none is debris.
type vpcRecord struct {
	VPC
	Device string     // the uplink on the host
	Link   netip.Addr // the router's address on the uplink
}

// endpointRecord is what is kept of an endpoint, with the same rule.
type endpointRecord struct {
	Endpoint
	Device string // the router's side of the veth; "" in none mode
}

// maxID keeps escaped ids within a file name.
const maxID = 80

// fileName makes an id a file name. Ids are of letters, digits and "._-:/",
// beginning with a letter or digit, at most 80 bytes.
func fileName(id string) (string, error) {
	ok := id != "" && len(id) <= maxID
	for i := 0; ok && i < len(id); i++ {
		c := id[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		ok = alnum || i > 0 && strings.IndexByte("._-:/", c) >= 0
	}
	if !ok {
		return "", fmt.Errorf("network: id %q: use 1 to %d letters, digits and ._-:/, beginning with a letter or digit", id, maxID)
	}
	return url.PathEscape(id), nil
}

// writeRecord stores v at path. It is not synced: records describe what a
// power loss ends anyway.
func writeRecord(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	err = os.WriteFile(tmp, b, 0o600)
	if errors.Is(err, os.ErrNotExist) { // after Purge
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		err = os.WriteFile(tmp, b, 0o600)
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func removeRecord(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// readRecords reads every record of a directory. One that cannot be read is
// logged and deleted: what it described is debris then.
func readRecords[T any](dir string, log *slog.Logger) ([]T, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		if !strings.HasSuffix(f.Name(), ".json") {
			os.Remove(path) // a write that a crash cut short
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			log.Warn("network: record unreadable, what it describes is removed", "file", path, "err", err)
			os.Remove(path)
			continue
		}
		all = append(all, v)
	}
	return all, nil
}
