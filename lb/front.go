package lb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// front is an open socket and the listeners behind it: one at a load
// balancer's own address, any number at the addresses that are shared.
type front struct {
	addr   netip.AddrPort
	shared bool
	ln     net.Listener
	routes atomic.Pointer[map[string]*listener] // by label
	server atomic.Pointer[server]
}

// server serves a front's connections. Another idle timeout takes another
// server: net/http fixes it for a server's life.
type server struct {
	http.Server
	feed chan net.Conn
	done chan struct{}
}

// Accept, Close and Addr make a server the listener that it is fed from.
func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.feed:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

type feed struct{ *server }

func (feed) Close() error   { return nil }
func (feed) Addr() net.Addr { return &net.TCPAddr{} }

// defaultIdle is AWS's default of a load balancer's idle timeout.
const defaultIdle = 60 * time.Second

// listen opens the sockets that are wanted and closes those that are not; e.mu
// is held. Without force it only looks again at the extra addresses and at
// sockets that could not be opened.
func (e *Engine) listen(force bool) {
	if e.closed {
		return
	}
	var extra []netip.Addr
	if e.cfg.ExtraAddrs != nil {
		extra = e.cfg.ExtraAddrs()
		slices.SortFunc(extra, netip.Addr.Compare)
	}
	if !force && slices.Equal(extra, e.extra) && !e.missing {
		return
	}
	e.extra, e.missing = extra, false

	want := map[netip.AddrPort]map[string]*listener{}
	add := func(a netip.Addr, l *listener) {
		at := netip.AddrPortFrom(a, uint16(l.port))
		if want[at] == nil {
			want[at] = map[string]*listener{}
		}
		want[at][l.label] = l
	}
	owner := map[netip.AddrPort]*balancer{}
	for _, b := range e.balancers {
		own, _ := netip.ParseAddr(b.row.Address)
		for _, l := range b.listeners {
			add(own, l)
			owner[netip.AddrPortFrom(own, uint16(l.port))] = b
			if time.Now().Before(e.yielded[uint16(l.port)]) {
				e.missing = true // until somebody has it, or did not take it
			} else {
				add(e.cfg.Shared, l)
			}
			for _, a := range extra {
				add(a, l)
			}
		}
	}
	for at, f := range e.fronts {
		if want[at] == nil {
			f.close()
			delete(e.fronts, at)
		}
	}
	for at := range e.complaints {
		if want[at] == nil {
			delete(e.complaints, at)
		}
	}
	for at, routes := range want {
		f := e.fronts[at]
		if f == nil {
			b := owner[at]
			var err error
			if f, err = openFront(at, b == nil); err != nil {
				e.missing = true
				e.complain(b, at, err)
				continue
			}
			e.fronts[at] = f
			delete(e.complaints, at)
			if b != nil {
				delete(b.problems, int32(at.Port()))
			}
		}
		f.route(routes, e.log)
	}
}

// complain notes, and says once, that a socket could not be opened; e.mu is
// held. At a shared address another program may well have the port.
func (e *Engine) complain(b *balancer, at netip.AddrPort, err error) {
	why := err.Error()
	if e.complaints[at] != why {
		e.complaints[at] = why
		if b != nil {
			e.log.Warn("listener is not open at its load balancer's address", "load balancer", b.row.Name, "err", err)
		} else {
			e.log.Info("load balancers are not reachable here", "address", at, "err", err)
		}
	}
	if b != nil {
		b.problems[int32(at.Port())] = why
	}
}

func openFront(at netip.AddrPort, shared bool) (*front, error) {
	ln, err := net.Listen("tcp", at.String())
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("cannot listen on %s: %w", at, err)
	}
	f := &front{addr: at, shared: shared, ln: ln}
	return f, nil
}

// route sets the listeners behind the front and begins to serve them.
func (f *front) route(routes map[string]*listener, log *slog.Logger) {
	f.routes.Store(&routes)
	idle := defaultIdle
	if !f.shared || len(routes) == 1 {
		for _, l := range routes {
			idle = l.plan.Load().idle
		}
	}
	old := f.server.Load()
	if old != nil && old.IdleTimeout == idle {
		return
	}
	s := &server{feed: make(chan net.Conn), done: make(chan struct{})}
	s.Server = http.Server{
		Handler:           f,
		IdleTimeout:       idle,
		ReadHeaderTimeout: idle,
		MaxHeaderBytes:    64 << 10, // AWS's limit of a request's head
		ErrorLog:          stdlog.New(serverLog{log}, "", 0),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, openedKey{}, time.Now())
		},
	}
	go s.Serve(feed{s})
	f.server.Store(s)
	if old == nil {
		go f.accept(log)
	} else {
		go old.end()
	}
}

