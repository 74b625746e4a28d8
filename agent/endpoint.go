package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/network"
)

// endpoint is a namespace of a task with the sockets that the agent keeps in
// it. The namespace outlives the agent, the sockets do not.
type endpoint struct {
	id      string
	ready   chan struct{} // closed when the sockets are open, or err is set
	err     error
	closers []io.Closer
}

// attach makes the task's namespace, in the modes in which its containers share
// one, and returns its path: "" in bridge and host mode.
func (t *task) attach(ctx context.Context) (string, error) {
	e := network.Endpoint{ID: t.id, Mode: t.mode()}
	switch e.Mode {
	case network.Bridge:
		return "", nil
	case network.Host:
		return "", t.eng.meta.serveHost()
	case network.AWSVPC:
		if err := t.vpcEndpoint(ctx, &e); err != nil {
			return "", err
		}
	}
	a, err := t.add(ctx, e)
	return a.Path, err
}

// add makes a namespace and opens the agent's sockets in it.
func (t *task) add(ctx context.Context, e network.Endpoint) (network.Attachment, error) {
	began := time.Now()
	a, err := t.eng.cfg.Network.Add(ctx, e)
	if err != nil {
		return a, err
	}
	if err := t.serve(ctx, e.ID, e.VPC); err != nil {
		return a, err
	}
	t.observe(StepNetwork, began)
	return a, nil
}

// vpcEndpoint fills in the address that the control plane gave the task, and
// makes the network it is of.
func (t *task) vpcEndpoint(ctx context.Context, e *network.Endpoint) error {
	i := t.msg.Dhow.Interface
	if i == nil {
		return errors.New("the task is of network mode awsvpc but was sent without an interface")
	}
	cidr, err := netip.ParsePrefix(i.CIDR)
	if err != nil {
		return fmt.Errorf("the network's address range: %w", err)
	}
	subnet, err := netip.ParsePrefix(i.SubnetCIDR)
	if err != nil {
		return fmt.Errorf("the subnet's address range: %w", err)
	}
	addr, err := netip.ParseAddr(i.Address)
	if err != nil {
		return fmt.Errorf("the interface's address: %w", err)
	}
	if e.MAC, err = net.ParseMAC(i.MAC); err != nil {
		return fmt.Errorf("the interface's MAC: %w", err)
	}
	e.VPC, e.Address, e.Egress = i.Network, netip.PrefixFrom(addr, subnet.Bits()), true
	e.Hostname = i.PrivateDNS
	return t.eng.vpcs.ensure(ctx, network.VPC{ID: i.Network, CIDR: cidr, Default: i.Default})
}

// attachContainer makes the namespace of one container, in bridge mode.
func (t *task) attachContainer(ctx context.Context, c *types.ContainerDefinition) (network.Attachment, error) {
	e := network.Endpoint{ID: containerID(t.id, deref(c.Name)), Mode: network.Bridge, Egress: true, Hostname: deref(c.Hostname)}
	if deref(c.DisableNetworking) {
		e.Mode, e.Egress = network.None, false
	}
	for _, p := range c.PortMappings {
		ps, err := ports(p)
		if err != nil {
			return network.Attachment{}, err
		}
		e.Ports = append(e.Ports, ps...)
	}
	a, err := t.add(ctx, e)
	if err != nil {
		return a, err
	}
	t.noteAddress(a)
	return a, nil
}

