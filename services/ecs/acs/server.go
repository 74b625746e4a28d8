// Package acs is the control plane's end of the protocol that nodes speak: the
// ACS websocket, which hands each node the tasks placed on it, and the TCS
// websocket, which takes their metrics and health. It serves dhow's own agents
// and stock ECS agents alike.
package acs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/identity"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// Config is what the platform tells the server.
type Config struct {
	DB  *store.DB
	Log *slog.Logger
	// Auth decides who connects; nil lets everybody in, as any instance.
	Auth awsapi.Authorizer
	// Account is the account that a request's credential is of: an instance of
	// another account is not let in by it. Nil asks for none.
	Account func(*http.Request) string
	// Issuer makes the credentials of tasks' roles. Nil: tasks get none.
	Issuer *identity.Issuer
	// RoleLife is how long these credentials are good, unless their task ends
	// before; 6 h if 0, as at AWS.
	RoleLife time.Duration
	// Heartbeat is the time between two heartbeats of a session; 9 s if 0. It
	// must be well below Silence: an agent's answer to it is its sign of life.
	Heartbeat time.Duration
	// Silence is how long a node may say nothing before it counts as
	// disconnected; 20 s if 0. Nothing else comes of it.
	Silence time.Duration
	// Lost is how long a node may say nothing before its tasks are given up;
	// three times Silence if 0.
	Lost time.Duration
	// Resend is how long a message may stay without an answer before it is
	// sent again, twice as long each time; 10 s if 0.
	Resend time.Duration
}

// Server serves /ws under an ACS path and under a TCS path: mount it at
// /_dhow/acs/ and at /_dhow/tcs/.
type Server struct {
	cfg    Config
	log    *slog.Logger
	seq    atomic.Int64
	ctx    context.Context
	cancel context.CancelFunc
	live   sync.WaitGroup // sessions

	presence presence
	metrics  metrics
}

// New returns a server over the store. Run it, too.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 9 * time.Second
	}
	if c.Silence == 0 {
		c.Silence = 20 * time.Second
	}
	if c.Lost == 0 {
		c.Lost = 3 * c.Silence
	}
	if c.RoleLife == 0 {
		c.RoleLife = 6 * time.Hour
	}
	if c.Resend == 0 {
		c.Resend = 10 * time.Second
	}
	s := &Server{cfg: c, log: c.Log}
	s.presence = presence{
		log: c.Log, silence: c.Silence, lost: c.Lost, giveUp: s.giveUp, seats: make(map[string]*seat),
		connect: func(ctx context.Context, node string, connected bool) error {
			return cluster.SetConnected(ctx, c.DB, node, connected)
		},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// ServeHTTP accepts an agent's websocket.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/acs/ws"):
		q := r.URL.Query()
		s.accept(w, r, q.Get("clusterArn"), q.Get("containerInstanceArn"), s.serveACS)
	case strings.HasSuffix(r.URL.Path, "/tcs/ws"):
		q := r.URL.Query()
		s.accept(w, r, q.Get("cluster"), q.Get("containerInstance"), s.serveTCS)
	default:
		http.NotFound(w, r)
	}
}

// peer is the node at the other end of a websocket.
type peer struct {
	conn              *websocket.Conn
	cluster, instance string // as the agent gave them
	node              string
}

// maxFrame bounds what an agent may send in one message.
const maxFrame = 1 << 20

// accept does what both websockets begin with: who is it, and may it connect.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, clusterRef, instance string, serve func(context.Context, peer) error) {
	if s.ctx.Err() != nil {
		(&refusal{http.StatusServiceUnavailable, "ServerException", "The server is shutting down."}).write(w)
		return
	}
	p := peer{cluster: clusterRef, instance: instance}
	var refused *refusal
	var err error
	p.node, err = s.admit(r, instance)
	if errors.As(err, &refused) {
		refused.write(w)
		return
	}
	if err != nil {
		s.log.Warn("agent cannot be admitted", "instance", instance, "err", err)
		(&refusal{http.StatusInternalServerError, "ServerException", "Service Unavailable"}).write(w)
		return
	}
	// An agent sends no Origin; Accept refuses browsers from elsewhere.
	p.conn, err = websocket.Accept(w, r, nil)
	if err != nil {
		s.log.Info("agent's websocket handshake failed", "node", p.node, "err", err)
		return
	}
	defer p.conn.CloseNow()
	p.conn.SetReadLimit(maxFrame)
	s.live.Add(1)
	defer s.live.Done()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	err = serve(ctx, p)
	s.log.Debug("agent's session ended", "node", p.node, "path", r.URL.Path, "err", err)
}

// refusal is a handshake error in the form that agents read: a JSON object
// whose one member is the exception. InactiveInstanceException makes a stock
// agent wait an hour.
type refusal struct {
	status             int
	exception, message string
}

func (e *refusal) Error() string { return e.exception + ": " + e.message }

func (e *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	json.NewEncoder(w).Encode(map[string]string{e.exception: e.message})
}

// admit returns the id of the node that instance names: a dhow node itself, or
// the machine of a registered container instance.
func (s *Server) admit(r *http.Request, instance string) (node string, err error) {
	call := &awsapi.Call{Service: "ecs", Operation: "Poll"}
	if s.cfg.Auth != nil {
		if err := s.cfg.Auth.Authorize(r, call); err != nil {
			s.log.Info("agent refused", "instance", instance, "err", err)
			return "", &refusal{http.StatusForbidden, "AccessDeniedException", "The agent's credentials were not accepted."}
		}
	}
	id, own := cluster.ParseNodeARN(instance)
	owner := ""
	err = s.cfg.DB.View(func(r store.Reader) error {
		if !own {
			key, ok := instanceKey(instance)
			if !ok {
				return &refusal{http.StatusBadRequest, "InvalidInstanceException", "The container instance ARN is malformed."}
			}
			i, ok := cluster.Instances.Get(r, key)
			if !ok {
				return &refusal{http.StatusBadRequest, "InactiveInstanceException", "The container instance is not registered."}
			}
			id, owner = i.Node, i.Account
		}
		n, ok := cluster.Nodes.Get(r, id)
		if !ok {
			return &refusal{http.StatusBadRequest, "InactiveInstanceException", "The node is not registered."}
		}
		own = own || !n.External // by the name of one of its instances
		return nil
	})
	if err != nil {
		return "", err
	}
	if !own && s.cfg.Account != nil && owner != s.cfg.Account(r) {
		return "", &refusal{http.StatusForbidden, "AccessDeniedException", "The container instance is of another account than the agent's credentials."}
	}
	// A node's own principal speaks for that node alone, and nobody else
	// speaks for a dhow node, whose session gets the tasks of all accounts.
	caller, isNode := cluster.ParseNodeARN(call.Principal)
	if s.cfg.Auth != nil && (isNode || own) && caller != id {
		return "", &refusal{http.StatusForbidden, "AccessDeniedException", "The agent may connect as its own node only."}
	}
	return id, nil
}

// nextSeq returns a number above all earlier ones, also above those of this
// server's earlier lives: milliseconds of the clock.
func (s *Server) nextSeq() int64 {
	for {
		last := s.seq.Load()
		next := max(last+1, time.Now().UnixMilli())
		if s.seq.CompareAndSwap(last, next) {
			return next
		}
	}
}

// Close ends all sessions; agents connect again when there is a server again.
func (s *Server) Close() error {
	s.cancel()
	s.live.Wait()
	return nil
}
