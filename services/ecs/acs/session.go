package acs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	wire "github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/store"
)

// writeTimeout bounds one write: an agent that reads nothing for so long is gone.
const writeTimeout = 20 * time.Second

// session is one node's ACS connection. Its loop is the only writer of the
// websocket; a second goroutine reads, and never waits for the loop.
type session struct {
	peer
	srv      *Server
	seat     *seat // given by sit
	verify   chan *wire.TaskStopVerificationMessage
	breakOff context.CancelFunc // breaks the connection, also under a write or a close
	kick     chan struct{}      // closed when a newer session takes the seat
	once     sync.Once

	mu     sync.Mutex
	pushed map[string]*push // by task key
}

// serveACS runs a session until either side ends it.
func (s *Server) serveACS(ctx context.Context, p peer) error {
	c := &session{
		peer: p, srv: s,
		verify: make(chan *wire.TaskStopVerificationMessage, 4),
		kick:   make(chan struct{}),
		pushed: make(map[string]*push),
	}
	// Before the manifest is read, so that no change is missed.
	tasks, stopTasks := cluster.Tasks.Notify(s.cfg.DB, "node", p.node)
	defer stopTasks()
	memberships, stopMemberships := cluster.Instances.Notify(s.cfg.DB, "node", p.node)
	defer stopMemberships()
	var err error
	c.seat, err = s.presence.sit(ctx, c.node, c)
	defer c.seat.leave(c)
	if err != nil {
		return err
	}
	s.log.Info("node connected", "node", p.node)
	// A kill may have left the nodes of a new cluster half enrolled.
	if err := cluster.EnrollNode(ctx, s.cfg.DB, p.node); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A read whose context ends breaks the connection, so the reader has one
	// that lasts until the loop has said goodbye.
	reading, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReading()
	c.breakOff = stopReading
	late := context.AfterFunc(c.srv.ctx, func() { time.AfterFunc(goodbyeTime, stopReading) })
	defer late()
	readErr := make(chan error, 1)
	go func() { readErr <- c.read(reading); cancel() }()
	err = c.loop(ctx, tasks, memberships)
	if c.srv.ctx.Err() != nil {
		c.goodbye("The server is shutting down.", websocket.StatusGoingAway)
	}
	stopReading()
	c.conn.CloseNow()
	if rerr := <-readErr; err == nil {
		err = rerr
	}
	return err
}

// loop sends: the manifest, what is due, and what each commit brings.
func (c *session) loop(ctx context.Context, tasks, memberships <-chan struct{}) error {
	if err := c.sendManifest(ctx); err != nil {
		return err
	}
	if err := c.push(ctx, time.Now()); err != nil {
		return err
	}
	if err := c.sendRoles(ctx, time.Now()); err != nil {
		return err
	}
	beat := time.NewTicker(c.srv.cfg.Heartbeat)
	defer beat.Stop()
	renew := time.NewTicker(c.srv.cfg.RoleLife / renewals)
	defer renew.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.kick:
			// Not one of the codes on which agents reconnect at once, so that
			// two that claim one identity do not chase each other.
			c.goodbye("A newer session of this instance took over.", websocket.StatusPolicyViolation)
			return nil
		case <-tasks:
			err = c.push(ctx, time.Now())
		case <-memberships:
			if c.gone() {
				c.goodbye("The container instance was deregistered.", websocket.StatusNormalClosure)
				return nil
			}
		case now := <-renew.C:
			err = c.sendRoles(ctx, now)
		case m := <-c.verify:
			err = c.verifyStops(ctx, m)
		case now := <-beat.C:
			if err = c.send(ctx, &wire.HeartbeatMessage{MessageID: cluster.NewUUID(), Healthy: true}); err == nil {
				err = c.push(ctx, now) // what was not acknowledged
			}
		}
		if err != nil {
			return err
		}
	}
}

func (c *session) send(ctx context.Context, m any) error {
	b, err := wire.Encode(m)
	if err != nil {
		return err
	}
	// A write whose context ends breaks the connection: the server's end must
	// not, for a goodbye follows.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, b)
}

// goodbyeTime is how long an agent has to take the goodbye.
const goodbyeTime = time.Second

// goodbye announces the end of the session and closes it.
func (c *session) goodbye(why string, code websocket.StatusCode) {
	late := time.AfterFunc(goodbyeTime, c.breakOff) // Close waits for the agent's answer
	defer late.Stop()
	if b, err := wire.Encode(&wire.CloseMessage{Message: why}); err == nil {
		// The session's own context may be at its end.
		c.conn.Write(context.Background(), websocket.MessageText, b)
	}
	c.conn.Close(code, why)
}

// replaced ends the session in favour of a newer one.
func (c *session) replaced() { c.once.Do(func() { close(c.kick) }) }

// gone reports whether the instance was deregistered.
func (c *session) gone() bool {
	gone := false
	c.srv.cfg.DB.View(func(r store.Reader) error {
		_, ok := cluster.Nodes.Get(r, c.node)
		gone = !ok
		if key, stock := instanceKey(c.instance); stock && ok {
			_, ok = cluster.Instances.Get(r, key)
			gone = !ok
		}
		return nil
	})
	return gone
}

// read takes the agent's messages. It answers none itself, so that an agent
// that writes before it reads cannot lock both sides up.
func (c *session) read(ctx context.Context) error {
	for {
		_, b, err := c.conn.Read(ctx)
		if err != nil {
			return err
		}
		c.seat.touch()
		m, err := wire.Decode(b)
		if err != nil {
			c.srv.log.Warn("agent sent what cannot be read", "node", c.node, "err", err)
			continue
		}
		switch m := m.(type) {
		case *wire.AckRequest:
			c.acked(m.MessageID)
		case *wire.NackRequest:
			c.srv.log.Warn("agent refused a message", "node", c.node, "reason", m.Reason)
		case *wire.TaskStopVerificationMessage:
			select {
			case c.verify <- m:
			default: // the next manifest asks again
			}
		case *wire.HeartbeatAckRequest, *wire.IAMRoleCredentialsAckRequest:
		default:
			c.srv.log.Warn("agent sent an unexpected message", "node", c.node, "type", fmt.Sprintf("%T", m))
		}
	}
}
