// Package dns answers the name queries of tasks: names of load balancers,
// services and addresses by itself, all others by the host's resolvers.
//
// One Server serves any number of sockets, one pair in each task's namespace.
// It keeps no cache: own answers come from memory, and answers of the host's
// resolvers, which have caches, pass with their TTL unchanged.
package dns

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
)

// Zones are the suffixes that are all ours: a name in them that the Resolver
// does not know does not exist.
var Zones = []string{"elb.dhow.internal", "elb.localhost"}

// TTL is how long own answers may be kept, in seconds. AWS says 60 for load
// balancers; tests and restarts here are quicker than that.
const TTL = 5

const (
	lookupTimeout = 2 * time.Second
	maxUDPSize    = 1232 // what passes without fragments, by the DNS flag day of 2020
	maxTCPConns   = 64   // at once from one task
)

// Resolver knows names. LookupA is called for every query from outside, so it
// answers from memory.
type Resolver interface {
	// LookupA returns the IPv4 addresses of a name, which is in lower case
	// without the last dot, as they are seen from where Serve was told that the
	// query comes from.
	// found tells a name that is there without addresses from one that is not
	// there.
	LookupA(ctx context.Context, vpc, name string) (addrs []netip.Addr, found bool)
}

// Config says how a Server works.
type Config struct {
	Resolver Resolver
	// Log takes failures to serve; nil for slog.Default.
	Log *slog.Logger
	// ResolvConf is the file that names the host's resolvers; "" for
	// /etc/resolv.conf. It is read again when it changes.
	ResolvConf string
	// Upstreams are the resolvers' addresses with ports, instead of the file's.
	Upstreams []string
}

// Server answers queries. Use New.
type Server struct {
	cfg     Config
	forward *forwarder

	mu      sync.Mutex
	closed  bool
	serving map[*dns.Server]bool
}

// New returns a Server that serves nothing yet.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.ResolvConf == "" {
		cfg.ResolvConf = "/etc/resolv.conf"
	}
	return &Server{cfg: cfg, forward: newForwarder(cfg), serving: map[*dns.Server]bool{}}
}

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("dns: server closed")

// Serve answers what comes to a pair of sockets, of which one may be nil, from
// tasks of a VPC, or of another network that the Resolver knows. It returns nil
// once they are closed, and closes them both if one fails.
func (s *Server) Serve(pc net.PacketConn, l net.Listener, vpc string) error {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { s.handle(w, q, vpc) })
	var servers []*dns.Server
	if pc != nil {
		servers = append(servers, &dns.Server{
			PacketConn: pc, Handler: handler, UDPSize: maxUDPSize,
			// Each socket wakes up that often, and there are thousands.
			ReadTimeout: time.Hour,
		})
	}
	if l != nil {
		// A task must not use up the node's file descriptors.
		servers = append(servers, &dns.Server{Listener: netutil.LimitListener(l, maxTCPConns), Handler: handler})
	}
	if err := s.track(servers); err != nil {
		closeSockets(pc, l)
		return err
	}
	ends := make(chan error, len(servers))
	for _, srv := range servers {
		go func() { ends <- srv.ActivateAndServe() }()
	}
	var first error
	for range servers {
		err := <-ends
		if errors.Is(err, net.ErrClosed) {
			err = nil
		}
		if first == nil {
			first = err
		}
		closeSockets(pc, l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, srv := range servers {
		delete(s.serving, srv)
	}
	if s.closed {
		return nil
	}
	return first
}

func (s *Server) track(servers []*dns.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for _, srv := range servers {
		s.serving[srv] = true
	}
	return nil
}

// Close closes every socket that is being served.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for srv := range s.serving {
		closeSockets(srv.PacketConn, srv.Listener)
	}
	return nil
}

// closeSockets closes those of a pair that are there. That they are closed
// already is as good.
func closeSockets(pc net.PacketConn, l net.Listener) {
	if pc != nil {
		pc.Close()
	}
	if l != nil {
		l.Close()
	}
}

