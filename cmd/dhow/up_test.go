package main

import (
	"strings"
	"testing"
)

// TestUpFlags refuses flags in words that say what to give instead.
func TestUpFlags(t *testing.T) {
	for _, c := range []struct {
		change func(*upCmd)
		want   string // "" if they are taken
	}{
		{func(*upCmd) {}, ""},
		{func(c *upCmd) { c.Listen = "[::1]:4566" }, ""},
		{func(c *upCmd) { c.Listen = "0.0.0.0:4566"; c.KnownOpen = true }, ""},
		{func(c *upCmd) { c.Listen = "4566" }, "--listen 4566: address 4566: missing port in address: it is HOST:PORT, as in 127.0.0.1:4566"},
		{func(c *upCmd) { c.Listen = "here:4566" }, `"here" is not an IP address`},
		{func(c *upCmd) { c.Listen = ":4566" }, "add --i-know-this-is-open"},
		{func(c *upCmd) { c.Account = "12" }, `--account "12" is not 12 digits`},
		{func(c *upCmd) { c.NodeCPU = -1 }, "cannot be negative"},
	} {
		up := &upCmd{Listen: "127.0.0.1:4566", Account: "000000000000"}
		c.change(up)
		err := up.check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", *up, err, c.want)
		}
	}
}
