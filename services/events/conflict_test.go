package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// rival are contracts whose check of tags, which is asked within the change of a
// bus, lets another server change the same bus first.
type rival struct {
	broker.Contracts
	change func() error
}

func (r *rival) CheckTags(context.Context, broker.Target, map[string]string, broker.Sender) error {
	return r.change()
}

func (r *rival) Check(context.Context, broker.Target, wire.Message, broker.Sender) (v broker.Verdict) {
	return v
}

var here = cluster.Scope{Account: account, Region: region}

// A call that each time loses against another server's changes is answered by
// ConcurrentModificationException, and leaves what that one wrote.
func TestConcurrentModification(t *testing.T) {
	dbs := storetest.Shared(t, 2)
	f := newOver(t, dbs[0], nil)
	f.bus("b")
	storetest.Await(t, dbs[1], bus.Buses, func(r store.Reader) bool { _, ok := bus.FindBus(r, here, "b"); return ok })
	changes := 0
	r := &rival{}
	f.gate.Contracts = r
	there := func() error {
		changes++
		return dbs[1].Update(f.ctx, func(tx *store.Tx) error {
			b, ok := bus.FindBus(tx, here, "b")
			if !ok {
				return errors.New("the other server does not see the bus")
			}
			b.Description = fmt.Sprint("change ", changes)
			return bus.Buses.Put(tx, b)
		})
	}
	tag := &eventbridge.TagResourceInput{ResourceARN: ptr(busARN("b")), Tags: []types.Tag{{Key: ptr(broker.SchemaTag), Value: ptr("shop/order")}}}
	r.change = there
	_, err := f.client.TagResource(f.ctx, tag)
	const sentence = "There is concurrent modification on a rule, target, archive, or replay."
	refused(t, err, "ConcurrentModificationException", sentence)
	var typed *types.ConcurrentModificationException
	if !errors.As(err, &typed) {
		t.Errorf("%T", err)
	}
	storetest.Await(t, dbs[0], bus.Buses, func(r store.Reader) bool {
		b, _ := bus.FindBus(r, here, "b")
		return b.Description == fmt.Sprint("change ", changes) && len(b.Tags) == 0
	})
	r.change = func() error { return nil }
	_, err = f.client.TagResource(f.ctx, tag)
	must(t, err)
	r.change = there
	_, err = f.client.UpdateEventBus(f.ctx, &eventbridge.UpdateEventBusInput{Name: ptr("b"), DeadLetterConfig: &types.DeadLetterConfig{Arn: ptr(queueARN("dead"))}})
	refused(t, err, "ConcurrentModificationException", sentence)
}

// Callers that change one rule at once, by two servers, take turns: none is
// refused and nothing is lost.
func TestTargetsAtOnce(t *testing.T) {
	dbs := storetest.Shared(t, 2)
	servers := []*fixture{newOver(t, dbs[0], nil), newOver(t, dbs[1], nil)}
	_, err := servers[0].client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: ptr("r"), EventPattern: ptr(updates)})
	must(t, err)
	storetest.Await(t, dbs[1], bus.Rules, func(r store.Reader) bool { _, ok := bus.Rules.Get(r, here.Key(bus.DefaultName, "r")); return ok })
	var work sync.WaitGroup
	for i := range bus.MaxTargets {
		work.Go(func() {
			out, err := servers[i%2].client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: []types.Target{{Id: ptr(fmt.Sprint(i)), Arn: ptr(queueARN("q"))}}})
			if err != nil || out.FailedEntryCount > 0 {
				t.Errorf("target %d: %v, %v", i, out, err)
			}
		})
	}
	work.Wait()
	storetest.Await(t, dbs[0], bus.Rules, func(r store.Reader) bool {
		rule, _ := bus.Rules.Get(r, here.Key(bus.DefaultName, "r"))
		return len(rule.Targets) == bus.MaxTargets
	})
}
