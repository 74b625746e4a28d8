package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// names is a Resolver of fixed names, keyed "vpc name".
type names map[string][]netip.Addr

func (n names) LookupA(_ context.Context, vpc, name string) ([]netip.Addr, bool) {
	a, ok := n[vpc+" "+name]
	return a, ok
}

func addrs(all ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range all {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

var testNames = names{
	"vpc-1 web-1.us-east-1.elb.dhow.internal": addrs("127.0.1.5"),
	"vpc-1 web-1.us-east-1.elb.localhost":     addrs("127.0.1.5"),
	"vpc-1 api.shop.local":                    addrs("172.31.0.10", "172.31.0.11", "172.31.0.12"),
	"vpc-1 empty.shop.local":                  nil,
	"vpc-2 api.shop.local":                    addrs("10.0.0.10"),
}

// pair opens a UDP and a TCP socket on one loopback address.
func pair(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		pc.Close()
		if !errors.Is(err, syscall.EADDRINUSE) { // by somebody's TCP
			t.Fatal(err)
		}
	}
}

// start serves s on a pair of loopback sockets and returns their address.
func start(t testing.TB, s *Server, vpc string) string {
	t.Helper()
	pc, l := pair(t)
	done := make(chan error, 1)
	go func() { done <- s.Serve(pc, l, vpc) }()
	t.Cleanup(func() {
		pc.Close()
		l.Close()
		if err := <-done; err != nil {
			t.Error("Serve:", err)
		}
	})
	return pc.LocalAddr().String()
}

// upstream is a resolver of the host's that answers with fn, or not at all if
// fn returns nil.
func upstream(t testing.TB, fn func(q *dns.Msg) *dns.Msg) string {
	t.Helper()
	pc, l := pair(t)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if m := fn(q); m != nil {
			_, tcp := w.LocalAddr().(*net.TCPAddr)
			fit(m, q, tcp)
			w.WriteMsg(m)
		}
	})
	var wg sync.WaitGroup
	for _, srv := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		wg.Go(func() { srv.ActivateAndServe() })
	}
	t.Cleanup(func() {
		pc.Close()
		l.Close()
		wg.Wait()
	})
	return pc.LocalAddr().String()
}

