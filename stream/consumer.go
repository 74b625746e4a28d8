package stream

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Register records a consumer.
func (e *Engine) Register(ctx context.Context, ref Ref, name string, tags map[string]string) (c Consumer, err error) {
	c = Consumer{Scope: ref.Scope, Stream: ref.Name, Name: name, Status: types.ConsumerStatusCreating,
		CreatedAt: e.now().UTC().Truncate(time.Second), Tags: tags}
	err = e.db.Update(ctx, func(tx *store.Tx) error {
		s, err := find(tx, ref)
		if err != nil {
			return err
		}
		if !serves(s) {
			return busy(s)
		}
		if _, ok := Consumers.Get(tx, c.Key()); ok {
			return refuse(InUse, "Consumer %s under stream %s of account %s already exists.", name, ref.Name, ref.Account)
		}
		n := 0
		for range Consumers.List(tx, ref.Scope.Prefix(ref.Name)) {
			n++
		}
		if n >= maxConsumers {
			return refuse(LimitExceeded, "Stream %s under account %s has %d registered consumers, which is the limit.", ref.Name, ref.Account, maxConsumers)
		}
		return Consumers.Put(tx, c)
	})
	return c, err
}

// ConsumersOf lists the consumers of a stream by name.
func (e *Engine) ConsumersOf(ref Ref) (s Stream, out []Consumer, err error) {
	e.db.View(func(r store.Reader) error {
		if s, err = find(r, ref); err == nil {
			out = slices.Collect(Consumers.List(r, ref.Scope.Prefix(ref.Name)))
		}
		return nil
	})
	return s, out, err
}

// ParseConsumerARN takes a consumer's ARN apart.
func ParseConsumerARN(arn string) (ref Ref, name string, created int64, err error) {
	bad := refuse(Invalid, "%s is not the ARN of a stream's consumer.", arn)
	p := strings.SplitN(arn, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "kinesis" {
		return ref, "", 0, bad
	}
	rest, ok := strings.CutPrefix(p[5], "stream/")
	stream, rest, ok2 := strings.Cut(rest, "/consumer/")
	name, stamp, ok3 := strings.Cut(rest, ":")
	if created, err = strconv.ParseInt(stamp, 10, 64); !ok || !ok2 || !ok3 || err != nil {
		return ref, "", 0, bad
	}
	return Ref{cluster.Scope{Account: p[4], Region: p[3]}, stream}, name, created, nil
}

// ConsumerOf finds a consumer by its ARN.
func (e *Engine) ConsumerOf(arn string) (c Consumer, err error) {
	ref, name, created, err := ParseConsumerARN(arn)
	if err != nil {
		return c, err
	}
	e.db.View(func(r store.Reader) error {
		c, err = findConsumer(r, ref, name)
		return nil
	})
	if err == nil && c.CreatedAt.Unix() != created {
		err = noConsumer(ref, name)
	}
	return c, err
}

func findConsumer(r store.Reader, ref Ref, name string) (Consumer, error) {
	c, ok := Consumers.Get(r, ref.Scope.Key(ref.Name, name))
	if !ok {
		return c, noConsumer(ref, name)
	}
	return c, nil
}

func noConsumer(ref Ref, name string) error {
	return refuse(NotFound, "Consumer %s under stream %s of account %s not found.", name, ref.Name, ref.Account)
}

// Deregister records that a consumer goes; its subscriptions end.
func (e *Engine) Deregister(ctx context.Context, ref Ref, name string) error {
	_, err := e.ChangeConsumer(ctx, ref, name, func(c *Consumer) error {
		c.Status = types.ConsumerStatusDeleting
		return nil
	})
	return err
}

// ChangeConsumer applies a change to a consumer's row.
func (e *Engine) ChangeConsumer(ctx context.Context, ref Ref, name string, change func(*Consumer) error) (c Consumer, err error) {
	err = e.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := find(tx, ref); err != nil {
			return err
		}
		if c, err = findConsumer(tx, ref, name); err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		return Consumers.Put(tx, c)
	})
	return c, err
}

// inactive is AWS's sentence for a consumer that is not ACTIVE.
func inactive(c Consumer) error {
	return refuse(InUse, "Consumer %s with creation timestamp %d under stream: %s, account %s is not in ACTIVE status.", c.Name, c.CreatedAt.Unix(), c.Stream, c.Account)
}
