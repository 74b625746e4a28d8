package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/features"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"golang.org/x/sys/unix"
)

// defaultQuota is the size in bytes to which the embedded etcd's file may grow.
const defaultQuota = 16 << 30

// server is the embedded etcd: the server alone, without the listeners that
// etcd's embed package insists on. Nothing but this process can reach it.
type server struct {
	etcd    *etcdserver.EtcdServer
	client  *clientv3.Client
	dir     string
	lock    *os.File
	quota   int64 // from about here no rows may be put
	hard    int64 // here etcd refuses to write at all
	reserve int64
	failed  chan error // capacity one: etcd has stopped for good
	broken  atomic.Bool
}

// startServer starts etcd on a directory that no other process holds.
func startServer(ctx context.Context, c Config) (_ *server, err error) {
	s := &server{
		dir:     c.Dir,
		quota:   cmp.Or(c.Quota, defaultQuota),
		reserve: cmp.Or(c.reserve, defaultReserve),
		failed:  make(chan error, 1),
	}
	s.hard = cmp.Or(c.hard, s.quota+slack)
	if s.quota < minQuota {
		return nil, fmt.Errorf("store: quota of %d bytes is too small, the least is %d", s.quota, minQuota)
	}
	if s.lock, err = lockDir(c.Dir); err != nil {
		return nil, err
	}
	segments.Do(func() {
		wal.SegmentSizeBytes = segmentBytes
		if c.UnsafeNoSync {
			wal.SegmentSizeBytes = 4 << 20 // many stores of tests take little of the disk
		}
	})
	started := make(chan error, 1)
	go s.start(s.config(c), started)
	select {
	case err = <-started:
	case err = <-s.failed: // in another goroutine, so the first one hangs
		s.lock.Close()
		return nil, fmt.Errorf("store: open %s: %w", c.Dir, err)
	case <-ctx.Done():
		go func() { // let it come to an end, then let the directory go
			if <-started == nil {
				s.etcd.Stop()
			}
			s.lock.Close()
		}()
		return nil, fmt.Errorf("store: open %s: %w", c.Dir, ctx.Err())
	}
	if err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("store: open %s: %w", c.Dir, err)
	}
	s.client = v3client.New(s.etcd)
	if err := s.elect(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("store: open %s: %w", c.Dir, err)
	}
	return s, nil
}

// segmentBytes is the size of the segments of etcd's log. Two are made in
// advance, and a start reads all that there are: two and those since the last
// snapshot.
const segmentBytes = 16 << 20

var segments sync.Once // etcd has one size for all servers of a process

// start runs in a goroutine of its own, for etcd's fatal errors end it. Damaged
// files can make etcd panic as well.
func (s *server) start(c config.ServerConfig, started chan<- error) {
	returned := false
	defer func() {
		if r := recover(); r != nil {
			started <- fmt.Errorf("etcd cannot read its files, they seem to be damaged: %v", r)
		} else if !returned {
			started <- s.failure("etcd did not start")
		}
	}()
	etcd, err := etcdserver.NewServer(c)
	if err == nil {
		etcd.Start()
		s.etcd = etcd
	}
	returned = true
	started <- err
}

// config is that of a cluster of one member, at a nominal address.
func (s *server) config(c Config) config.ServerConfig {
	const name = "dhow"
	addr := types.URLs{url.URL{Scheme: "http", Host: "127.0.0.1:2380"}}
	log := etcdLog(c.Log, s.failed)
	return config.ServerConfig{
		Name:                name,
		ClientURLs:          addr,
		PeerURLs:            addr,
		InitialPeerURLsMap:  types.URLsMap{name: addr},
		InitialClusterToken: rand.Text(), // the member's number depends on it
		NewCluster:          true,
		DataDir:             c.Dir,

		TickMs:        100,
		ElectionTicks: 2,

		// Entries are up to 1 MiB here: keep few of them in memory and in the
		// log that a start reads. But keep those since the last snapshot and a
		// margin, for an election reads what a start has not applied yet, and
		// etcd fails if it has dropped that.
		SnapshotCount:          400,
		SnapshotCatchUpEntries: 1000,
		MaxSnapFiles:           5,
		MaxWALFiles:            2,

		QuotaBackendBytes:           s.hard,
		BackendFreelistType:         bolt.FreelistMapType,
		MaxTxnOps:                   batchOps + 1,
		MaxRequestBytes:             maxBytes + 512<<10,
		MaxConcurrentStreams:        math.MaxUint32,
		AuthToken:                   "simple",
		BcryptCost:                  4,
		TokenTTL:                    300,
		MaxLearners:                 1,
		V2Deprecation:               config.V2DeprDefault,
		WarningApplyDuration:        100 * time.Millisecond,
		WarningUnaryRequestDuration: 300 * time.Millisecond,
		ServerFeatureGate:           features.NewDefaultServerFeatureGate(name, log),
		UnsafeNoFsync:               c.UnsafeNoSync,
		Logger:                      log,
		Metrics:                     "basic",
	}
}

// failure is what made etcd stop, or an error of the given words.
func (s *server) failure(words string) error {
	select {
	case err := <-s.failed:
		return err
	default:
		return errors.New(words)
	}
}

// close stops etcd and lets others use the directory. After a failure etcd may
// never stop; the directory then stays locked until the process ends.
func (s *server) close() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.client.Close()
		s.etcd.Stop()
	}()
	patience := 10 * time.Second
	if s.broken.Load() {
		patience = 100 * time.Millisecond
	}
	select {
	case <-done:
		return s.lock.Close()
	case <-time.After(patience):
		return fmt.Errorf("store: etcd in %s does not stop", s.dir)
	}
}

// lockDir makes the directory, for its owner alone, and locks it.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		return nil, fmt.Errorf("store: lock %s: %w", dir, err)
	}
	return f, nil
}

// watchServer fails the store when the embedded etcd fails.
func (db *DB) watchServer() {
	select {
	case err := <-db.server.failed:
		db.fail(err)
	case <-db.server.etcd.StopNotify():
		db.fail(db.server.failure("it stopped by itself"))
	case <-db.ctx.Done():
	}
}

// fail refuses all further updates.
func (db *DB) fail(err error) {
	err = fmt.Errorf("store: the embedded etcd has failed, restart to recover: %w", err)
	db.server.broken.Store(true)
	db.end(err)
}

// end has the store do no more. The first reason is told.
func (db *DB) end(err error) {
	db.log.Error("store failed", "err", err)
	db.queue.fail(err)
	db.kill()
	select {
	case db.failed <- err:
	default:
	}
}