func text(q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

func ask(t testing.TB, network, server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 8 * time.Second}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype), server)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// answers lists the data of a message's answers, in order.
func answers(m *dns.Msg) string {
	var all []string
	for _, rr := range m.Answer {
		all = append(all, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestAnswers(t *testing.T) {
	up := upstream(t, func(q *dns.Msg) *dns.Msg {
		if q.Question[0].Name == "example.org." && q.Question[0].Qtype == dns.TypeA {
			return text(q, "example.org. 300 IN A 192.0.2.80")
		}
		return new(dns.Msg).SetRcode(q, dns.RcodeNameError)
	})
	s := New(Config{Resolver: testNames, Upstreams: []string{up}})
	one, two := start(t, s, "vpc-1"), start(t, s, "vpc-2")
	for _, test := range []struct {
		server, name string
		qtype        uint16
		rcode        int
		want         string
	}{
		{one, "web-1.us-east-1.elb.dhow.internal", dns.TypeA, 0, "127.0.1.5"},
		{one, "Web-1.US-East-1.elb.LOCALHOST", dns.TypeA, 0, "127.0.1.5"},
		{one, "web-1.us-east-1.elb.dhow.internal", dns.TypeAAAA, 0, ""},
		{one, "web-1.us-east-1.elb.dhow.internal", dns.TypeMX, 0, ""},
		{one, "gone.us-east-1.elb.dhow.internal", dns.TypeA, dns.RcodeNameError, ""},
		{one, "elb.localhost", dns.TypeA, dns.RcodeNameError, ""},
		{one, "api.shop.local", dns.TypeA, 0, "172.31.0.10 172.31.0.11 172.31.0.12"},
		{one, "api.shop.local", dns.TypeAAAA, 0, ""}, // not asked outside
		{one, "empty.shop.local", dns.TypeA, 0, ""},
		{two, "api.shop.local", dns.TypeA, 0, "10.0.0.10"},
		{two, "empty.shop.local", dns.TypeA, dns.RcodeNameError, ""}, // the upstream says
		{one, "example.org", dns.TypeA, 0, "192.0.2.80"},
		{one, "none.example.org", dns.TypeA, dns.RcodeNameError, ""},
		{one, "localhost", dns.TypeA, 0, "127.0.0.1"},
		{one, "app.localhost", dns.TypeAAAA, 0, "::1"},
		{one, "ip-10-0-1-5.ec2.internal", dns.TypeA, 0, "10.0.1.5"},
		{one, "ip-10-0-1-5.eu-west-1.compute.internal", dns.TypeA, 0, "10.0.1.5"},
		{one, "ip-10-0-1.ec2.internal", dns.TypeA, dns.RcodeNameError, ""},
		{one, "example.org", dns.TypeAXFR, dns.RcodeRefused, ""},
	} {
		for _, network := range []string{"udp", "tcp"} {
			m := ask(t, network, test.server, test.name, test.qtype)
			if m.Rcode != test.rcode || answers(m) != test.want {
				t.Errorf("%s %s %s: %s %q, want %s %q", network, test.name, dns.TypeToString[test.qtype],
					dns.RcodeToString[m.Rcode], answers(m), dns.RcodeToString[test.rcode], test.want)
			}
			if !m.RecursionAvailable {
				t.Errorf("%s: recursion is not said to be available, some clients warn of that", test.name)
			}
		}
	}
}

func TestTTL(t *testing.T) {
	up := upstream(t, func(q *dns.Msg) *dns.Msg { return text(q, q.Question[0].Name+" 1234 IN A 192.0.2.80") })
	server := start(t, New(Config{Resolver: testNames, Upstreams: []string{up}}), "vpc-1")
	for name, want := range map[string]uint32{"example.org": 1234, "api.shop.local": TTL} {
		if got := ask(t, "udp", server, name, dns.TypeA).Answer[0].Header().Ttl; got != want {
			t.Errorf("%s has TTL %d, want %d", name, got, want)
		}
	}
	soa := ask(t, "udp", server, "gone.elb.dhow.internal", dns.TypeA).Ns
	if len(soa) != 1 || soa[0].(*dns.SOA).Minttl != TTL {
		t.Errorf("a name that is not there has %v, want an SOA with the TTL of that", soa)
	}
}

// A long answer is cut over UDP, with the flag that makes clients ask by TCP.
func TestTruncation(t *testing.T) {
	long := names{}
	for i := range 200 {
		long["vpc-1 many.shop.local"] = append(long["vpc-1 many.shop.local"], netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	up := upstream(t, func(q *dns.Msg) *dns.Msg {
		var all []string
		for i := range 200 {
			all = append(all, fmt.Sprintf("many.example.org. 60 IN A 192.0.2.%d", i))
		}
		return text(q, all...)
	})
	server := start(t, New(Config{Resolver: long, Upstreams: []string{up}}), "vpc-1")
	for _, name := range []string{"many.shop.local", "many.example.org"} {
		m := ask(t, "udp", server, name, dns.TypeA)
		m.Compress = true // as it was sent
		if !m.Truncated || len(m.Answer) >= 200 || m.Len() > dns.MinMsgSize {
			t.Errorf("%s by UDP: %d records, %d bytes, truncated %t", name, len(m.Answer), m.Len(), m.Truncated)
		}
		if m := ask(t, "tcp", server, name, dns.TypeA); m.Truncated || len(m.Answer) != 200 {
			t.Errorf("%s by TCP: %d records, truncated %t", name, len(m.Answer), m.Truncated)
		}
	}
}

func TestEDNS(t *testing.T) {
	up := upstream(t, func(q *dns.Msg) *dns.Msg {
		if o := q.IsEdns0(); o == nil || len(o.Option) > 0 || !o.Do() {
			return new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
		}
		return text(q, "example.org. 300 IN A 192.0.2.80")
	})
	server := start(t, New(Config{Upstreams: []string{up}}), "")
	q := new(dns.Msg).SetQuestion("example.org.", dns.TypeA)
	q.SetEdns0(4096, true)
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
	m, err := dns.Exchange(q, server)
	if err != nil {
		t.Fatal(err)
	}
	if answers(m) != "192.0.2.80" || m.IsEdns0() == nil {
		t.Errorf("got %v", m)
	}
	if m := ask(t, "udp", server, "example.org", dns.TypeA); m.IsEdns0() != nil {
		t.Error("a client without EDNS got an EDNS record")
	}
}

func TestUpstreams(t *testing.T) {
	works := func(q *dns.Msg) *dns.Msg { return text(q, q.Question[0].Name+" 60 IN A 192.0.2.80") }
	refuses := upstream(t, func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeRefused) })
	silent := upstream(t, func(q *dns.Msg) *dns.Msg { return nil })
	liar := upstream(t, func(q *dns.Msg) *dns.Msg {
		m := text(q, "other.example. 60 IN A 192.0.2.66")
		m.Question[0].Name = "other.example."
		return m
	})
	good := upstream(t, works)
	nobody := "127.0.0.1:1"
	for name, test := range map[string]struct {
		servers []string
		rcode   int
	}{
		"first refuses":   {[]string{refuses, good}, dns.RcodeSuccess},
		"first is silent": {[]string{silent, good}, dns.RcodeSuccess},
		"first is gone":   {[]string{nobody, good}, dns.RcodeSuccess},
		"first lies":      {[]string{liar, good}, dns.RcodeSuccess},
		"all refuse":      {[]string{refuses}, dns.RcodeRefused},
		"all gone":        {[]string{nobody}, dns.RcodeServerFailure},
		"all lie":         {[]string{liar}, dns.RcodeServerFailure},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, New(Config{Upstreams: test.servers}), "")
			began := time.Now()
			m := ask(t, "udp", server, "example.org", dns.TypeA)
			if m.Rcode != test.rcode {
				t.Errorf("%s, want %s", dns.RcodeToString[m.Rcode], dns.RcodeToString[test.rcode])
			}
			if took := time.Since(began); took > forwardTimeout+time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// Time of the race: silent servers are given up, the next is asked meanwhile.
func TestRace(t *testing.T) {
	yes := &dns.Msg{}
	silence := func(ctx context.Context) *dns.Msg { <-ctx.Done(); return nil }
	for name, test := range map[string]struct {
		servers []string
		took    time.Duration
		found   bool
	}{
		"first":          {[]string{"fast", "fast"}, 0, true},
		"second":         {[]string{"silent", "fast"}, hedge, true},
		"third":          {[]string{"silent", "silent", "fast"}, 2 * hedge, true},
		"slow, not lost": {[]string{"slow", "silent"}, hedge + hedge/2, true},
		"failing":        {[]string{"fails", "fails", "fast"}, 0, true},
		"none":           {[]string{"silent", "silent"}, forwardTimeout, false},
		"all fail":       {[]string{"fails", "fails"}, 0, false},
		"no servers":     {nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), forwardTimeout)
				defer cancel()
				began := time.Now()
				a := race(ctx, test.servers, hedge, func(ctx context.Context, s string) *dns.Msg {
					switch s {
					case "fast":
						return yes
					case "slow":
						time.Sleep(hedge + hedge/2)
						return yes
					case "fails":
						return nil
					}
					return silence(ctx)
				})
				if (a == yes) != test.found || time.Since(began) != test.took {
					t.Errorf("found %t after %s, want %t after %s", a == yes, time.Since(began), test.found, test.took)
				}
			})
		})
	}
}