// serverLog takes what net/http has to say: mostly of clients that went away or
// spoke no HTTP, and of panics.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(p, []byte("panic")) {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, "load balancer: "+string(bytes.TrimSpace(p)))
	return len(p), nil
}

// openedKey is the key of the time at which a client's connection was
// accepted.
type openedKey struct{}

func (f *front) accept(log *slog.Logger) {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			log.Warn("cannot accept connections", "address", f.addr, "err", err)
			time.Sleep(50 * time.Millisecond) // out of files: let some be closed
			continue
		}
		for {
			s := f.server.Load()
			select {
			case s.feed <- c:
			case <-s.done:
				if f.server.Load() == s { // the front is closed
					c.Close()
					return
				}
				continue
			}
			break
		}
	}
}

// end lets requests under way end, for a while, and closes the rest.
func (s *server) end() {
	close(s.done)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}

// close closes the socket; requests under way may end. It returns a channel
// that is closed when they have.
func (f *front) close() <-chan struct{} {
	ended := make(chan struct{})
	f.ln.Close()
	go func() {
		defer close(ended)
		if s := f.server.Load(); s != nil {
			s.end()
		}
	}()
	return ended
}

// close closes all sockets, and waits a little for requests under way.
func (e *Engine) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	var all []<-chan struct{}
	for at, f := range e.fronts {
		all = append(all, f.close())
		delete(e.fronts, at)
	}
	patience := time.After(2 * time.Second)
	for _, ended := range all {
		select {
		case <-ended:
		case <-patience:
			return
		}
	}
}

// Yield gives up a port at the shared address, for a task that publishes it on
// the host: there the load balancers are guests. It reports whether there was
// something to give up. If the port is free ten seconds later they take it
// again.
func (e *Engine) Yield(port uint16) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := netip.AddrPortFrom(e.cfg.Shared, port)
	f := e.fronts[at]
	if f == nil {
		return false
	}
	e.yielded[port] = time.Now().Add(10 * time.Second)
	e.missing = true
	f.close()
	delete(e.fronts, at)
	return true
}

// ServeHTTP gives a request to the listener that it is for.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	routes := *f.routes.Load()
	if !f.shared {
		for _, l := range routes {
			l.ServeHTTP(w, r)
			return
		}
	}
	label, named := labelOf(r.Host)
	if l := routes[label]; named && l != nil {
		l.ServeHTTP(w, r)
		return
	}
	if !named && len(routes) == 1 {
		for _, l := range routes {
			l.ServeHTTP(w, r)
			return
		}
	}
	if named {
		answer(w, http.StatusNotFound, "no load balancer called "+label+" listens on port "+strconv.Itoa(int(f.addr.Port())))
		return
	}
	answer(w, http.StatusNotFound, "several load balancers listen on port "+strconv.Itoa(int(f.addr.Port()))+
		" here; ask by one of their names, NAME-ID.REGION."+HostZone+", or at their own addresses")
}

// Match returns what serves requests for a host, if that is the name of a load
// balancer. On the API's port a load balancer answers as its listener on port
// 80, or else as the one on its lowest port.
func (e *Engine) Match(host string) (http.Handler, bool) {
	label, ok := labelOf(host)
	if !ok {
		return nil, false
	}
	if b, ok := e.labels.Load(label); ok {
		if l := b.(*balancer).main.Load(); l != nil {
			return l, true
		}
		return refusal("load balancer " + label + " has no listener"), true
	}
	return refusal("there is no load balancer called " + label), true
}

type refusal string

func (r refusal) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusNotFound, string(r))
}

// answer gives a plain answer of dhow's own, that AWS has no counterpart for.
func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Server", "dhow")
	w.WriteHeader(status)
	fmt.Fprintln(w, "dhow: "+text)
}