// handle answers one query.
func (s *Server) handle(w dns.ResponseWriter, q *dns.Msg, vpc string) {
	_, tcp := w.LocalAddr().(*net.TCPAddr)
	reply := s.reply(q, vpc, tcp)
	fit(reply, q, tcp)
	err := w.WriteMsg(reply)
	if err != nil {
		// If it is an upstream's answer that cannot be written, say so.
		err = w.WriteMsg(failure(q, dns.RcodeServerFailure))
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.cfg.Log.Debug("dns: reply not sent", "to", w.RemoteAddr(), "err", err)
	}
}

// reply makes the answer to a query.
func (s *Server) reply(q *dns.Msg, vpc string, tcp bool) *dns.Msg {
	if len(q.Question) != 1 {
		return failure(q, dns.RcodeFormatError)
	}
	question := q.Question[0]
	switch {
	case q.Opcode != dns.OpcodeQuery:
		return failure(q, dns.RcodeNotImplemented)
	case question.Qclass != dns.ClassINET,
		question.Qtype == dns.TypeAXFR, question.Qtype == dns.TypeIXFR:
		return failure(q, dns.RcodeRefused)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	name := strings.ToLower(strings.TrimSuffix(question.Name, "."))
	if addrs, found := s.lookup(ctx, vpc, name); found {
		return own(q, addrs)
	}
	if zone := zoneOf(name); zone != "" {
		m := failure(q, dns.RcodeNameError)
		m.Authoritative = true
		m.Ns = []dns.RR{soa(zone)}
		return m
	}
	return s.forward.ask(q, tcp)
}

// lookup finds the names that are answered here.
func (s *Server) lookup(ctx context.Context, vpc, name string) ([]netip.Addr, bool) {
	if s.cfg.Resolver != nil {
		if addrs, found := s.cfg.Resolver.LookupA(ctx, vpc, name); found {
			return addrs, true
		}
	}
	return built(name)
}

// own makes an authoritative answer of addresses, in random order, so that
// clients that take the first spread.
func own(q *dns.Msg, addrs []netip.Addr) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative, m.RecursionAvailable = true, true
	question := q.Question[0]
	for _, i := range rand.Perm(len(addrs)) {
		a := addrs[i].Unmap()
		header := dns.RR_Header{Name: question.Name, Class: dns.ClassINET, Ttl: TTL}
		any := question.Qtype == dns.TypeANY
		switch {
		case a.Is4() && (any || question.Qtype == dns.TypeA):
			header.Rrtype = dns.TypeA
			m.Answer = append(m.Answer, &dns.A{Hdr: header, A: a.AsSlice()})
		case a.Is6() && (any || question.Qtype == dns.TypeAAAA):
			header.Rrtype = dns.TypeAAAA
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: header, AAAA: a.AsSlice()})
		}
	}
	if len(m.Answer) == 0 {
		// The name is there, records of this type are not.
		zone := zoneOf(strings.ToLower(strings.TrimSuffix(question.Name, ".")))
		if zone == "" {
			zone = strings.TrimSuffix(question.Name, ".")
		}
		m.Ns = []dns.RR{soa(zone)}
	}
	return m
}

func zoneOf(name string) string {
	for _, z := range Zones {
		if name == z || strings.HasSuffix(name, "."+z) {
			return z
		}
	}
	return ""
}

// soa is what lets resolvers keep "there is none", and for how long.
func soa(zone string) dns.RR {
	zone = dns.Fqdn(zone)
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: TTL},
		Ns:  zone, Mbox: "hostmaster." + zone, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: TTL,
	}
}

func failure(q *dns.Msg, code int) *dns.Msg {
	m := new(dns.Msg).SetRcode(q, code)
	m.RecursionAvailable = true
	return m
}

// fit cuts a reply to what the client takes, with the truncation flag if
// records are left out, and gives it an EDNS record if the client sent one.
func fit(reply, q *dns.Msg, tcp bool) {
	size := dns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		reply.SetEdns0(maxUDPSize, opt.Do())
		size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDPSize)
	}
	if tcp {
		size = dns.MaxMsgSize
	}
	truncated := reply.Truncated // by an upstream
	reply.Truncate(size)
	reply.Truncated = reply.Truncated || truncated
}
