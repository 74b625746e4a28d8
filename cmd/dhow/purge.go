package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dhowhq/dhow/driver/containerd"
	"github.com/dhowhq/dhow/network"
)

// lockDir takes the lock that says that a platform uses dir; two processes
// never hold it. The lock ends with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another dhow works on %s: stop it first, or choose another --data-dir", dir)
		}
		return nil, fmt.Errorf("lock of %s: %w", dir, err)
	}
	return f, nil
}

// purge removes everything on this machine that a platform of dataDir made and
// that outlives it. State, images and logs stay.
func purge(ctx context.Context, dataDir, socket string) error {
	lock, err := lockDir(dataDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	d, err := containerd.Open(ctx, containerd.Config{DataDir: dataDir, Socket: socket})
	if err != nil {
		return err
	}
	err = d.Purge(ctx)
	d.Close()
	n, netErr := network.Open(ctx, network.Config{DataDir: filepath.Join(dataDir, "network")})
	if netErr != nil {
		return errors.Join(err, netErr)
	}
	defer n.Close()
	return errors.Join(err, n.Purge(ctx))
}
