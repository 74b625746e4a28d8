package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/outlet"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/impact"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/deploy"
	"github.com/dhowhq/dhow/identity"
	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/cert"
	"github.com/dhowhq/dhow/internal/http1"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/network"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/services/ecs"
	"github.com/dhowhq/dhow/services/ecs/acs"
	"github.com/dhowhq/dhow/services/sqs"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/stream"
	"github.com/dhowhq/dhow/topic"
)

// setting is a choice of the platform's that must not change between starts.
type setting struct{ Name, Value string }

var settings = store.NewTable("platform.settings", func(s setting) string { return s.Name })

// platform is everything that `dhow up` runs.
type platform struct {
	cmd     *upCmd
	log     *slog.Logger
	url     string // of the API on the host
	address string // HOST:PORT of the same

	db       *store.DB
	journal  journal.Journal // messages
	streams  *stream.Engine
	queues   *queue.Engine
	bus      *bus.Engine
	ecs      *ecs.API
	topics   *topic.Engine
	schemas  *registry.Engine
	impact   *impact.Engine
	broker   *broker.Engine
	identity identity.Node
	auth     identity.Open
	cidr     netip.Prefix // of the default VPCs
	balancer *lb.Engine
	deploy   *deploy.Engine
	outlet   *outlet.Outlet
	logstore *logstore.Store
	images   *image.Store
	acs      *acs.Server
	api      *awsapi.Server
	node     *node // nil with --no-node
	metrics  *metrics
	lane     *http1.Server // plain requests on the port
	http     *http.Server  // all others
	inside   *insider

	lock   *os.File // of the data directory
	port   []net.Listener
	failed chan error // what ends the platform
	stop   context.CancelFunc
	work   sync.WaitGroup
}

// newPlatform opens the state and the node, in that order of importance: what
// keeps either from working is said at once.
func newPlatform(ctx context.Context, c *upCmd, log *slog.Logger) (_ *platform, err error) {
	p := &platform{cmd: c, log: log, failed: make(chan error, 8), inside: newInsider(), metrics: newMetrics()}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(c.DataDir)
	if err != nil {
		return nil, err
	}
	p.lock = lock
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	// Whoever cannot have the port shall not find a runtime started for nothing.
	if p.port, err = listen(c.Listen); err != nil {
		return nil, err
	}
	// The node's runtime and the store start side by side: each takes most of
	// the time that there is until the platform is ready.
	opened := make(chan error, 2)
	go func() { opened <- p.openNode(ctx) }()
	go func() { opened <- p.openJournal() }()
	storeErr := p.openStore(ctx)
	if err := errors.Join(storeErr, <-opened, <-opened); err != nil {
		return nil, err
	}
	if err := p.matchState(ctx); err != nil {
		return nil, err
	}
	if err := p.matchJournal(ctx); err != nil {
		return nil, err
	}
	if p.identity, err = identity.LoadNode(filepath.Join(c.DataDir, "node.json")); err != nil {
		return nil, err
	}
	if p.cidr, err = p.defaultCIDR(ctx); err != nil {
		return nil, err
	}
	p.warnTaken()
	return p, p.assemble(ctx)
}

// warnTaken says at the start what keeps tasks with addresses of the default VPC
// from starting here.
func (p *platform) warnTaken() {
	if p.node == nil {
		return
	}
	nw, ok := p.node.network.(interface{ Taken(netip.Prefix) string })
	if !ok {
		return
	}
	if why := nw.Taken(p.cidr); why != "" {
		p.log.Warn("awsvpc tasks will fail on this node: " + why)
	}
}

func (p *platform) openStore(ctx context.Context) (err error) {
	p.db, err = store.Open(ctx, store.Config{Dir: filepath.Join(p.cmd.DataDir, "store"), Endpoints: p.cmd.Etcd, Log: p.log})
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("another `dhow up` runs on %s: stop it, or choose another --data-dir", p.cmd.DataDir)
	}
	return err
}

// stateID is the setting, and the file, that names a state.
const stateID = "state-id"

