// Command demo is `make demo`: it starts dhow, deploys examples/hello as a
// service behind a load balancer through the AWS API, calls it, kills one of
// its containers and shows that nobody notices; then it deploys examples/orders
// and lets events start tasks and feed a queue, by a contract. Ctrl-C removes everything that
// runs; `dhow up` brings it back.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/term"
)

type options struct {
	listen, dataDir string
	once            bool
}

// parse reads the command line; what is wrong with it is written to out too.
// An argument that is no flag is refused: those after it would be passed over,
// and the demonstration would run in another place than was meant.
func parse(args []string, out io.Writer) (o options, err error) {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.listen, "listen", "127.0.0.1:4566", "address of the API")
	f.StringVar(&o.dataDir, "data-dir", "", "data directory of the platform; dhow's own choice by default")
	f.BoolVar(&o.once, "once", false, "end after the demonstration instead of staying up until Ctrl-C")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		err := fmt.Errorf("%q is not a flag, and there is nothing else to say", f.Arg(0))
		fmt.Fprintln(out, err)
		f.Usage()
		return o, err
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = run(ctx, o.listen, o.dataDir, o.once)
	if err != nil && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, dataDir string, once bool) (err error) {
	if err := present("."); err != nil {
		return err
	}
	p, err := start(ctx, listen, dataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.down()) }()
	d := newDeployment(p)
	s := newShop(d)
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"build an image of examples/hello and push it to repository hello", d.image},
		{"cluster, log group, load balancer", d.surroundings},
		{"service hello: two tasks behind the load balancer", d.service},
		{"call it until both tasks have answered", d.call},
		{"kill one task's container while calls go on", d.kill},
		{"a shop of events: build an image of examples/orders", s.image},
		{"a contract: register the schema that events carry orders by", s.contract},
		{"an event bus, its rules, a queue with a dead-letter queue; bus and queue take what keeps the contract", s.messaging},
		{"services orders-api, behind a load balancer, and orders-worker, behind the queue", s.services},
		{"place orders: a rule starts a task for the large one", s.orders},
		{"an order that fails, the dead-letter queue, a mended worker, redrive", s.poison},
		{"release 1.1 of the API writes a field more: the worker of 1.0 reads on", s.evolve},
		{"release 2.0 would leave the worker behind: it is stopped in CI, and by the queue", s.breaking},
	} {
		fmt.Printf("\n%s\n", bold("▸ "+step.title))
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	d.summary(s.host, once)
	if !once {
		<-ctx.Done()
	}
	return nil
}

// present says which of the files that the demonstration shows dir lacks.
func present(dir string) error {
	for _, name := range []string{"bin/hello", "bin/orders", releases} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%w: start it in the root of the repository, after make build", err)
		}
	}
	return nil
}

// bold is text in bold type on a terminal, and as it is elsewhere.
func bold(s string) string {
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return s
	}
	return "\033[1m" + s + "\033[0m"
}
