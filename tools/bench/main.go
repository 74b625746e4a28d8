// Command bench measures dhow's speed beside a floor that no such program can
// beat (a bare HTTP handler, containerd alone, etcd alone) and beside peers
// where they are installed. Ours and the floor take turns in one run, so that a
// busy machine hits both; what counts is their ratio.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// settings is what the flags say.
type settings struct {
	bin, hello string
	listen     string // the platform's; moto and the bare handler take ports that are free
	only       string
	runs       int // single starts, each way
	bursts     int // of twenty, each way
	long       bool
	depth      int // messages that wait in the deep row
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareArg {
		fail(serveBare(os.Stdin, os.Stdout))
		return
	}
	if len(os.Args) == 3 && os.Args[1] == setArg {
		fail(serveSet(os.Args[2], os.Stdout))
		return
	}
	var s settings
	flag.StringVar(&s.bin, "dhow", "bin/dhow", "the program to measure")
	flag.StringVar(&s.hello, "hello", "bin/hello", "the program that tasks run: static, and stays up")
	flag.StringVar(&s.listen, "listen", "127.0.0.1:4700", "address of the platforms that are started")
	flag.StringVar(&s.only, "only", "", "measure only these rows, with commas: "+strings.Join(names(), ","))
	flag.IntVar(&s.runs, "runs", 25, "single task starts")
	flag.IntVar(&s.bursts, "bursts", 5, "bursts of 20 task starts")
	flag.BoolVar(&s.long, "long", false, "also the rows that take minutes: deep")
	flag.IntVar(&s.depth, "depth", 10_000_000, "messages that wait, for the row deep")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fail(run(ctx, s))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errSkipped is wrapped by what says why a row cannot be measured here.
var errSkipped = errors.New("skipped")

// rows are measured in this order: the idle row needs tasks at rest, the
// others a machine that does nothing else.
var rows = []struct {
	name    string
	measure func(context.Context, *bench) error
}{
	{"ready", measureReady}, {"api", measureAPI}, {"start", measureStart}, {"burst", measureBurst}, {"idle", measureIdle}, {"store", measureStore}, {"send", measureSend}, {"contracts", measureContracts}, {"receive", measureReceive}, {"latency", measureLatency}, {"fifo", measureFIFO}, {"kinesis", measureKinesis}, {"rules", measureRules}, {"events", measureEvents}, {"topics", measureTopics}, {"task", measureTask}, {"polls", measurePolls}, {"deep", measureDeep},
}

func names() (all []string) {
	for _, r := range rows {
		all = append(all, r.name)
	}
	return all
}

// bench is what the measurements share.
type bench struct {
	settings
	table table
	dir   string    // of data directories
	p     *platform // for the rows that need one; started by the first
}

func run(ctx context.Context, s settings) (err error) {
	for _, p := range []*string{&s.bin, &s.hello} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
		if _, err := exec.LookPath(*p); err != nil {
			return fmt.Errorf("%w: `make bench` builds it", err)
		}
	}
	b := &bench{settings: s}
	if b.dir, err = os.MkdirTemp("", "dhow-bench-"); err != nil {
		return err
	}
	defer func() {
		if b.p != nil {
			err = errors.Join(err, b.p.down())
		}
		err = errors.Join(err, os.RemoveAll(b.dir))
	}()
	before := load()
	for _, r := range rows {
		if s.only != "" && !strings.Contains(","+s.only+",", ","+r.name+",") {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", r.name)
		row, end := context.WithCancel(ctx) // its connections end with it
		err := r.measure(row, b)
		end()
		if errors.Is(err, errSkipped) {
			b.table.add(r.name, err.Error(), "", "", "", verdictNone)
		} else if err != nil {
			b.table.print(os.Stdout) // what was measured before
			if ctx.Err() != nil {    // each connection says that it was closed
				return ctx.Err()
			}
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Printf("load %s before, %s after\n", before, load())
	b.table.print(os.Stdout)
	return nil
}

// platform returns the one that most rows share, with the image pushed.
func (b *bench) platform(ctx context.Context) (*platform, error) {
	if b.p != nil {
		return b.p, nil
	}
	p, _, err := start(ctx, b.bin, b.listen, filepath.Join(b.dir, "shared"))
	if err != nil {
		return nil, err
	}
	b.p = p
	return p, p.prepare(ctx, b.hello)
}

// load is the machine's load of the last minute: a figure taken on a busy
// machine should not be read without it.
func load() string {
	data, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(data), " ")
	return first
}
