// Package agent is a node's side of dhow: it registers the node, takes tasks
// from the control plane over the protocol of package internal/acs, runs them
// through a driver and a network manager, and reports what became of them.
//
// What it must not forget lies in its data directory, so that after a crash,
// or a planned restart, it carries on with the containers that are still there.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/network"
)

// Config is a node.
type Config struct {
	DataDir string // the agent's own; made if absent
	Log     *slog.Logger
	Driver  driver.Driver
	Network network.Manager

	// Who the node is and where it registers.
	Cluster  string // "*": every cluster of every account, for a dhow node's own credentials
	Region   string // of the API that it calls; tasks may be of others
	Zone     string // the zone's letter, "a" if empty
	Hostname string // os.Hostname if empty
	CPU      int64  // CPU units that tasks may have
	Memory   int64  // MiB that tasks may have

	// How it reaches the control plane.
	Endpoint    string                                      // URL of the API
	Dial        func(ctx context.Context) (net.Conn, error) // nil: dial Endpoint
	Credentials aws.CredentialsProvider                     // the node's own
	Telemetry   time.Duration                               // between two reports of metrics; 20 s if 0, none if negative

	// Observe is told how long the steps of starts take. Nil: nobody is.
	Observe func(step Step, took time.Duration)

	// Registry says how to pull an image that is kept by dhow's own registry;
	// false for images of other registries. Nil: there is none.
	Registry func(ref string) (driver.Pull, bool)
	// Meant says what a reference to an image that cannot be pulled should have
	// been, for users of that account and region to read, "" if that is not
	// known. Nil: it never is.
	Meant func(account, region, ref string) string
	// Logs takes what containers with the awslogs driver write. Nil: such
	// containers are not started.
	Logs Logs
	// ServeAPI answers API calls that tasks make over l, until l is closed.
	// Nil: tasks have no API endpoint.
	ServeAPI func(l net.Listener) error
	// HostAPI is the URL of the API for tasks in host mode, which share the
	// host's network.
	HostAPI string
	// HostPort returns an error, for users to read, if something on this machine
	// keeps a container in host mode from a TCP port that it names. Nil: nothing
	// does.
	HostPort func(port uint16) error
	// ServeDNS answers name queries that come from network vpc ("" in bridge
	// mode, HostNetwork in host mode), until both are closed. Nil: tasks get the
	// host's resolv.conf.
	ServeDNS func(pc net.PacketConn, l net.Listener, vpc string) error
}

// Agent runs a node.
type Agent struct {
	cfg    Config
	log    *slog.Logger
	engine *engine
}

// New prepares an agent; Run starts it.
func New(c Config) (*Agent, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Zone == "" {
		c.Zone = "a"
	}
	if c.Telemetry == 0 {
		c.Telemetry = 20 * time.Second
	}
	if c.Hostname == "" {
		c.Hostname, _ = os.Hostname()
	}
	if c.CPU <= 0 || c.Memory <= 0 {
		return nil, fmt.Errorf("agent: a node of %d CPU units and %d MiB can run nothing: give it more", c.CPU, c.Memory)
	}
	for _, dir := range []string{"tasks", "etc", "logs", "volumes"} {
		if err := os.MkdirAll(filepath.Join(c.DataDir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("agent: data directory: %w", err)
		}
	}
	return &Agent{cfg: c, log: c.Log, engine: newEngine(c)}, nil
}

// Run takes up the tasks that are there, registers the node and serves the
// control plane until ctx ends. Containers are left running. The error is nil
// after a planned end; otherwise the node could not be taken up or registered.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.engine.open(ctx); err != nil {
		return err
	}
	defer a.engine.close()
	ctl, err := newControl(a.cfg, a.engine)
	if err != nil {
		return err
	}
	err = ctl.run(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}