// matchState holds that the data directory and the state belong together: logs,
// images and containers that the state does not know are removed as left-overs,
// so another state must not get at them.
func (p *platform) matchState(ctx context.Context) error {
	const name = stateID
	file := filepath.Join(p.cmd.DataDir, name)
	known, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	id := cluster.NewID()
	if err := p.db.Update(ctx, func(tx *store.Tx) error {
		have, ok := settings.Get(tx, name)
		switch {
		case ok:
			id = have.Value
			return nil
		case len(known) > 0:
			return nil // refused below
		}
		return settings.Put(tx, setting{name, id})
	}); err != nil {
		return err
	}
	switch {
	case len(known) == 0:
		return os.WriteFile(file, []byte(id), 0o600)
	case string(known) != id:
		return fmt.Errorf("the state is not the one that %s was used with: give the same --etcd-endpoints as before, or another --data-dir", p.cmd.DataDir)
	}
	return nil
}

// defaultCIDR is chosen once, so that it clashes with no route of the host's,
// and kept: tasks that outlive the platform have addresses of it.
func (p *platform) defaultCIDR(ctx context.Context) (netip.Prefix, error) {
	const name = "default-cidr"
	var have setting
	p.db.View(func(r store.Reader) error { have, _ = settings.Get(r, name); return nil })
	if have.Value != "" {
		return netip.ParsePrefix(have.Value)
	}
	cidr := network.DefaultCIDR
	if p.node != nil && p.cmd.Driver == "containerd" {
		routes, err := network.HostRoutes()
		if err != nil {
			return cidr, fmt.Errorf("routes of this machine: %w", err)
		}
		if cidr, err = network.ChooseCIDR(routes); err != nil {
			return cidr, err
		}
	}
	return cidr, p.db.Update(ctx, func(tx *store.Tx) error { return settings.Put(tx, setting{name, cidr.String()}) })
}

// assemble builds the engines and faces over the open store.
func (p *platform) assemble(ctx context.Context) (err error) {
	p.balancer = lb.New(lb.Config{DB: p.db, Log: p.log, API: p.cmd.Listen, ExtraAddrs: p.insideAddrs, Dial: p.dialTarget, Instance: p.instanceAddress})
	p.deploy = deploy.New(deploy.Config{DB: p.db, Log: p.log, Targets: targets{p.balancer}})
	if p.outlet, err = outlet.New(outlet.Config{DB: p.db, Log: p.log, Render: ecs.EventRenderer(p.db)}); err != nil {
		return err
	}
	if p.logstore, err = logstore.Open(logstore.Config{Dir: filepath.Join(p.cmd.DataDir, "logs"), DB: p.db, Log: p.log}); err != nil {
		return err
	}
	if p.images, err = image.Open(image.Config{Dir: filepath.Join(p.cmd.DataDir, "images"), DB: p.db, Log: p.log,
		Default: cluster.Scope{Account: p.cmd.Account, Region: p.cmd.Region}}); err != nil {
		return err
	}
	p.queues = queue.New(queue.Config{DB: p.db, Journal: p.journal, Log: p.log, DeadLetter: sqs.DeadLetter,
		Admit: func(from string, to *queue.Definition, m *queue.Message) error {
			return p.queueGate().Readmit(from, to, m)
		}})
	p.schemas = registry.New(registry.Config{DB: p.db, Log: p.log, Guard: p.keepVersions, Hold: p.holdVersions})
	p.broker = broker.New(p.brokerConfig())
	p.metrics.watchContracts(p.broker)
	p.streams = stream.New(stream.Config{DB: p.db, Journal: p.journal, Log: p.log})
	p.impact = impact.New(p.db, p.schemas, mayRead)
	p.ecs = ecs.New(ecs.Config{DB: p.db, Log: p.log, TargetGroup: p.balancer.TargetGroup, DefaultCIDR: p.cidr, Contracts: p.impact})
	if p.topics, err = topic.New(p.topicConfig()); err != nil {
		return err
	}
	if p.bus, err = bus.New(bus.Config{DB: p.db, Journal: p.journal, Log: p.log, Targets: p.targets(), DeadLetter: queueTarget{p.queueGate()}.deadLetter, Admit: p.admit}); err != nil {
		return err
	}
	p.outlet.Subscribe("event buses", p.bus.TakePlatform)
	p.metrics.watch(p.bus)
	issuer, err := identity.OpenIssuer(ctx, p.db, acs.TaskAlive(p.db))
	if err != nil {
		return err
	}
	p.auth = identity.Open{Node: p.identity, Issuer: issuer}
	p.acs = acs.New(acs.Config{DB: p.db, Log: p.log, Auth: p.auth, Issuer: issuer,
		Account: func(r *http.Request) string { return p.callScope(r).Account }})
	return p.openAPI()
}

