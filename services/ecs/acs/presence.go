package acs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// seat is a node's place at this server.
type seat struct {
	seen atomic.Int64 // Unix nanoseconds of the last sign of life

	mu      sync.Mutex // held while the store is told
	marked  bool       // the store says connected
	session *session   // the ACS session, nil if there is none
}

func (st *seat) touch() { st.seen.Store(time.Now().UnixNano()) }

// seatOf returns the node's seat, made if absent.
func (s *Server) seatOf(node string) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.seats[node]
	if !ok {
		st = &seat{}
		st.touch()
		s.seats[node] = st
	}
	return st
}

// sit makes c the node's session, in place of an older one, and marks the node
// connected.
func (s *Server) sit(ctx context.Context, c *session) error {
	st := s.seatOf(c.node)
	st.mu.Lock()
	for st != s.seatOf(c.node) { // freed while we waited for it
		st.mu.Unlock()
		st = s.seatOf(c.node)
		st.mu.Lock()
	}
	defer st.mu.Unlock()
	st.touch()
	if st.session != nil {
		st.session.replaced()
	}
	st.session, c.seat = c, st
	if err := cluster.SetConnected(ctx, s.cfg.DB, c.node, true); err != nil {
		return err
	}
	st.marked = true
	return nil
}

// leave gives up c's seat. The node stays connected until it has been silent
// for long enough: agents reconnect as a matter of course.
func (s *Server) leave(c *session) {
	st := c.seat
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.session == c {
		st.session = nil
	}
}

// Run marks silent nodes as disconnected, until ctx ends. Then it ends all
// sessions.
//
// A node that is silent for 60 s is to count as lost, which has its tasks
// stopped and replaced: that belongs here, in silent, once it is built.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	// Nodes that an earlier life of the server left connected get as long as
	// any other to show up.
	err := s.cfg.DB.View(func(r store.Reader) error {
		for n := range cluster.Nodes.List(r, "") {
			if n.Connected {
				s.seatOf(n.ID).marked = true
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	tick := time.NewTicker(s.cfg.Silence / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, node := range s.silent(now) {
				s.disconnect(ctx, node)
			}
			s.metrics.prune(now)
		}
	}
}

// silent returns the nodes that have said nothing for too long.
func (s *Server) silent(now time.Time) (nodes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := now.Add(-s.cfg.Silence).UnixNano()
	for node, st := range s.seats {
		if st.seen.Load() < limit {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// disconnect marks a silent node, ends what is left of its session and frees
// its seat. A store that fails is asked again at the next tick.
func (s *Server) disconnect(ctx context.Context, node string) {
	st := s.seatOf(node)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.seen.Load() >= time.Now().Add(-s.cfg.Silence).UnixNano() {
		return
	}
	if st.session != nil {
		st.session.conn.CloseNow()
	}
	if st.marked {
		s.log.Info("node is silent", "node", node)
		if err := cluster.SetConnected(ctx, s.cfg.DB, node, false); err != nil {
			s.log.Warn("cannot mark a node as disconnected, will retry", "node", node, "err", err)
			return
		}
		st.marked = false
	}
	if st.session == nil {
		s.mu.Lock()
		delete(s.seats, node)
		s.mu.Unlock()
	}
}
