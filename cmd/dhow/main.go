// Command dhow is the whole of dhow: the platform (`dhow up`) and the verbs
// that talk to it. This package is flags and wiring and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/dhowhq/dhow/driver/containerd/initproc"
)

// version is set by the Makefile.
var version = "dev"

type cli struct {
	Up       upCmd       `cmd:"" help:"Start the platform: control plane and a node, in one process."`
	Down     downCmd     `cmd:"" help:"Remove every container, network and mount of a stopped platform; its state stays."`
	Env      envCmd      `cmd:"" help:"Print the environment for AWS clients: eval \"$(dhow env)\"."`
	Ps       psCmd       `cmd:"" help:"List tasks."`
	Logs     logsCmd     `cmd:"" help:"Print what a service, a task or a log group logs."`
	Events   eventsCmd   `cmd:"" help:"Print the events of the platform, one JSON line each."`
	Function functionCmd `cmd:"" help:"Say which URLs functions are."`
	Queue    queueCmd    `cmd:"" help:"List queues, move dead letters back."`
	Schema   schemaCmd   `cmd:"" help:"Check, register, pull and explain schemas of messages."`
	Image    imageCmd    `cmd:"" help:"Build and push images without Docker."`
	Outbox   outboxCmd   `cmd:"" help:"Show mail, short messages and pushes that topics sent."`
	Reset    resetCmd    `cmd:"" help:"Empty the caller's account."`
	Doctor   doctorCmd   `cmd:"" help:"Say what this machine lacks and how to mend it."`
	Coverage coverageCmd `cmd:"" help:"Write the table of served API operations."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

func main() {
	if initproc.Called() {
		initproc.Main()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c,
		kong.Name("dhow"),
		kong.Description("Amazon-ECS-style platforms on machines you own."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Vars{"datadir": defaultDataDir()},
	)
	if err := k.Run(); err != nil && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		fmt.Fprintln(os.Stderr, "dhow:", plain(err))
		os.Exit(1)
	}
}

type versionCmd struct{}

func (versionCmd) Run() error {
	fmt.Println("dhow", version)
	return nil
}
