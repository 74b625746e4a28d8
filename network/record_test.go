package network

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "network", "records.jsonl")
	log := slog.New(slog.DiscardHandler)
	open := func() *records {
		t.Helper()
		r, err := readRecords(path, log)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	write := func(r *records, c change) {
		t.Helper()
		if err := r.write(c); err != nil {
			t.Fatal(err)
		}
	}
	r := open()
	write(r, change{VPC: &vpcRecord{VPC: vpcOne, Device: "dh0"}})
	write(r, change{VPC: &vpcRecord{VPC: VPC{ID: "vpc-2", CIDR: vpcOne.CIDR}}})
	write(r, change{VPCGone: "vpc-2"})
	for i := range 3 * rewriteAbove { // history, which must not grow for ever
		id := fmt.Sprint("t", i)
		write(r, change{Endpoint: &endpointRecord{Endpoint: awsvpc(id, "172.31.0.10/20"), Device: "d" + id}})
		if i != 7 {
			write(r, change{EndpointGone: id})
		}
	}
	r.close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(b, []byte("\n")); lines > rewriteAbove+10 {
		t.Errorf("the file has %d lines for 2 records", lines)
	}
	check := func(r *records) {
		t.Helper()
		if len(r.vpcs) != 1 || r.vpcs["vpc-1"].VPC != vpcOne || r.vpcs["vpc-1"].Device != "dh0" {
			t.Errorf("VPCs %+v", r.vpcs)
		}
		e := r.endpoints["t7"]
		if len(r.endpoints) != 1 || e.Device != "dt7" || e.Address != netip.MustParsePrefix("172.31.0.10/20") {
			t.Errorf("endpoints %+v", r.endpoints)
		}
	}
	r = open()
	check(r)
	r.close()
	// A torn line is left out and does not spoil the next.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"EndpointGone":"t7`)
	f.Close()
	r = open()
	check(r)
	write(r, change{EndpointGone: "t7"})
	r.close()
	if r = open(); len(r.endpoints) != 0 {
		t.Errorf("endpoints %+v", r.endpoints)
	}
	r.close()
}

func TestFileName(t *testing.T) {
	for id, want := range map[string]string{
		"a":                     "a",
		"task-1/web":            "task-1%2Fweb",
		"0a:b_c.d":              "0a:b_c.d",
		"":                      "",
		"..":                    "",
		"-x":                    "",
		"a b":                   "",
		"a\x00":                 "",
		"é":                     "",
		fmt.Sprintf("%081d", 1): "",
	} {
		got, err := fileName(id)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("fileName(%q) = %q, %v; want %q", id, got, err, want)
		}
	}
}
