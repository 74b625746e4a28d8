package network

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"

	"github.com/dhowhq/dhow/internal/register"
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

// What records are called in the register.
const (
	vpcPrefix      = "vpc/"
	endpointPrefix = "endpoint/"
)

// readRecords reads the register of VPCs and endpoints at path. A record that
// cannot be read is logged and left out: what it described is debris then. The
// register is not synced: what it describes ends with the machine's power, too.
func readRecords(path string, log *slog.Logger) (*register.Register, []vpcRecord, []endpointRecord, error) {
	r, values, err := register.Open(path, log)
	if err != nil {
		return nil, nil, nil, err
	}
	var vpcs []vpcRecord
	var endpoints []endpointRecord
	for name, value := range values {
		var v vpcRecord
		var e endpointRecord
		switch {
		case strings.HasPrefix(name, vpcPrefix):
			if err = json.Unmarshal(value, &v); err == nil {
				vpcs = append(vpcs, v)
			}
		case strings.HasPrefix(name, endpointPrefix):
			if err = json.Unmarshal(value, &e); err == nil {
				endpoints = append(endpoints, e)
			}
		}
		if err != nil {
			log.Warn("network: a record cannot be read, what it describes is removed", "file", path, "record", name, "err", err)
			if err := r.Delete(name); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	return r, vpcs, endpoints, nil
}
