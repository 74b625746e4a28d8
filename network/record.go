package network

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// vpcRecord is what is kept of a VPC. It is written when the router is
// complete and taken back before it is taken apart: what has none is debris.
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

// change is a line of the records' file: one of its fields is set.
type change struct {
	VPC          *vpcRecord      `json:",omitempty"`
	Endpoint     *endpointRecord `json:",omitempty"`
	VPCGone      string          `json:",omitempty"`
	EndpointGone string          `json:",omitempty"`
}

// records is a file of changes, one append each: making and removing a file
// for every endpoint would cost as much as half the endpoint. It is not
// synced: what it describes ends with the machine's power, too.
type records struct {
	path string

	mu        sync.Mutex
	file      *os.File // nil until there is something to write
	lines     int
	vpcs      map[string]vpcRecord
	endpoints map[string]endpointRecord
}

// rewriteAbove is how many lines the file may have before it is written anew,
// if most of them are history.
const rewriteAbove = 4096

// readRecords reads the file at path. A line that cannot be read is logged and
// left out: what it described is debris then. The last may be cut short by a
// crash.
func readRecords(path string, log *slog.Logger) (*records, error) {
	r := &records{path: path, vpcs: map[string]vpcRecord{}, endpoints: map[string]endpointRecord{}}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for line := range bytes.Lines(b) {
		var c change
		if err := json.Unmarshal(line, &c); err != nil {
			log.Warn("network: a record cannot be read, what it describes is removed", "file", path, "err", err)
			continue
		}
		r.apply(c)
	}
	if len(r.vpcs)+len(r.endpoints) == 0 {
		err := os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return r, err
	}
	return r, r.rewrite()
}

func (r *records) apply(c change) {
	switch {
	case c.VPC != nil:
		r.vpcs[c.VPC.ID] = *c.VPC
	case c.Endpoint != nil:
		r.endpoints[c.Endpoint.ID] = *c.Endpoint
	case c.VPCGone != "":
		delete(r.vpcs, c.VPCGone)
	case c.EndpointGone != "":
		delete(r.endpoints, c.EndpointGone)
	}
}

// write appends a change.
func (r *records) write(c change) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil || r.lines > rewriteAbove && r.lines > 8*(len(r.vpcs)+len(r.endpoints)) {
		if err := r.rewrite(); err != nil {
			return err
		}
	}
	if _, err := r.file.Write(append(b, '\n')); err != nil {
		// Part of a line may be there: begin anew with the next.
		r.file.Close()
		r.file = nil
		return fmt.Errorf("write %s: %w", r.path, err)
	}
	r.lines++
	r.apply(c)
	return nil
}

// rewrite replaces the file by one without history.
func (r *records) rewrite() error {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return err
	}
	tmp := r.path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = r.encode(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = os.Rename(tmp, r.path)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", r.path, err)
	}
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.lines = f, len(r.vpcs)+len(r.endpoints)
	return nil
}

func (r *records) encode(w io.Writer) error {
	e := json.NewEncoder(w)
	for v := range maps.Values(r.vpcs) {
		if err := e.Encode(change{VPC: &v}); err != nil {
			return err
		}
	}
	for v := range maps.Values(r.endpoints) {
		if err := e.Encode(change{Endpoint: &v}); err != nil {
			return err
		}
	}
	return nil
}

// clear forgets everything and closes the file, which the caller removes.
func (r *records) clear() {
	r.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.vpcs)
	clear(r.endpoints)
}

func (r *records) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}
