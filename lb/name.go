package lb

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/dhowhq/dhow/store"
)

// The zones that load balancers have their names in. The first resolves to
// loopback in browsers, curl and systemd-resolved; the second is answered by
// dhow's DNS, for programs that take *.localhost to themselves.
const (
	HostZone   = "elb.localhost"
	InsideZone = "elb.dhow.internal"
)

// DNSName is the load balancer's name as DescribeLoadBalancers gives it.
func (b LoadBalancer) DNSName() string { return b.label() + "." + HostZone }

// InsideName is its name for programs that run in tasks.
func (b LoadBalancer) InsideName() string { return b.label() + "." + InsideZone }

// label is what both names begin with: NAME-ID.REGION.
func (b LoadBalancer) label() string {
	return strings.ToLower(b.Name) + "-" + b.DNSID + "." + b.Region
}

// labelOf returns the label of a host, with or without port, that is in one of
// the zones.
func labelOf(host string) (label string, ok bool) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	for _, zone := range [...]string{HostZone, InsideZone} {
		n := len(host) - len(zone) - 1
		if n > 0 && host[n] == '.' && strings.EqualFold(host[n+1:], zone) {
			return strings.ToLower(host[:n]), true
		}
	}
	return "", false
}

// Address books a loopback address for a load balancer.
type Address struct {
	Address  string
	Balancer string // key of the load balancer
}

// Pool is where the loopback addresses of load balancers come from: 127.0.64.1
// to 127.0.127.254.
var Pool = netip.MustParsePrefix("127.0.64.0/18")

// allocate books a free address for the load balancer of that key. It begins
// at a random place, so that two dhows on one host seldom meet.
func allocate(tx *store.Tx, balancer string) (string, error) {
	const size = 1 << (32 - 18)
	base := Pool.Addr().As4()
	first := binary.BigEndian.Uint32(base[:])
	start := random() % size
	for i := range uint32(size) {
		n := (start + i) % size
		if n == 0 || n == size-1 {
			continue
		}
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], first+n)
		addr := netip.AddrFrom4(a).String()
		if _, taken := Addresses.Get(tx, addr); taken {
			continue
		}
		return addr, Addresses.Put(tx, Address{Address: addr, Balancer: balancer})
	}
	return "", ErrNoAddress
}

// newID returns 16 random hexadecimal digits, the form of ids in ARNs.
func newID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

// newDNSID returns the digits that end a DNS label.
func newDNSID() string {
	return strconv.Itoa(100_000_000 + int(random()%2_000_000_000))
}

func random() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// parsedARN are the parts of an ARN that matter here.
type parsedARN struct{ region, account, resource string }

// splitARN takes an ARN of load balancing apart; what is none has no parts.
func splitARN(arn string) parsedARN {
	f := strings.SplitN(arn, ":", 6)
	if len(f) != 6 || f[0] != "arn" || f[2] != service {
		return parsedARN{}
	}
	return parsedARN{region: f[3], account: f[4], resource: f[5]}
}