// openAPI makes the edge, where p.auth says who calls.
func (p *platform) openAPI() (err error) {
	p.api, err = awsapi.New(awsapi.Config{Account: p.cmd.Account, Region: p.cmd.Region, Auth: p.auth, Log: p.log, Observe: p.metrics.observe}, p.services()...)
	return err
}

// serve starts everything and returns when the platform is ready.
func (p *platform) serve(ctx context.Context) error {
	host := p.port[0].Addr().(*net.TCPAddr)
	p.address = host.String()
	p.url = "http://" + p.address
	authority, err := cert.Open(filepath.Join(p.cmd.DataDir, "tls"))
	if err != nil {
		return fmt.Errorf("the API's certificates: %w", err)
	}
	// The platform outlives the signal for as long as its orderly end takes.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = cancel
	h, other := p.handler(), newBacklog(nothing{})
	p.http, p.lane = newServer(h), newLane(h, other)
	for _, l := range p.port {
		s := sniff(l)
		p.spawn("listener", func() error { return p.lane.Serve(s.plain) })
		p.spawn("TLS listener", func() error { return p.http.Serve(secured(s.secure, authority)) })
	}
	p.spawn("listener of other requests", func() error { return p.http.Serve(other) })
	p.spawn("inner listener", func() error { return p.http.Serve(p.inside) })
	p.spawn("agents' sessions", func() error { return p.acs.Run(run) })
	p.spawn("load balancers", func() error { return p.balancer.Run(run) })
	p.spawn("service loop", func() error { return p.deploy.Run(run) })
	p.spawn("log store", func() error { p.logstore.Run(run); return nil })
	p.spawn("event outlet", func() error { return p.db.Lead(run, "outlet", p.outlet.Run) })
	p.spawn("streams", func() error { return p.db.Lead(run, "streams", p.streams.Run) })
	p.spawn("event buses", func() error { return p.bus.Run(run) })
	p.spawn("queues", func() error { return p.queues.Run(run) })
	p.spawn("topics", func() error { return p.topics.Run(run) })
	p.spawn("schemas", func() error { return p.schemas.Run(run) })
	p.spawn("contracts", func() error { return p.broker.Run(run) })
	p.spawn("store and journal", func() error {
		select {
		case err := <-p.db.Failed():
			return err
		case err := <-p.journal.Failed():
			return err
		case <-run.Done():
			return nil
		}
	})
	if p.node == nil {
		return nil
	}
	p.spawn("node", func() error { return p.runNode(run) })
	return p.nodeReady(ctx)
}

// spawn runs f until the platform ends; its failure ends the platform.
func (p *platform) spawn(name string, f func() error) {
	p.work.Go(func() {
		if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
			select {
			case p.failed <- fmt.Errorf("%s: %w", name, err):
			default: // the platform ends already
			}
		}
	})
}

// nodeReady waits until the node is connected and may be given tasks.
func (p *platform) nodeReady(ctx context.Context) error {
	commits, stop := p.db.Watch(cluster.Nodes)
	defer stop()
	timeout := time.After(20 * time.Second)
	for {
		var n cluster.Node
		p.db.View(func(r store.Reader) error { n, _ = cluster.Nodes.Get(r, p.identity.ID); return nil })
		if n.Connected {
			return nil
		}
		select {
		case <-commits:
		case err := <-p.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return errors.New("the node did not connect within 20 s; --log-level info says more")
		}
	}
}

// close ends everything; containers keep running.
func (p *platform) close() {
	if p.queues != nil {
		p.queues.EndWaits() // or every end would take as long as they may
	}
	if p.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		var ends sync.WaitGroup
		ends.Go(func() { p.lane.Shutdown(ctx) }) // calls under way may finish, streams are cut
		ends.Go(func() { p.http.Shutdown(ctx) })
		ends.Wait()
		cancel()
		p.lane.Close()
		p.http.Close()
	}
	for _, l := range p.port {
		l.Close() // where it was not served yet
	}
	if p.stop != nil {
		p.stop()
	}
	p.work.Wait()
	if p.topics != nil {
		p.topics.Close()
	}
	if p.broker != nil {
		p.broker.Close()
	}
	if p.schemas != nil {
		p.schemas.Close()
	}
	p.closeNode()
	if p.logstore != nil {
		p.logstore.Close()
	}
	if p.images != nil {
		p.images.Close()
	}
	if p.journal != nil {
		p.journal.Close()
	}
	if p.db != nil {
		p.db.Close()
	}
	p.lock.Close()
}
