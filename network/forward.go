package network

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// forwardDir is where the data directories of one machine agree on who needs
// the host to forward, so that the last one to go puts it back as it was.
const forwardDir = "/run/dhow-forward"

// wasOff is the file that says that we switched forwarding on. Data
// directories are files named by their hash beside it.
const wasOff = "was-off"

// startForwarding makes the host forward packets of our networks. Only ways
// out and ports published beyond loopback need it: the host reaches the
// default VPC and bridge mode without.
func (m *Linux) startForwarding() error {
	m.forwardMu.Lock()
	defer m.forwardMu.Unlock()
	if m.forwards {
		// Others may have switched it off: sysctl settings loaded anew, say.
		if on, err := m.forwarding(); err != nil || on {
			return err
		}
		m.log.Warn("network: somebody has switched off forwarding on this host, which tasks need: it is switched on again")
	}
	err := m.withForwardState(func(dir string) error {
		on, err := m.forwarding()
		if err != nil {
			return err
		}
		if !on {
			if err := os.WriteFile(filepath.Join(dir, wasOff), nil, 0o600); err != nil {
				return err
			}
			if err := m.setForwarding("1"); err != nil {
				return err
			}
		}
		return os.WriteFile(filepath.Join(dir, m.name.hash), nil, 0o600)
	})
	if err != nil {
		return fmt.Errorf("let the host forward packets (net.ipv4.ip_forward=1): %w", err)
	}
	m.passForeignChains()
	m.forwards = true
	return nil
}

// stopForwarding undoes startForwarding, whichever Manager did it.
func (m *Linux) stopForwarding() error {
	m.forwardMu.Lock()
	defer m.forwardMu.Unlock()
	m.forwards = false
	err := m.withForwardState(func(dir string) error {
		if err := os.Remove(filepath.Join(dir, m.name.hash)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		if len(files) != 1 || files[0].Name() != wasOff {
			return nil
		}
		if err := m.setForwarding("0"); err != nil {
			return err
		}
		return os.Remove(filepath.Join(dir, wasOff))
	})
	return errors.Join(err, m.leaveForeignChains())
}

// lockDir makes a directory and locks it until the file is closed. Who held the
// lock before may have removed the directory: then the lock is on nothing that
// others find, and another one is taken.
func lockDir(path string) (*os.File, error) {
	for {
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		lock, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); {
		case err == nil && isAt(lock, path):
			return lock, nil
		case err != nil && !errors.Is(err, unix.EINTR):
			lock.Close()
			return nil, err
		}
		lock.Close()
	}
}

// isAt reports whether path still names the open file f.
func isAt(f *os.File, path string) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	here, err := f.Stat()
	return err == nil && os.SameFile(here, there)
}

// withForwardState runs fn while no other process looks at the state of this
// host namespace, and removes the state when it is empty.
func (m *Linux) withForwardState(fn func(dir string) error) error {
	lock, err := lockDir(forwardDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	// What was noted before a reboot counts no more.
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(m.host.fd(), &st); err != nil {
		return err
	}
	dir := filepath.Join(forwardDir, fmt.Sprintf("%s-%d", strings.TrimSpace(string(boot)), st.Ino))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err = fn(dir)
	os.Remove(dir)        // both only if
	os.Remove(forwardDir) // they are empty
	return err
}

const forwardSysctl = "ipv4/ip_forward"

func (m *Linux) forwarding() (on bool, err error) {
	err = within(int(m.home.Fd()), m.host.fd(), func() error {
		b, err := os.ReadFile("/proc/sys/net/" + forwardSysctl)
		on = strings.TrimSpace(string(b)) == "1"
		return err
	})
	return on, err
}

func (m *Linux) setForwarding(value string) error {
	return within(int(m.home.Fd()), m.host.fd(), func() error {
		return setSysctl(forwardSysctl, value, false)
	})
}

// passForeignChains lets our packets through what other software's tables
// forbid to be forwarded: Docker, for one, drops all that is not its own. What
// may come in to our networks our own table decides. A table that cannot be
// changed is logged.
func (m *Linux) passForeignChains() {
	err := m.eachForeignChain(func(c *nftables.Conn, chain *nftables.Chain, ours []*nftables.Rule) error {
		if len(ours) > 0 {
			return nil
		}
		for _, match := range [][]expr.Any{
			inDevice(expr.CmpOpEq, m.name.device, false),
			outDevice(expr.CmpOpEq, m.name.device, false),
		} {
			c.InsertRule(&nftables.Rule{
				Table: chain.Table, Chain: chain, UserData: m.comment(),
				Exprs: join(match, []expr.Any{&expr.Counter{}}, accept),
			})
		}
		return c.Flush()
	})
	if err == nil && legacyIPTables() {
		err = errors.New("the rules of legacy iptables cannot be seen from here")
	}
	if err != nil {
		m.log.Warn("network: a firewall of this host may keep tasks from getting out; if so, let it accept what is forwarded from and to the devices",
			"devices", m.name.device+"*", "err", err)
	}
}

// leaveForeignChains removes the rules of passForeignChains.
func (m *Linux) leaveForeignChains() error {
	return m.eachForeignChain(func(c *nftables.Conn, chain *nftables.Chain, ours []*nftables.Rule) error {
		for _, r := range ours {
			if err := c.DelRule(r); err != nil {
				return err
			}
		}
		return c.Flush()
	})
}

func (m *Linux) comment() []byte {
	return userdata.AppendString(nil, userdata.TypeComment, "dhow "+m.name.hash)
}

// eachForeignChain calls fn with every chain of others that may stop forwarded
// IPv4 packets, and the rules that we have in it.
func (m *Linux) eachForeignChain(fn func(c *nftables.Conn, chain *nftables.Chain, ours []*nftables.Rule) error) error {
	var errs error
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		err := m.host.transact(func(c *nftables.Conn) error {
			chains, err := c.ListChainsOfTableFamily(family)
			if err != nil {
				return err
			}
			for _, chain := range chains {
				if chain.Hooknum == nil || *chain.Hooknum != *nftables.ChainHookForward ||
					chain.Type != nftables.ChainTypeFilter || strings.HasPrefix(chain.Table.Name, "dhow_") {
					continue
				}
				rules, err := c.GetRules(chain.Table, chain)
				if err != nil {
					return err
				}
				if len(rules) == 0 && (chain.Policy == nil || *chain.Policy == nftables.ChainPolicyAccept) {
					continue
				}
				var ours []*nftables.Rule
				for _, r := range rules {
					if bytes.Equal(r.UserData, m.comment()) {
						ours = append(ours, r)
					}
				}
				if err := fn(c, chain, ours); err != nil {
					return fmt.Errorf("chain %s of table %s: %w", chain.Name, chain.Table.Name, err)
				}
			}
			return nil
		})
		errs = errors.Join(errs, err)
	}
	return errs
}

// legacyIPTables tells whether the old iptables has a filter table, which
// netlink does not show.
func legacyIPTables() bool {
	b, err := os.ReadFile("/proc/net/ip_tables_names")
	return err == nil && bytes.Contains(b, []byte("filter"))
}
