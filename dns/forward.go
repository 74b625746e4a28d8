package dns

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	forwardTimeout = 5 * time.Second // of a query in all, as resolvers' own
	tryTimeout     = 3 * time.Second // of one upstream
	hedge          = time.Second     // without an answer, the next is asked, too
	tries          = 2               // of each upstream
	maxForwards    = 1024            // at once
	rereadAfter    = 2 * time.Second // resolv.conf is looked at no more often
)

// forwarder asks the host's resolvers.
type forwarder struct {
	log   *slog.Logger
	path  string
	slots chan struct{} // one for each query under way

	mu      sync.Mutex
	servers []string
	fixed   bool
	looked  time.Time
	changed time.Time // of the file that servers is from
}

func newForwarder(cfg Config) *forwarder {
	return &forwarder{
		log: cfg.Log, path: cfg.ResolvConf, slots: make(chan struct{}, maxForwards),
		servers: cfg.Upstreams, fixed: len(cfg.Upstreams) > 0,
	}
}

// upstreams returns the resolvers to ask, in order.
func (f *forwarder) upstreams(now time.Time) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fixed || now.Sub(f.looked) < rereadAfter && !f.looked.IsZero() {
		return f.servers
	}
	f.looked = now
	info, err := os.Stat(f.path)
	if err == nil && info.ModTime().Equal(f.changed) {
		return f.servers
	}
	var conf *dns.ClientConfig
	if err == nil {
		conf, err = dns.ClientConfigFromFile(f.path)
	}
	if err != nil {
		f.log.Warn("dns: the host's resolvers are not known, names outside cannot be resolved", "file", f.path, "err", err)
		f.servers, f.changed = nil, time.Time{}
		return nil
	}
	f.servers = nil
	for _, s := range conf.Servers {
		f.servers = append(f.servers, net.JoinHostPort(s, conf.Port))
	}
	f.changed = info.ModTime()
	return f.servers
}

// ask passes a query on and returns the first good answer. Where there is
// none in time it is SERVFAIL, or what an upstream said instead.
func (f *forwarder) ask(q *dns.Msg, tcp bool) *dns.Msg {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return failure(q, dns.RcodeServerFailure)
	}
	ctx, cancel := context.WithTimeout(context.Background(), forwardTimeout)
	defer cancel()
	servers := f.upstreams(time.Now())
	var plan []string
	for range tries {
		plan = append(plan, servers...)
	}
	answer := race(ctx, plan, hedge, func(ctx context.Context, server string) *dns.Msg {
		return exchange(ctx, query(q), server, tcp)
	})
	if answer == nil {
		return failure(q, dns.RcodeServerFailure)
	}
	return relay(q, answer)
}

// race asks one server after the other, the next when one fails or after a
// pause, and returns the first good answer, else the last bad one, else nil.
func race(ctx context.Context, servers []string, pause time.Duration, ask func(context.Context, string) *dns.Msg) *dns.Msg {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan *dns.Msg, len(servers))
	running := 0
	var bad *dns.Msg
	for next := 0; next < len(servers) || running > 0; {
		var later <-chan time.Time
		if next < len(servers) {
			server := servers[next]
			next++
			running++
			go func() { answers <- ask(ctx, server) }()
			if next < len(servers) {
				timer := time.NewTimer(pause)
				defer timer.Stop() // few: as many as servers
				later = timer.C
			}
		}
		select {
		case a := <-answers:
			running--
			if a != nil && good(a) {
				return a
			}
			if a != nil {
				bad = a
			}
		case <-later:
		case <-ctx.Done():
			return bad
		}
	}
	return bad
}

// good tells an answer to pass on from one that another server may do better.
func good(a *dns.Msg) bool {
	return a.Rcode == dns.RcodeSuccess || a.Rcode == dns.RcodeNameError
}

// query makes the question to ask of q: flags and question, and nothing else
// of what the client sent.
func query(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.Id = dns.Id()
	m.RecursionDesired = q.RecursionDesired
	m.CheckingDisabled, m.AuthenticatedData = q.CheckingDisabled, q.AuthenticatedData
	m.Question = q.Question
	opt := q.IsEdns0()
	m.SetEdns0(maxUDPSize, opt != nil && opt.Do())
	return m
}

func exchange(ctx context.Context, m *dns.Msg, server string, tcp bool) *dns.Msg {
	c := &dns.Client{Net: "udp", Timeout: tryTimeout, UDPSize: maxUDPSize}
	if tcp {
		c.Net = "tcp"
	}
	answer, _, err := c.ExchangeContext(ctx, m, server)
	if err != nil || answer == nil || len(answer.Question) != 1 {
		return nil
	}
	asked, got := m.Question[0], answer.Question[0]
	if !strings.EqualFold(asked.Name, got.Name) || asked.Qtype != got.Qtype || asked.Qclass != got.Qclass {
		return nil
	}
	return answer
}

// relay makes an upstream's answer the reply to q.
func relay(q, answer *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetRcode(q, answer.Rcode)
	m.RecursionAvailable = true
	m.AuthenticatedData, m.Truncated = answer.AuthenticatedData, answer.Truncated
	m.Answer, m.Ns = answer.Answer, answer.Ns
	for _, rr := range answer.Extra {
		if _, edns := rr.(*dns.OPT); !edns { // it is between us and the upstream
			m.Extra = append(m.Extra, rr)
		}
	}
	return m
}
