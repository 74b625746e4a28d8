package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/dhowhq/dhow/agent"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/deploy"
	"github.com/dhowhq/dhow/dns"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/driver/containerd"
	driversim "github.com/dhowhq/dhow/driver/sim"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/network"
	networksim "github.com/dhowhq/dhow/network/sim"
	"github.com/dhowhq/dhow/store"
)

// node is what runs tasks on this machine.
type node struct {
	driver  driver.Driver
	network network.Manager
	dns     *dns.Server
}

// openNode opens the container runtime and the network of this machine.
func (p *platform) openNode(ctx context.Context) error {
	if p.cmd.NoNode {
		return nil
	}
	n := &node{dns: dns.New(dns.Config{Resolver: names{p}, Log: p.log})}
	if p.cmd.Driver == "sim" {
		d, err := driversim.Open(simConfig(p.cmd.DataDir))
		if err != nil {
			return err
		}
		n.driver, n.network = d, networksim.New()
		p.node = n
		return nil
	}
	var wg sync.WaitGroup
	var drv *containerd.Driver
	var nw *network.Linux
	var driverErr, networkErr error
	wg.Go(func() {
		drv, driverErr = containerd.Open(ctx, containerd.Config{DataDir: p.cmd.DataDir, Socket: p.cmd.Containerd, InitPath: initProgram(), Log: p.log})
	})
	wg.Go(func() {
		nw, networkErr = network.Open(ctx, network.Config{DataDir: filepath.Join(p.cmd.DataDir, "network"), Log: p.log})
	})
	wg.Wait()
	if driverErr == nil && networkErr == nil {
		n.driver, n.network = drv, nw
		p.node = n
		return nil
	}
	if drv != nil {
		drv.Close()
	}
	if nw != nil {
		nw.Close()
	}
	err := driverErr
	if err == nil {
		err = networkErr
	}
	return fmt.Errorf("this machine cannot run tasks: %w\n`dhow doctor` says what is missing; --no-node starts the control plane alone, --driver sim only pretends to run tasks", err)
}

// initProgram is what containers that ask for an init run first: dhow-init if
// it lies beside this program, which starts faster, else this program.
func initProgram() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if small := filepath.Join(filepath.Dir(self), "dhow-init"); exists(small) {
		return small
	}
	return self
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func simConfig(dataDir string) driversim.Config {
	c := driversim.Typical()
	c.Dir = filepath.Join(dataDir, "sim")
	return c
}

// runNode runs the node's agent until ctx ends.
func (p *platform) runNode(ctx context.Context) error {
	cpu, memory := p.cmd.NodeCPU, p.cmd.NodeMemory
	if cpu == 0 {
		cpu = int64(runtime.NumCPU()) * 1024
	}
	if memory == 0 {
		var err error
		if memory, err = machineMemory(); err != nil {
			return err
		}
	}
	a, err := agent.New(agent.Config{
		DataDir: filepath.Join(p.cmd.DataDir, "node"), Log: p.log, Driver: p.node.driver, Network: yielding{p.node.network, p.balancer},
		Cluster: "*", Region: p.cmd.Region, CPU: cpu, Memory: memory,
		Endpoint: "http://dhow.internal", Dial: p.inside.dial,
		Credentials: credentials.NewStaticCredentialsProvider(p.identity.AccessKeyID, p.identity.SecretAccessKey, ""),
		Observe:     p.metrics.step,
		Registry:    p.pullFrom,
		Meant:       p.meant,
		Logs:        taskLogs{p.logstore},
		ServeAPI:    func(l net.Listener) error { return p.http.Serve(l) },
		HostAPI:     p.url,
		HostPort:    p.hostPort,
		ServeDNS:    p.node.dns.Serve,
	})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

func (p *platform) closeNode() {
	if p.node == nil {
		return
	}
	p.node.dns.Close()
	if err := p.node.driver.Close(); err != nil {
		p.log.Warn("container runtime did not close", "err", err)
	}
	if err := p.node.network.Close(); err != nil {
		p.log.Warn("network did not close", "err", err)
	}
}

// yielding is the network with tasks before load balancers: a listener holds
// its port at 127.0.0.1 only until a task asks for it.
type yielding struct {
	network.Manager
	balancer *lb.Engine
}

// Add adds e, again if a load balancer gave up one of its ports for it.
func (y yielding) Add(ctx context.Context, e network.Endpoint) (network.Attachment, error) {
	a, err := y.Manager.Add(ctx, e)
	if !errors.Is(err, network.ErrPortTaken) {
		return a, err
	}
	yielded := false
	for _, p := range e.Ports {
		if p.HostPort != 0 && y.balancer.Yield(p.HostPort) {
			yielded = true
		}
	}
	if !yielded {
		return a, err
	}
	return y.Manager.Add(ctx, e)
}

// machineMemory is what /proc/meminfo says, in MiB.
func machineMemory() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemTotal: give --node-memory")
}

