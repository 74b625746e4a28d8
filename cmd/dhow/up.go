package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// upCmd is the platform's flags.
type upCmd struct {
	Listen     string   `default:"127.0.0.1:4566" help:"Address of the API; [::1] is served besides where it names 127.0.0.1."`
	DataDir    string   `default:"${datadir}" type:"path" help:"Where the platform keeps its state."`
	Region     string   `default:"us-east-1" help:"Region of callers that name none."`
	Account    string   `default:"000000000000" help:"Account of callers whose access key names none."`
	Auth       string   `default:"open" enum:"open" help:"open: any credentials are accepted."`
	Driver     string   `default:"containerd" enum:"containerd,sim" help:"containerd runs containers, sim only pretends to."`
	NoNode     bool     `help:"Run no tasks here."`
	NodeCPU    int64    `name:"node-cpu" help:"CPU units (1024 a vCPU) that tasks may have; what the machine has by default."`
	NodeMemory int64    `name:"node-memory" help:"MiB that tasks may have; what the machine has by default."`
	Containerd string   `help:"Socket of the containerd to use; by default the system's, else one of dhow's own."`
	Etcd       []string `name:"etcd-endpoints" help:"An etcd cluster to keep the state in, instead of the embedded one."`
	Journal    string   `placeholder:"nats://HOST:PORT,…" help:"A NATS JetStream cluster to keep messages in, instead of the data directory."`
	Replicas   int      `name:"journal-replicas" default:"1" help:"How many of its servers have each message."`
	NewJournal bool     `help:"Start with the journal that is given though messages are in another one: they stay behind."`
	KnownOpen  bool     `name:"i-know-this-is-open" help:"Allow --auth open on an address that is not loopback."`
	LogLevel   string   `default:"warn" enum:"debug,info,warn,error" help:"What to write to standard error."`
}

func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/dhow"
	}
	if d, err := os.UserHomeDir(); err == nil {
		return filepath.Join(d, ".local", "share", "dhow")
	}
	return "dhow-data"
}

// Run starts the platform and serves until a signal ends ctx.
func (c *upCmd) Run(ctx context.Context) error {
	began := time.Now()
	if err := c.check(); err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	p, err := newPlatform(ctx, c, log)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.serve(ctx); err != nil {
		return err
	}
	fmt.Printf("dhow ready in %d ms at %s\n", time.Since(began).Milliseconds(), p.url)
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return err
	}
}

// check refuses flags that do not fit together, in words.
func (c *upCmd) check() error {
	if len(c.Account) != 12 || !digits(c.Account) {
		return fmt.Errorf("--account %q is not 12 digits", c.Account)
	}
	local, err := loopback(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w: it is HOST:PORT, as in 127.0.0.1:4566", c.Listen, err)
	}
	if !local && !c.KnownOpen {
		return errors.New("--auth open lets everybody who reaches " + c.Listen +
			" run containers here: listen on a loopback address, or add --i-know-this-is-open")
	}
	if c.NodeCPU < 0 || c.NodeMemory < 0 {
		return errors.New("--node-cpu and --node-memory cannot be negative")
	}
	return nil
}

func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
