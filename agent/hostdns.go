package agent

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// HostNetwork is what Config.ServeDNS is told of queries from tasks in host
// mode: names are to have the addresses that programs on the host reach.
const HostNetwork = "host"

// hostDNS answers the name queries of tasks in host mode, at a loopback address
// of the node's own: they have the host's network, where others may have the
// port on 127.0.0.1.
type hostDNS struct {
	eng *engine

	mu      sync.Mutex
	address string // "" until it serves
	refused bool   // it cannot: said once
	closers []io.Closer
}

const hostDNSFile = "dns-address"

// open returns the address where it serves, opened at the first call, and ""
// where it cannot: such tasks get the host's resolvers. It is the same address
// in the next life of the agent, which containers outlive.
func (d *hostDNS) open() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.address != "" || d.refused || d.eng.cfg.ServeDNS == nil {
		return d.address
	}
	l, pc, err := d.listen()
	if err != nil {
		d.refused = true
		d.eng.log.Warn("names of load balancers are not there for tasks in host mode: they get the host's resolvers", "err", err)
		return ""
	}
	d.address, _, _ = net.SplitHostPort(l.Addr().String())
	d.closers = []io.Closer{l, pc}
	go func() { d.eng.served("DNS of the host", d.eng.cfg.ServeDNS(pc, l, HostNetwork)) }()
	return d.address
}

// listen opens both sockets at the address of an earlier life, else at one that
// follows from the data directory, else at one of those beside it.
func (d *hostDNS) listen() (net.Listener, net.PacketConn, error) {
	file := filepath.Join(d.eng.cfg.DataDir, hostDNSFile)
	var tries []string
	if b, err := os.ReadFile(file); err == nil {
		tries = append(tries, strings.TrimSpace(string(b)))
	}
	h := fnv.New32a()
	h.Write([]byte(file))
	for n := h.Sum32() % 16384; len(tries) < 8; n = (n + 1) % 16384 {
		tries = append(tries, fmt.Sprintf("127.0.%d.%d", 128+n/256, max(1, n%256)))
	}
	var last error
	for _, a := range tries {
		l, pc, err := listenBoth(net.JoinHostPort(a, "53"))
		if errors.Is(err, unix.EADDRINUSE) {
			last = err
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if err := os.WriteFile(file, []byte(a), 0o600); err != nil {
			l.Close()
			pc.Close()
			return nil, nil, err
		}
		return l, pc, nil
	}
	return nil, nil, last
}

func listenBoth(address string) (net.Listener, net.PacketConn, error) {
	pc, err := net.ListenPacket("udp4", address)
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp4", address)
	if err != nil {
		pc.Close()
		return nil, nil, err
	}
	return l, pc, nil
}

func (d *hostDNS) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.closers {
		c.Close()
	}
}
