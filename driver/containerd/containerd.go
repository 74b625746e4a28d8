// Package containerd runs containers with containerd and runc.
//
// All that it makes lives in one containerd namespace, named after a hash of
// the data directory, so that several dhows share one containerd and Purge
// leaves nothing. Where the machine has no containerd running, it starts a
// private one that outlives this process. Nothing of a running container
// depends on this process: output goes to a file, exits are kept by the shim.
package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/snapshots"

	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/internal/register"
)

// Config says where a Driver keeps its things.
type Config struct {
	DataDir  string // required; its hash names the containerd namespace
	Socket   string // containerd's socket; "" finds the system's, else starts a private containerd
	Private  bool   // do not look for the system's containerd
	InitPath string // static binary that calls initproc.Main, for Spec.Init; "" finds dhow-init beside this program or in PATH
	Log      *slog.Logger

	system string // in tests: in place of the system's socket
}

// Driver is a driver.Driver over one containerd. Use Open.
type Driver struct {
	cfg   Config
	log   *slog.Logger
	paths paths

	cl          *client.Client
	snap        snapshots.Snapshotter
	snapshotter string
	version     string
	nonce       string        // of this Driver, in the names of its execs
	private     bool          // containerd is ours, and ends with Purge
	host        host          // what the machine and containerd may do
	apparmor    func() string // the profile's name; loads it at the first call

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	closing  sync.Once
	closeErr error

	mu         sync.Mutex
	containers map[string]*container

	runs    *register.Register
	images  imageCache
	pulls   flights
	parents cgroupParents
	exits   exitQueue
	gate    gate
	fills   fillLocks
}

var _ driver.Driver = (*Driver)(nil)

// paths are derived from the data directory. Sockets need short paths, hence
// run, which is below /run.
type paths struct {
	hash string // names the namespace and the cgroup
	data string // durable: containerd's root, records, volumes
	run  string // gone at reboot: sockets, runc's state; its parent is shared with others of this data directory
}

func pathsOf(dataDir string) (paths, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return paths{}, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	sum := sha256.Sum256([]byte(abs))
	hash := hex.EncodeToString(sum[:5])
	return paths{hash: hash, data: filepath.Join(abs, "driver"), run: "/run/dhow-" + hash + "/d"}, nil
}

func (p paths) namespace() string        { return "dhow-" + p.hash }
func (p paths) cgroup() string           { return "/dhow-" + p.hash }
func (p paths) volumes(id string) string { return filepath.Join(p.data, "volumes", id) }
func (p paths) fifo(id string) string    { return filepath.Join(p.run, "io", id) }

// Open connects to containerd, starting one where there is none, and finds the
// containers that are there. Its errors say what is missing and how to mend
// it; see Check.
func Open(ctx context.Context, cfg Config) (*Driver, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := firstFatal(Check()); err != nil {
		return nil, err
	}
	if cfg.system == "" {
		cfg.system = systemSocket
	}
	if err := os.MkdirAll(cfg.DataDir, 0o755); err != nil {
		return nil, err
	}
	p, err := pathsOf(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{p.data, p.run, filepath.Join(p.run, "io")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
	}
	d := &Driver{cfg: cfg, log: cfg.Log, paths: p, containers: map[string]*container{}, nonce: randomName() + "-"}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.exits.start(&d.wg, d.ctx.Done())
	if err := d.open(ctx); err != nil {
		d.Close()
		p.tidy()
		return nil, err
	}
	return d, nil
}

func (d *Driver) open(ctx context.Context) error {
	socket, err := findDaemon(ctx, d.cfg, d.paths)
	if err != nil {
		return err
	}
	d.private = socket == d.paths.socket()
	d.cl, err = client.New(socket, client.WithDefaultNamespace(d.paths.namespace()), client.WithTimeout(5*time.Second))
	if err != nil {
		return fmt.Errorf("containerd at %s: %w", socket, err)
	}
	v, err := d.cl.Version(ctx)
	if err != nil {
		return fmt.Errorf("containerd at %s does not answer: %w", socket, err)
	}
	if tooOld(v.Version) {
		return Problem{fmt.Errorf("%w: containerd %s at %s is too old", ErrDaemon, v.Version, socket), "dhow needs containerd 1.6 or newer"}
	}
	d.version = "containerd " + v.Version
	if d.snapshotter, err = pickSnapshotter(ctx, d.cl); err != nil {
		return fmt.Errorf("containerd at %s: %w", socket, err)
	}
	d.snap = d.cl.SnapshotService(d.snapshotter)
	if d.host, err = readHost(socket); err != nil {
		return err
	}
	d.apparmor = sync.OnceValue(d.loadApparmor)
	d.wg.Go(func() { d.apparmor() }) // compiling it takes a while
	d.parents.init(d.host.cgroups, d.paths.cgroup())
	if err := d.recover(ctx); err != nil {
		return err
	}
	if d.private {
		d.wg.Go(d.keep)
	}
	return nil
}

// Version names containerd and its version.
func (d *Driver) Version() string { return d.version }

// Exits delivers each exit once. The channel is closed by Close.
func (d *Driver) Exits() <-chan driver.Exit { return d.exits.out }

// Close detaches from containerd. Containers, and a private containerd, keep
// running.
func (d *Driver) Close() error {
	d.closing.Do(func() {
		d.cancel()
		if d.cl != nil {
			d.closeErr = d.cl.Close()
		}
		d.wg.Wait()
		if d.runs != nil {
			d.runs.Close()
		}
	})
	return d.closeErr
}
