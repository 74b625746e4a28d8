package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// Bury is Send for messages that were sent to the queue of the ARN from, which
// does not take them: receivers see it as their DeadLetterQueueSourceArn, and a
// message move task takes them back there. They come without delay; where this
// queue is FIFO, a message without a group is of the group "dead-letters", and
// one that is sent again within the deduplication interval comes once.
func (q *Queue) Bury(ctx context.Context, from string, messages ...Message) ([]Sent, error) {
	dead := make([]Message, len(messages))
	for i, m := range messages {
		m.deadLetterOf, m.Delay = from, nil
		if q.FIFO {
			m.Dedup = deadDedup(from, &m)
			if m.Group == "" {
				m.Group = "dead-letters"
			}
		} else {
			m.Dedup = ""
		}
		dead[i] = m
	}
	return q.Send(ctx, dead...)
}

// deadDedup is a deduplication id that does not meet those of other sources.
func deadDedup(from string, m *Message) string {
	id := m.Dedup
	if id == "" {
		id = "body " + m.Body
	}
	sum := sha256.Sum256([]byte(from + "\x00" + m.Group + "\x00" + id))
	return hex.EncodeToString(sum[:])
}
