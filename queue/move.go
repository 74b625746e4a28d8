package queue

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
)

// Move is a message move task: the way back from a dead-letter queue.
type Move struct {
	Handle      string // TaskHandle
	Source      string // ARN
	Destination string // ARN; "" is the queue that each message came from
	PerSecond   int    // at most; 0: as fast as it goes
	Status      string // one of the Moves… below
	Failure     string // a code of AWS's, where it failed
	ToMove      int64  // messages, when it started
	Moved       int64  // to another queue: what is not taken there goes to the source's end
	Started     int64  // milliseconds
}

// States of a move task.
const (
	MoveRunning    = "RUNNING"
	MoveCompleted  = "COMPLETED"
	MoveCancelling = "CANCELLING"
	MoveCancelled  = "CANCELLED"
	MoveFailed     = "FAILED"
)

// Codes of a failed task.
const (
	failNoQueue  = "AWS.SimpleQueueService.NonExistentQueue"
	failNoSource = "CouldNotDetermineMessageSource"
)

var errNoSource = errors.New("queue: the message came from no other queue")

var moves = store.NewTable("queue.moves", func(m Move) string { return m.Handle },
	store.Index[Move]{Name: "source", Values: func(m Move) []string { return []string{m.Source} }})

// keptMoves is how many tasks of a source are remembered, as at AWS.
const keptMoves = 10

func (m *Move) active() bool { return m.Status == MoveRunning || m.Status == MoveCancelling }

// scope is where the task's source is.
func (m *Move) scope() cluster.Scope {
	a, _ := arn.Parse(m.Source) // of a queue that there was
	return cluster.Scope{Account: a.Account, Region: a.Region}
}

// StartMove starts a task. The source must be some queue's dead-letter queue
// (ErrNoDeadLetter) and both queues exist (ErrNoQueue); a source has one task at
// a time (ErrTaskRunning).
func (e *Engine) StartMove(ctx context.Context, source, destination string, perSecond int) (Move, error) {
	q, err := e.QueueByARN(source)
	if err != nil {
		return Move{}, err
	}
	if destination != "" {
		if _, err := e.QueueByARN(destination); err != nil {
			return Move{}, err
		}
	}
	counts, err := q.Counts(ctx)
	if err != nil {
		return Move{}, err
	}
	m := Move{Handle: newTaskHandle(source), Source: source, Destination: destination, PerSecond: perSecond,
		Status: MoveRunning, ToMove: int64(counts.Visible), Started: millis()}
	err = e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if !e.isDead(tx, q, source) {
			return ErrNoDeadLetter
		}
		old := slices.Collect(moves.By(tx, "source", source))
		slices.SortFunc(old, func(a, b Move) int { return int(b.Started - a.Started) })
		for i, o := range old {
			if o.active() {
				return ErrTaskRunning
			}
			if i >= keptMoves-1 {
				moves.Delete(tx, o.Handle)
			}
		}
		// All who start a task of this source read and write the queue's row.
		d, ok := Definitions.Get(tx, q.key())
		if !ok {
			return ErrNoQueue
		}
		if err := Definitions.Put(tx, d); err != nil {
			return err
		}
		return moves.Put(tx, m)
	})
	if err == nil {
		e.lookAtTasks()
	}
	return m, err
}

// isDead reports whether some queue has q, of that ARN, for its dead letters.
func (e *Engine) isDead(r store.Reader, q *Queue, arn string) bool {
	for range Definitions.By(r, "dead", arn) {
		return true
	}
	if e.cfg.DeadLetter == nil {
		return false
	}
	for d := range Definitions.List(r, q.Scope.Prefix()) {
		if e.cfg.DeadLetter(&d) == arn {
			return true
		}
	}
	return false
}

func newTaskHandle(source string) string {
	var id [16]byte
	newUUID(&id)
	b, _ := json.Marshal(map[string]string{"taskId": formatUUID(id), "sourceArn": source})
	return base64.StdEncoding.EncodeToString(b)
}

func (e *Engine) lookAtTasks() {
	select {
	case e.tasks <- struct{}{}:
	default:
	}
}

// CancelMove ends a running task of a scope's: what has moved stays moved.
// ErrNoTask, ErrTaskEnded.
func (e *Engine) CancelMove(ctx context.Context, scope cluster.Scope, handle string) (m Move, err error) {
	err = e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		var ok bool
		if m, ok = moves.Get(tx, handle); !ok || m.scope() != scope {
			return ErrNoTask
		}
		if m.Status != MoveRunning {
			return ErrTaskEnded
		}
		m.Status = MoveCancelling
		return moves.Put(tx, m)
	})
	return m, err
}

// Moves are the newest tasks of a source, newest first.
func (e *Engine) Moves(source string, max int) (list []Move) {
	e.cfg.DB.View(func(r store.Reader) error {
		list = slices.Collect(moves.By(r, "source", source))
		return nil
	})
	slices.SortStableFunc(list, func(a, b Move) int { return int(b.Started - a.Started) })
	return list[:min(max, len(list))]
}

