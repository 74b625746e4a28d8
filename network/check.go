package network

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Problem is something that keeps Open from working on this machine.
type Problem struct {
	What string // what is missing or refused
	Fix  string // what to do about it
}

// Error makes a Problem an error.
func (p Problem) Error() string { return "network: " + p.What + "; " + p.Fix }

// Check finds out whether this process can do what a Manager does, by doing it
// in a namespace that is gone afterwards. It takes some milliseconds.
func Check() []Problem {
	if missing := missingCapabilities(); missing != "" {
		return []Problem{{
			What: "making network namespaces takes " + missing + ", which this process does not have",
			Fix:  "run it as root (sudo), or with --driver sim, which needs no network",
		}}
	}
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return []Problem{{What: err.Error(), Fix: "mount /proc"}}
	}
	defer home.Close()

	f, err := os.CreateTemp("/run", "dhow-check-")
	if err != nil {
		return []Problem{{What: "cannot write to /run: " + err.Error(), Fix: "make /run writable, a tmpfs will do"}}
	}
	f.Close()
	defer dropSpace(f.Name())
	var problems []Problem
	err = newSpace(int(home.Fd()), f.Name(), func(h *netlink.Handle) error {
		problems = tryInside(h)
		return nil
	})
	if err != nil {
		problems = append(problems, Problem{
			What: "cannot make a network namespace: " + err.Error(),
			Fix:  "in a container, run it with --privileged; else use a kernel with network namespaces (CONFIG_NET_NS)",
		})
	}
	return problems
}

// checkOnce is Check for Open: what the machine can do does not change.
var checkOnce = sync.OnceValue(Check)

// tryInside tries what needs modules or rights, in a new namespace.
func tryInside(h *netlink.Handle) []Problem {
	var problems []Problem
	if err := setSysctl("ipv4/ip_forward", "1", false); err != nil {
		problems = append(problems, Problem{
			What: "cannot change net.ipv4.ip_forward in a namespace: " + err.Error(),
			Fix:  "mount /proc/sys writable; in a container, run it with --privileged",
		})
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a", TxQLen: -1}, PeerName: "b"}
	if err := h.LinkAdd(veth); err != nil {
		problems = append(problems, Problem{
			What: "cannot make a veth device: " + err.Error(),
			Fix:  "load the module (modprobe veth)",
		})
	}
	if err := tryRules(); err != nil {
		problems = append(problems, Problem{
			What: "cannot write nftables rules: " + err.Error(),
			Fix:  "load the modules (modprobe -a nf_tables nft_chain_nat nft_nat nft_masq nft_ct nft_fib_ipv4); the kernel must be 4.18 or newer",
		})
	}
	return problems
}

// tryRules writes the rules that a host and a router have.
func tryRules() error {
	s, err := openSpace("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer s.close()
	m := &Linux{name: names{table: "dhow_check", device: "dhcheck"}, host: s}
	if err := m.setHostRules(); err != nil {
		return err
	}
	err = s.transact(func(c *nftables.Conn) error {
		t := c.AddTable(ipv4Table("dhow_check2"))
		chain := c.AddChain(baseChain(t, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter))
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: join(local, accept)})
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: join(inGroup(expr.CmpOpEq, egressGroup), accept)})
		return nil
	})
	if err != nil {
		return err
	}
	return m.setRouterRules(s, vpcRecord{})
}

// missingCapabilities names those that a Manager needs and the process lacks.
func missingCapabilities() string {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		hex, ok := strings.CutPrefix(lines.Text(), "CapEff:")
		if !ok {
			continue
		}
		have, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			return ""
		}
		var missing []string
		for _, c := range []struct {
			bit  int
			name string
		}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}} {
			if have&(1<<c.bit) == 0 {
				missing = append(missing, c.name)
			}
		}
		return strings.Join(missing, " and ")
	}
	return ""
}

// joinProblems makes one error of what Check found, nil of nothing.
func joinProblems(problems []Problem) error {
	var errs error
	for _, p := range problems {
		errs = errors.Join(errs, p)
	}
	if errs != nil {
		return fmt.Errorf("%w (dhow doctor says more)", errs)
	}
	return nil
}
