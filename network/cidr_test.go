package network

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestChooseCIDR(t *testing.T) {
	for name, test := range map[string]struct {
		taken []string
		want  string
	}{
		"nothing":         {nil, "172.31.0.0/16"},
		"default route":   {[]string{"0.0.0.0/0"}, "172.31.0.0/16"},
		"others":          {[]string{"0.0.0.0/0", "192.168.1.0/24", "172.17.0.0/16", "10.0.0.0/8"}, "172.31.0.0/16"},
		"the default VPC": {[]string{"172.31.0.0/16"}, "172.30.0.0/16"},
		"part of it":      {[]string{"172.31.5.0/24"}, "172.30.0.0/16"},
		"one address":     {[]string{"172.31.5.7/32"}, "172.30.0.0/16"},
		"a VPN of 172":    {[]string{"172.16.0.0/12"}, "10.255.0.0/16"},
		"and of 10.255":   {[]string{"172.16.0.0/12", "10.255.0.0/16"}, "10.254.0.0/16"},
		"everything":      {[]string{"172.16.0.0/12", "10.0.0.0/8"}, ""},
		"VPN in halves":   {[]string{"0.0.0.0/1", "128.0.0.0/1"}, "172.31.0.0/16"},
	} {
		var taken []netip.Prefix
		for _, p := range test.taken {
			taken = append(taken, netip.MustParsePrefix(p))
		}
		got, err := ChooseCIDR(taken)
		if test.want == "" {
			if err == nil {
				t.Errorf("%s: chose %s, want an error", name, got)
			}
			continue
		}
		if err != nil || got.String() != test.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, test.want)
		}
	}
}

// No choice overlaps what is taken, and bridge mode's is not the default VPC's
// first.
func TestChoicesAreFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var taken []netip.Prefix
		for range rapid.IntRange(0, 8).Draw(t, "routes") {
			b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
			if rapid.Bool().Draw(t, "private") {
				b[0], b[1] = 172, 16+b[1]%16
			}
			p, _ := netip.AddrFrom4([4]byte(b)).Prefix(rapid.IntRange(8, 32).Draw(t, "length"))
			taken = append(taken, p)
		}
		for _, choose := range []func([]netip.Prefix) (netip.Prefix, error){ChooseCIDR, chooseBridgeCIDR} {
			got, err := choose(taken)
			if err != nil {
				t.Skip("no range is free")
			}
			for _, p := range taken {
				if p.Overlaps(got) {
					t.Errorf("%s overlaps %s", got, p)
				}
			}
			if got.Bits() != 16 || !got.Addr().IsPrivate() {
				t.Errorf("%s is not a private /16", got)
			}
		}
	})
}

func TestLastOf(t *testing.T) {
	for p, want := range map[string]string{
		"172.31.0.0/16": "172.31.255.255", "10.0.1.16/28": "10.0.1.31", "10.0.0.1/32": "10.0.0.1", "10.0.1.20/28": "10.0.1.31",
	} {
		if got := lastOf(prefix(p)); got.String() != want {
			t.Errorf("lastOf(%s) = %s, want %s", p, got, want)
		}
	}
}