// insideAddrs are the host's addresses as tasks see them: in the default
// network it is the fourth of the range.
func (p *platform) insideAddrs() []netip.Addr {
	if p.node == nil || p.cmd.Driver != "containerd" {
		return nil
	}
	a := p.cidr.Masked().Addr().Next().Next().Next()
	return []netip.Addr{a}
}

// dialTarget connects a load balancer to a target.
func (p *platform) dialTarget(ctx context.Context, vpc, address string) (net.Conn, error) {
	if p.node == nil || vpc == "" {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
	return p.node.network.Dial(ctx, vpc, "tcp", address)
}

// instanceAddress is where a container instance publishes its ports: this
// machine's loopback, for the only node is here.
func (p *platform) instanceAddress(s cluster.Scope, id string) (string, bool) {
	return "127.0.0.1", p.hasInstance(s, id)
}

// hasInstance reports whether id, i-…, is the instance id of this machine, and
// it is a member of one of the scope's clusters.
func (p *platform) hasInstance(s cluster.Scope, id string) (found bool) {
	p.db.View(func(r store.Reader) error {
		if n, ok := cluster.Nodes.Get(r, p.identity.ID); !ok || n.InstanceID() != id {
			return nil
		}
		for i := range cluster.Instances.By(r, "node", p.identity.ID) {
			if i.Scope == s {
				found = true
				break
			}
		}
		return nil
	})
	return found
}

// hostPort refuses a port to a container in host mode that a load balancer
// listens on: programs listen at all of the host's addresses as a rule, and the
// load balancer's own is one of them.
func (p *platform) hostPort(port uint16) (err error) {
	p.db.View(func(r store.Reader) error {
		for l := range lb.Listeners.List(r, "") {
			if l.Port != int32(port) {
				continue
			}
			b, ok := lb.LoadBalancers.Get(r, l.Scope.Key(l.Balancer))
			if ok {
				err = fmt.Errorf("%w: %d/tcp: a listener of load balancer %s (account %s) has it at %s of this host; "+
					"give the container or the listener another port, or the task networkMode awsvpc or bridge", network.ErrPortTaken, port, b.Name, b.Account, b.Address)
				break
			}
		}
		return nil
	})
	return err
}

// names answers dhow's DNS: names of load balancers.
type names struct{ p *platform }

// LookupA gives tasks the addresses at which they reach the host, and those in
// host mode, which are on it, the load balancer's own.
func (n names) LookupA(_ context.Context, vpc, name string) (addrs []netip.Addr, found bool) {
	if vpc != agent.HostNetwork {
		return n.p.balancer.Addresses(name)
	}
	n.p.db.View(func(r store.Reader) error {
		var b lb.LoadBalancer
		if b, found = lb.FindByName(r, name); !found {
			return nil
		}
		if a, err := netip.ParseAddr(b.Address); err == nil {
			addrs = []netip.Addr{a}
		}
		return nil
	})
	return addrs, found
}

// targets is the load balancer as the service loop sees it.
type targets struct{ e *lb.Engine }

func (t targets) Register(ctx context.Context, group string, d deploy.Target) error {
	return t.e.Register(ctx, group, lbTarget(d))
}

func (t targets) Deregister(ctx context.Context, group string, d deploy.Target) error {
	err := t.e.Deregister(ctx, group, lbTarget(d))
	if errors.Is(err, lb.ErrNoTargetGroup) {
		return nil // with its group, the target is gone too
	}
	return err
}

func (t targets) Health(group string, d deploy.Target) (state, reason string) {
	return t.e.Health(group, lbTarget(d))
}

func (t targets) Changed() <-chan struct{} { return t.e.Changed() }

func lbTarget(d deploy.Target) lb.Target {
	return lb.Target{ID: d.ID, Port: int32(d.Port), Zone: d.Zone}
}