// The host's resolv.conf is read again when it changes.
func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	f := newForwarder(New(Config{ResolvConf: path, Log: slog.New(slog.DiscardHandler)}).cfg)
	now := time.Now()
	check := func(want ...string) {
		t.Helper()
		now = now.Add(rereadAfter)
		if got := f.upstreams(now); !slices.Equal(got, want) {
			t.Errorf("upstreams %q, want %q", got, want)
		}
	}
	write := func(content string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	check()
	write("nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org\n", time.Hour)
	check("192.0.2.53:53", "[2001:db8::53]:53")
	write("nameserver 192.0.2.54\n", time.Minute)
	check("192.0.2.54:53")
	if got := f.upstreams(now.Add(rereadAfter / 2)); len(got) != 1 {
		t.Errorf("upstreams %q", got)
	}
	os.Remove(path)
	check()
}

func TestClose(t *testing.T) {
	s := New(Config{})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(pc, nil, "") }()
	c := dns.Client{Timeout: 5 * time.Second}
	if _, _, err := c.Exchange(new(dns.Msg).SetQuestion("localhost.", dns.TypeA), pc.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := <-done; err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
	pc, err = net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(pc, nil, ""); err != ErrClosed {
		t.Errorf("Serve of a closed server: %v, want ErrClosed", err)
	}
}

// An answer is bounded and well-formed, whatever the question.
func FuzzReply(f *testing.F) {
	for _, name := range []string{"web-1.us-east-1.elb.dhow.internal.", "api.shop.local.", "ip-1-2-3-4.ec2.internal.", ".", "example.org."} {
		b, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	edns := new(dns.Msg).SetQuestion("localhost.", dns.TypeANY)
	edns.SetEdns0(65535, true)
	b, err := edns.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	s := New(Config{Resolver: testNames, ResolvConf: filepath.Join(f.TempDir(), "none"), Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, b []byte) {
		q := new(dns.Msg)
		if q.Unpack(b) != nil {
			return
		}
		m := s.reply(q, "vpc-1", false)
		fit(m, q, false)
		if m.Id != q.Id || !m.Response {
			t.Errorf("%v is no answer to %v", m, q)
		}
		packed, err := m.Pack()
		if err != nil {
			t.Fatalf("answer to %v cannot be sent: %v", q, err)
		}
		if len(packed) > maxUDPSize {
			t.Errorf("answer of %d bytes to %v", len(packed), q)
		}
	})
}

func BenchmarkUDP(b *testing.B) {
	server := start(b, New(Config{Resolver: testNames}), "vpc-1")
	c, err := dns.Dial("udp", server)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	q := new(dns.Msg).SetQuestion("api.shop.local.", dns.TypeA)
	for b.Loop() {
		if err := c.WriteMsg(q); err != nil {
			b.Fatal(err)
		}
		if _, err := c.ReadMsg(); err != nil {
			b.Fatal(err)
		}
	}
}
