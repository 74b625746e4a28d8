// Package network owns a node's namespaces, addresses, bridges and nftables
// rules. It works by netlink and nftables alone, never by running a program.
//
// Each VPC is a router namespace; a task's veth is routed to it as a /32 with
// proxy ARP. All that a Manager made carries its data directory's hash in its
// name, so that two of them do not meet and Purge leaves nothing.
package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Errors that callers tell apart. The text that wraps them is shown to users.
var (
	// ErrPortTaken is what Add returns when a host port is in use.
	ErrPortTaken = errors.New("host port is already in use")
	// ErrNotFound is what Listen and Dial return for an endpoint or VPC that
	// is not there, and Add for a VPC that EnsureVPC was not told of.
	ErrNotFound = errors.New("not found")
	// ErrConflict is what Add and EnsureVPC return for an id or an address
	// that is in use with other properties.
	ErrConflict = errors.New("in use")
)

// Mode is ECS's network mode.
type Mode string

// The modes of a task definition.
const (
	AWSVPC Mode = "awsvpc"
	Bridge Mode = "bridge"
	Host   Mode = "host"
	None   Mode = "none"
)

// Manager makes and removes network endpoints. Methods are safe for concurrent
// use. What it made outlives the process; a new Manager finds it.
type Manager interface {
	// Add makes a namespace and all that belongs to it. Adding an ID that is
	// there already with the same address returns it as it is. Host mode has
	// no endpoint.
	Add(ctx context.Context, e Endpoint) (Attachment, error)
	// Remove undoes Add; what is not there is no error.
	Remove(ctx context.Context, id string) error
	// List returns the endpoints that exist.
	List(ctx context.Context) ([]Attachment, error)
	// Listen opens a socket inside an endpoint's namespace ("" the host's).
	Listen(ctx context.Context, id, network, address string) (net.Listener, error)
	// ListenPacket is Listen for UDP.
	ListenPacket(ctx context.Context, id, network, address string) (net.PacketConn, error)
	// Dial connects from the namespace of a VPC's router.
	Dial(ctx context.Context, vpc, network, address string) (net.Conn, error)
	// EnsureVPC makes the VPC's router namespace and, for the default VPC, the
	// host's route to it. It is idempotent.
	EnsureVPC(ctx context.Context, v VPC) error
	// RemoveVPC undoes EnsureVPC; it fails while the VPC has endpoints. What
	// is not there is no error.
	RemoveVPC(ctx context.Context, id string) error
	// Purge removes everything that any Manager of this data directory made.
	Purge(ctx context.Context) error
	// Close lets go of handles and leaves the network as it is.
	Close() error
}

// VPC is an address range with a router.
type VPC struct {
	ID      string // vpc-…
	CIDR    netip.Prefix
	Default bool // reachable from the host
}

// Endpoint is a namespace to make: a task's in awsvpc and none mode, a
// container's in bridge mode.
type Endpoint struct {
	ID       string           // unique; a task id, or task id and container name
	Mode     Mode             // AWSVPC, Bridge or None
	VPC      string           // AWSVPC: a VPC given to EnsureVPC
	Address  netip.Prefix     // AWSVPC: the address with its subnet's length; Bridge: chosen here
	MAC      net.HardwareAddr // AWSVPC
	Hostname string           // not used here, kept for List
	Ports    []Port           // Bridge: published on the host
	Egress   bool             // may reach addresses outside through the host
}

// Port publishes a container's port on the host. HostPort 0 asks for a free
// one of the dynamic range, DynamicPortFirst to DynamicPortLast.
type Port struct {
	Protocol      string // tcp, udp
	ContainerPort uint16
	HostPort      uint16
}

// Attachment is an endpoint as it exists.
type Attachment struct {
	Endpoint        // Address and HostPorts filled in
	Path     string // of the namespace, for the runtime
}

// LinkAddresses are the link-local addresses that every namespace has on lo.
var LinkAddresses = []netip.Addr{
	netip.MustParseAddr("169.254.170.2"),
	netip.MustParseAddr("169.254.169.253"),
}

// The dynamic host port range that ECS documents for bridge mode.
const (
	DynamicPortFirst = 49153
	DynamicPortLast  = 65535
)

// DefaultCIDR is the default VPC's range where the host has no route that
// overlaps it; see ChooseCIDR.
var DefaultCIDR = netip.MustParsePrefix("172.31.0.0/16")
