package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/dhowhq/dhow/internal/register"
)

// Config says how Open makes a Manager.
type Config struct {
	// DataDir is where records are kept; its hash is in every name.
	DataDir string
	// Log takes what nobody is there to be told; nil for slog.Default.
	Log *slog.Logger
	// PublishAddresses are the host's addresses at which bridge mode
	// publishes ports: empty for 127.0.0.1 alone, 0.0.0.0 for all that the
	// host has, 127.0.0.1 included.
	PublishAddresses []netip.Addr
	// HostNamespace is the path of the network namespace to treat as the
	// host's; "" for the one this process is in.
	HostNamespace string
}

// atOnce is how many namespaces are made at the same time. More only wait for
// the kernel's locks, and take longer in all.
const atOnce = 4

// Linux is the Manager that makes real namespaces. Use Open.
type Linux struct {
	cfg  Config
	log  *slog.Logger
	name names
	home *os.File // the process's own namespace, which threads come back to
	host *space
	mtu  int

	mu        sync.Mutex
	endpoints map[string]*endpoint // by id
	vpcs      map[string]*vpc      // by id; the bridge router under bridgeID
	making    map[string]chan struct{}

	forwardMu sync.Mutex
	forwards  bool // the host has been told to forward

	slots   chan struct{} // one for each namespace being made
	ports   *portTable
	records *register.Register
}

var _ Manager = (*Linux)(nil)

// names are the names and places that belong to one data directory.
type names struct {
	hash   string // 8 hex digits
	device string // prefix of devices on the host, at most 10 characters
	table  string // of nftables
	run    string // directory of the namespaces' mounts
	data   string // directory of the records
}

func namesFor(dataDir string) (names, error) {
	if dataDir == "" {
		return names{}, errors.New("network: no data directory given")
	}
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return names{}, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	sum := sha256.Sum256([]byte(abs))
	hash := hex.EncodeToString(sum[:4])
	return names{
		hash:   hash,
		device: "dh" + hash,
		table:  "dhow_" + hash,
		run:    "/run/dhow-" + hash,
		data:   filepath.Join(abs, "network"),
	}, nil
}

func (n names) netnsDir() string  { return filepath.Join(n.run, "netns") }
func (n names) routerDir() string { return filepath.Join(n.run, "router") }

func (n names) records() string { return filepath.Join(n.data, "records.jsonl") }

// Open returns the Manager of a data directory. It takes up what an earlier
// one made and clears away what a crash left half-made. Where the machine does
// not let it work, it fails at once with an error that says what to mend; see
// Check.
func Open(ctx context.Context, cfg Config) (*Linux, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	for _, a := range cfg.PublishAddresses {
		if !a.Is4() {
			return nil, fmt.Errorf("network: ports cannot be published at %s: give IPv4 addresses", a)
		}
	}
	if err := joinProblems(checkOnce()); err != nil {
		return nil, err
	}
	// The records' directory comes first: the hash is that of the real path.
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	name, err := namesFor(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{name.netnsDir(), name.routerDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("network: %w", err)
		}
	}
	m := &Linux{
		cfg: cfg, log: cfg.Log, name: name,
		endpoints: map[string]*endpoint{},
		vpcs:      map[string]*vpc{},
		making:    map[string]chan struct{}{},
		slots:     make(chan struct{}, atOnce),
	}
	if m.home, err = os.Open("/proc/self/ns/net"); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	hostPath := cfg.HostNamespace
	if hostPath == "" {
		hostPath = "/proc/self/ns/net"
	}
	if m.host, err = openSpace(hostPath); err != nil {
		m.home.Close()
		return nil, fmt.Errorf("network: %w", err)
	}
	m.ports = newPortTable(m)
	var vpcs []vpcRecord
	var endpoints []endpointRecord
	m.records, vpcs, endpoints, err = readRecords(name.records(), m.log)
	if err == nil {
		m.mtu, err = uplinkMTU(m.host)
	}
	if err == nil {
		err = m.takeUp(vpcs, endpoints)
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("network: %w", err)
	}
	return m, nil
}

// Close implements Manager. The Manager must not be used afterwards.
func (m *Linux) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.vpcs {
		v.router.close()
	}
	m.vpcs = map[string]*vpc{}
	m.ports.close()
	if m.records != nil {
		m.records.Close()
	}
	m.host.close()
	return m.home.Close()
}

// once makes callers that name the same thing wait for each other: fn of the
// second runs after that of the first. It serves EnsureVPC, Add and Remove.
func (m *Linux) once(ctx context.Context, key string, fn func() error) error {
	for {
		m.mu.Lock()
		busy := m.making[key]
		if busy == nil {
			busy = make(chan struct{})
			m.making[key] = busy
			m.mu.Unlock()
			defer func() {
				m.mu.Lock()
				delete(m.making, key)
				m.mu.Unlock()
				close(busy)
			}()
			return fn()
		}
		m.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
