package store

import (
	"context"
	"expvar"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// elect waits until the only member is its cluster's leader. It need not wait
// for an election's timeout: a retiring leader ends its follower's wait with a
// message, and so can we.
func (s *server) elect(ctx context.Context) error {
	id := uint64(s.etcd.MemberID())
	again := time.NewTicker(3 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-s.etcd.ReadyNotify():
			return nil
		case err := <-s.failed:
			s.broken.Store(true)
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
		if s.etcd.Leader() == 0 && settled(id) {
			m := raftpb.Message{From: &id, To: &id, Type: raftpb.MsgTimeoutNow.Enum()}
			if err := s.etcd.Process(ctx, &m); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// settled reports whether raft knows that etcd has applied the log that it
// started with. An election before may need entries that etcd has just dropped
// from memory, and ends in a panic. Raft's state is to be had by expvar alone,
// for the last server that the process started.
func settled(id uint64) bool {
	f, ok := expvar.Get("raft.status").(expvar.Func)
	if !ok {
		return false
	}
	st, ok := f.Value().(raft.Status)
	return ok && st.ID == id && st.Applied >= st.GetCommit()
}