// noteAddress remembers the address of one of the task's bridge endpoints.
func (t *task) noteAddress(a network.Attachment) {
	if a.Mode != network.Bridge {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.addrs == nil {
		t.addrs = make(map[string]string)
	}
	t.addrs[a.ID] = a.Address.Addr().String()
}

// ports are the ports of a mapping: one, or a range of them.
func ports(p types.PortMapping) ([]network.Port, error) {
	proto := string(p.Protocol)
	if proto == "" {
		proto = "tcp"
	}
	if p.ContainerPortRange == nil {
		return []network.Port{{Protocol: proto, ContainerPort: uint16(deref(p.ContainerPort)), HostPort: uint16(deref(p.HostPort))}}, nil
	}
	var lo, hi uint16
	if n, err := fmt.Sscanf(*p.ContainerPortRange, "%d-%d", &lo, &hi); n != 2 || err != nil || lo > hi || lo == 0 {
		return nil, fmt.Errorf("containerPortRange %q is no range of ports", *p.ContainerPortRange)
	}
	var out []network.Port
	for n := int(lo); n <= int(hi); n++ {
		out = append(out, network.Port{Protocol: proto, ContainerPort: uint16(n)})
	}
	return out, nil
}

// bindings are an endpoint's published ports as the API shows them.
func bindingsOf(a network.Attachment) []types.NetworkBinding {
	var out []types.NetworkBinding
	for _, p := range a.Ports {
		out = append(out, types.NetworkBinding{
			BindIP: ptr("0.0.0.0"), Protocol: types.TransportProtocol(p.Protocol),
			ContainerPort: ptr(int32(p.ContainerPort)), HostPort: ptr(int32(p.HostPort)),
		})
	}
	return out
}

// hostBindings are the ports of a container in host mode: they are the host's.
func hostBindings(c *types.ContainerDefinition) []types.NetworkBinding {
	var a network.Attachment
	for _, p := range c.PortMappings {
		if ps, err := ports(p); err == nil {
			for i := range ps {
				ps[i].HostPort = ps[i].ContainerPort
			}
			a.Ports = append(a.Ports, ps...)
		}
	}
	return bindingsOf(a)
}

// address is the address of the namespace that container id is in, "" if it
// has none of its own.
func (t *task) address(id string) string {
	if i := t.msg.Dhow.Interface; i != nil && t.mode() == network.AWSVPC {
		return i.Address
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addrs[id]
}

// serve opens the agent's sockets in a namespace, once: metadata and
// credentials, the API, and names.
func (t *task) serve(ctx context.Context, id, vpc string) error {
	t.mu.Lock()
	ep := t.endpointOf(id)
	mine := ep == nil
	if mine {
		ep = &endpoint{id: id, ready: make(chan struct{})}
		t.eps = append(t.eps, ep)
	}
	t.mu.Unlock()
	if !mine {
		select {
		case <-ep.ready:
			return ep.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if ep.err = t.listen(ctx, ep, vpc); ep.err != nil {
		ep.close()
		t.mu.Lock()
		t.dropEndpoint(ep)
		t.mu.Unlock()
	}
	close(ep.ready)
	return ep.err
}

// endpointOf and dropEndpoint are called with t.mu held.
func (t *task) endpointOf(id string) *endpoint {
	for _, ep := range t.eps {
		if ep.id == id {
			return ep
		}
	}
	return nil
}

func (t *task) dropEndpoint(ep *endpoint) {
	for i := range t.eps {
		if t.eps[i] == ep {
			t.eps = append(t.eps[:i], t.eps[i+1:]...)
			return
		}
	}
}

func (t *task) listen(ctx context.Context, ep *endpoint, vpc string) error {
	cfg := &t.eng.cfg
	open := func(address string) (net.Listener, error) {
		l, err := cfg.Network.Listen(ctx, ep.id, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s inside the task: %w", address, err)
		}
		ep.closers = append(ep.closers, l)
		return l, nil
	}
	l, err := open(metadataAddress)
	if err != nil {
		return err
	}
	go t.eng.meta.serve(l, t.id)
	if cfg.ServeAPI != nil {
		l, err := open(apiAddress)
		if err != nil {
			return err
		}
		go func() { t.eng.served("API", cfg.ServeAPI(l)) }()
	}
	if cfg.ServeDNS != nil {
		l, err := open(dnsAddress)
		if err != nil {
			return err
		}
		pc, err := cfg.Network.ListenPacket(ctx, ep.id, "udp", dnsAddress)
		if err != nil {
			return fmt.Errorf("listen on %s inside the task: %w", dnsAddress, err)
		}
		ep.closers = append(ep.closers, pc)
		go func() { t.eng.served("DNS", cfg.ServeDNS(pc, l, vpc)) }()
	}
	return nil
}

func (ep *endpoint) close() {
	for _, c := range ep.closers {
		c.Close()
	}
}

// release closes the task's sockets and timers and leaves the rest.
func (t *task) release() {
	t.mu.Lock()
	eps := t.eps
	t.eps = nil
	for _, r := range t.running {
		if r.health != nil {
			r.health.stop()
		}
	}
	t.mu.Unlock()
	for _, ep := range eps {
		<-ep.ready
		ep.close()
	}
}

// detach removes the task's namespaces.
func (t *task) detach(ctx context.Context) error {
	t.release()
	if t.def == nil || t.mode() == network.Host {
		return nil
	}
	if t.mode() != network.Bridge {
		return t.eng.cfg.Network.Remove(ctx, t.id)
	}
	var errs []error
	for _, k := range t.now().Containers {
		errs = append(errs, t.eng.cfg.Network.Remove(ctx, k.ID))
	}
	return errors.Join(errs...)
}

// vpcs remembers the networks that this agent has made.
type vpcs struct {
	net  network.Manager
	mu   sync.Mutex
	made map[network.VPC]bool
}

func (v *vpcs) ensure(ctx context.Context, n network.VPC) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.made[n] {
		return nil
	}
	if err := v.net.EnsureVPC(ctx, n); err != nil {
		return err
	}
	if v.made == nil {
		v.made = make(map[network.VPC]bool)
	}
	v.made[n] = true
	return nil
}
