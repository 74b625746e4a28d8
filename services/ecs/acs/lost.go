package acs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Run watches for silent and lost nodes until ctx ends. Then it ends all
// sessions.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	err := s.cfg.DB.View(func(r store.Reader) error {
		for n := range cluster.Nodes.List(r, "") {
			s.presence.expect(n.ID, n.Connected)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.presence.run(ctx, s.metrics.prune)
	return nil
}

// giveUpBatch bounds how many tasks one transaction gives up: each is three
// rows.
const giveUpBatch = 30

// giveUp ends the tasks of a node that is lost, so that services replace them.
// What they held there is kept for them: the node may only be cut off. When it
// comes back it is told to stop them. It reports false if the node has left.
func (s *Server) giveUp(ctx context.Context, node string) (there bool, err error) {
	var n cluster.Node
	var keys []string
	err = s.cfg.DB.View(func(r store.Reader) error {
		if n, there = cluster.Nodes.Get(r, node); n.Connected {
			return nil // another server hears it
		}
		for t := range cluster.Tasks.By(r, "node", node) {
			keys = append(keys, t.Key())
		}
		return nil
	})
	if err != nil {
		return there, err
	}
	for batch := range slices.Chunk(keys, giveUpBatch) {
		err := s.cfg.DB.Update(ctx, func(tx *store.Tx) error {
			now := time.Now().UTC()
			for _, k := range batch {
				t, ok := cluster.Tasks.Get(tx, k)
				if !ok || t.Node != node {
					continue
				}
				if err := cluster.GiveUp(tx, t, s.lostReason(n, t), now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return there, err
		}
	}
	return there, nil
}

// lostReason follows AWS's "Host EC2 (instance ID) terminated."; FARGATE shows
// no instance.
func (s *Server) lostReason(n cluster.Node, t cluster.Task) string {
	host := "Host"
	if t.LaunchType != types.LaunchTypeFargate {
		host = fmt.Sprintf("Host EC2 (instance %s)", n.InstanceID())
	}
	return fmt.Sprintf("%s is lost: its agent was silent for %v.", host, s.cfg.Lost)
}