// moveTasks runs the tasks of all sources.
func (e *Engine) moveTasks(ctx context.Context) {
	running := map[string]bool{}
	ended := make(chan string, 16)
	for {
		var list []Move
		e.cfg.DB.View(func(r store.Reader) error {
			list = slices.Collect(moves.List(r, ""))
			return nil
		})
		for _, m := range list {
			if m.active() && !running[m.Handle] {
				running[m.Handle] = true
				e.work.Go(func() {
					e.runMove(ctx, m)
					select {
					case ended <- m.Handle:
					case <-ctx.Done():
					}
				})
			}
		}
		select {
		case <-ctx.Done():
			return
		case h := <-ended:
			delete(running, h)
		case <-e.tasks:
		}
	}
}

// runMove runs one task to its end, or the end of the term.
func (e *Engine) runMove(ctx context.Context, m Move) {
	r := &mover{e: e, Move: m}
	for ctx.Err() == nil {
		status, failure := r.step(ctx)
		if status != "" {
			if r.save(ctx, status, failure) == nil {
				return
			}
			r.pause(ctx, time.Second)
		}
	}
}

// mover is a task that runs.
type mover struct {
	e *Engine
	Move
	at    time.Time // of the last save
	below uint64    // what comes later is not this task's
	back  int       // of the messages that are being moved, that go to the source's end
}

// step moves some messages. A status says that the task is at its end.
func (r *mover) step(ctx context.Context) (status, failure string) {
	var now Move
	r.e.cfg.DB.View(func(v store.Reader) error { now, _ = moves.Get(v, r.Handle); return nil })
	if now.Status != MoveRunning {
		return MoveCancelled, ""
	}
	n, pause := 100, time.Duration(0)
	if r.PerSecond > 0 {
		n = max(1, r.PerSecond/10)
		pause = time.Second * time.Duration(n) / time.Duration(r.PerSecond)
	}
	source, err := r.e.QueueByARN(r.Source)
	if err != nil {
		return MoveFailed, failNoQueue
	}
	s, err := source.open(ctx)
	if err != nil {
		r.pause(ctx, time.Second)
		return "", ""
	}
	if r.below == 0 {
		r.below = s.newest() + 1
	}
	seqs := s.pull(&source.Definition, n, r.below)
	if len(seqs) == 0 {
		return MoveCompleted, ""
	}
	r.back = 0
	err = s.transfer(ctx, &source.Definition, seqs, forRedrive, r.target)
	if err == nil {
		if r.Moved += int64(len(seqs) - r.back); time.Since(r.at) > 200*time.Millisecond {
			r.save(ctx, "", "")
		}
		r.pause(ctx, pause)
		return "", ""
	}
	s.giveUp(ctx, &source.Definition, seqs, err)
	switch {
	case errors.Is(err, ErrNoQueue):
		return MoveFailed, failNoQueue
	case errors.Is(err, errNoSource):
		return MoveFailed, failNoSource
	}
	r.e.log.Warn("a message move task met an error, will retry", "source", r.Source, "err", err)
	r.pause(ctx, time.Second)
	return "", ""
}

func (r *mover) target(p *payload) (*Queue, error) {
	arn := r.Destination
	if arn == "" {
		arn = p.deadLetterOf
	}
	if arn == "" {
		return nil, errNoSource
	}
	to, err := r.e.QueueByARN(arn)
	if err == nil && r.e.cfg.Admit != nil && r.e.cfg.Admit(r.Source, &to.Definition, &p.Message) != nil {
		r.back++
		return r.e.QueueByARN(r.Source)
	}
	return to, err
}

func (r *mover) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// save writes the task's progress, and its end if there is a status.
func (r *mover) save(ctx context.Context, status, failure string) error {
	err := r.e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		m, ok := moves.Get(tx, r.Handle)
		if !ok {
			return nil
		}
		m.Moved = r.Moved
		if status != "" {
			m.Status, m.Failure = status, failure
		}
		return moves.Put(tx, m)
	})
	if err == nil {
		r.at = time.Now()
	}
	return err
}

// newest is the number of the newest message there has been.
func (s *state) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.seen
}

// pull turns up to n ready messages with numbers below a bound to moving.
func (s *state) pull(d *Definition, n int, below uint64) (seqs []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil
	}
	s.advance(d, millis())
	x := s.index
	take := func(seq uint64, e *entry) {
		x.turn(seq, e, moving)
		s.moving[seq] = ""
		seqs = append(seqs, seq)
	}
	for len(seqs) < n {
		g, ok := x.eldest()
		if !ok {
			break
		}
		seq := x.groups.at(g).head
		if seq >= below {
			break
		}
		for seq != 0 && seq < below && len(seqs) < n {
			e := x.get(seq)
			if e.phase != ready {
				break
			}
			next := e.next
			if take(seq, e); !x.fifo {
				break
			}
			seq = next
		}
	}
	if len(seqs) == 0 && !x.fifo { // older ones may be behind newer ones that came back
		x.below(below, func(seq uint64, e *entry) bool {
			if e.phase == ready {
				take(seq, e)
			}
			return len(seqs) < n
		})
	}
	return seqs
}
