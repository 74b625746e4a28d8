package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// space is an open network namespace.
type space struct {
	file *os.File
	nl   *netlink.Handle // route socket in the namespace

	nftMu sync.Mutex // one transaction at a time: a Conn gathers them
	nft   *nftables.Conn
}

// openSpace opens the namespace that path names.
func openSpace(path string) (*space, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &space{file: f}
	s.nl, err = netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open a netlink socket in %s: %w", path, err)
	}
	return s, nil
}

func (s *space) fd() int { return int(s.file.Fd()) }

func (s *space) close() {
	s.nftMu.Lock()
	defer s.nftMu.Unlock()
	if s.nft != nil {
		s.nft.CloseLasting() // the socket goes in any case
		s.nft = nil
	}
	s.nl.Close()
	s.file.Close()
}

// transact runs fn with a connection to the namespace's nftables and commits
// what fn queued, all or nothing.
func (s *space) transact(fn func(c *nftables.Conn) error) error {
	s.nftMu.Lock()
	defer s.nftMu.Unlock()
	if s.nft == nil {
		c, err := nftables.New(nftables.WithNetNSFd(s.fd()), nftables.AsLasting())
		if err != nil {
			return fmt.Errorf("open an nftables socket: %w", err)
		}
		s.nft = c
	}
	err := fn(s.nft)
	if err == nil {
		err = s.nft.Flush()
	}
	if err != nil {
		// Answers to what was sent may still be queued: start afresh.
		s.nft.CloseLasting()
		s.nft = nil
	}
	return err
}

// within runs fn on a thread that is inside the namespace ns and comes back to
// home. fn must not start goroutines that need the namespace.
func within(home, ns int, fn func() error) error {
	return onThread(home, func() error {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return fn()
	})
}

// onThread runs fn on a thread of its own, which may change its namespace. A
// thread that cannot be brought back to home is given up.
func onThread(home int, fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := errors.New("network: goroutine ended early")
		defer func() { done <- err }()
		err = fn()
		if back := unix.Setns(home, unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		} // else the runtime ends the thread with the goroutine
	}()
	return <-done
}

// newSpace makes a namespace, keeps it alive by a mount at path, and runs
// setup inside it with a netlink handle.
func newSpace(home int, path string, setup func(h *netlink.Handle) error) (err error) {
	if err := holdPath(path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			dropSpace(path)
		}
	}()
	return onThread(home, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount the network namespace at %s: %w", path, err)
		}
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open a netlink socket: %w", err)
		}
		defer h.Close()
		return setup(h)
	})
}

// holdPath makes the empty file that a namespace is mounted on.
func holdPath(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	if errors.Is(err, os.ErrExist) {
		// Left by a crash; nobody knows it.
		dropSpace(path)
		f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	}
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// dropSpace takes away the mount that keeps a namespace alive. The kernel ends
// the namespace, devices included, once no process or socket is in it.
func dropSpace(path string) error {
	for {
		// One mount is usual; a crash can have left several.
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
				break
			}
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// isSpace tells whether a namespace is mounted at path, which is not so for
// files left from before a reboot.
func isSpace(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && int64(st.Type) == unix.NSFS_MAGIC
}

// setSysctl sets a value in the namespace of the calling thread. A value that
// this kernel does not have is left alone if it is optional.
func setSysctl(name, value string, optional bool) error {
	err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
	if optional && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
