package network

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/dhowhq/dhow/internal/register"
)

func TestRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "network", "records.jsonl")
	log := slog.New(slog.DiscardHandler)
	r, vpcs, endpoints, err := readRecords(path, log)
	if err != nil || len(vpcs)+len(endpoints) != 0 {
		t.Fatal(vpcs, endpoints, err)
	}
	e := endpointRecord{Endpoint: awsvpc("t7", "172.31.0.10/20"), Device: "dt7"}
	for name, value := range map[string]any{
		"vpc/vpc-1": vpcRecord{VPC: vpcOne, Device: "dh0"}, "endpoint/t7": e,
		"endpoint/bad": "not an endpoint", "vpc/bad": 7, // left out, and not met again
	} {
		if err := r.Put(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // as it is after a crash, and as it was left
		r.Close()
		if r, vpcs, endpoints, err = readRecords(path, log); err != nil {
			t.Fatal(err)
		}
		if len(vpcs) != 1 || vpcs[0].VPC != vpcOne || vpcs[0].Device != "dh0" {
			t.Errorf("VPCs %+v", vpcs)
		}
		if len(endpoints) != 1 || !reflect.DeepEqual(endpoints[0], e) {
			t.Errorf("endpoints %+v", endpoints)
		}
	}
	r.Close()
	if _, left, err := register.Open(path, log); err != nil || len(left) != 2 {
		t.Errorf("%d records are left, %v", len(left), err)
	}
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
