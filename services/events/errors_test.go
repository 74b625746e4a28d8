package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

func TestPolicyLength(t *testing.T) {
	f := newIdle(t)
	condition := &types.Condition{Type: ptr("StringEquals"), Key: ptr("aws:PrincipalOrgID"), Value: ptr("o-1234567890")}
	put := func(id string) error {
		_, err := f.client.PutPermission(f.ctx, &eventbridge.PutPermissionInput{StatementId: &id, Action: ptr(bus.PutEventsAction), Principal: ptr("*"), Condition: condition})
		return err
	}
	length := func() int {
		out, err := f.client.DescribeEventBus(f.ctx, &eventbridge.DescribeEventBusInput{})
		must(t, err)
		return len(deref(out.Policy))
	}
	n, err := 0, error(nil)
	for ; err == nil && n < 200; n++ {
		err = put(fmt.Sprintf("%d-%s", n, strings.Repeat("x", 50)))
	}
	refused(t, err, "PolicyLengthExceededException", "The policy is longer than 10240 bytes.")
	if most := length(); most > bus.MaxPolicy || most < bus.MaxPolicy-500 {
		t.Errorf("the policy is %d bytes long", most)
	}
}

// Rules that a service of the platform made are not for callers to change, but
// for those to delete who insist.
func TestManagedRule(t *testing.T) {
	f := newIdle(t)
	arn := f.rule("r", "", updates)
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		r, _ := bus.Rules.Get(tx, here.Key(bus.DefaultName, "r"))
		r.ManagedBy = "states.amazonaws.com"
		return bus.Rules.Put(tx, r)
	}))
	const sentence = "Rule r is managed by states.amazonaws.com and cannot be modified by the caller."
	name := ptr("r")
	for op, call := range map[string]func() error{
		"PutRule": func() error {
			_, err := f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: name, EventPattern: ptr(updates)})
			return err
		},
		"PutTargets": func() error {
			_, err := f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: name, Targets: []types.Target{{Id: ptr("t"), Arn: ptr(queueARN("q"))}}})
			return err
		},
		"RemoveTargets": func() error {
			_, err := f.client.RemoveTargets(f.ctx, &eventbridge.RemoveTargetsInput{Rule: name, Ids: []string{"target"}})
			return err
		},
		"EnableRule": func() error {
			_, err := f.client.EnableRule(f.ctx, &eventbridge.EnableRuleInput{Name: name})
			return err
		},
		"DisableRule": func() error {
			_, err := f.client.DisableRule(f.ctx, &eventbridge.DisableRuleInput{Name: name})
			return err
		},
		"DeleteRule": func() error {
			_, err := f.client.DeleteRule(f.ctx, &eventbridge.DeleteRuleInput{Name: name})
			return err
		},
		"TagResource": func() error {
			_, err := f.client.TagResource(f.ctx, &eventbridge.TagResourceInput{ResourceARN: &arn, Tags: []types.Tag{{Key: ptr("k"), Value: ptr("v")}}})
			return err
		},
		"UntagResource": func() error {
			_, err := f.client.UntagResource(f.ctx, &eventbridge.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"k"}})
			return err
		},
	} {
		t.Run(op, func(t *testing.T) { refused(t, call(), "ManagedRuleException", sentence) })
	}
	_, err := f.client.RemoveTargets(f.ctx, &eventbridge.RemoveTargetsInput{Rule: name, Ids: []string{"target"}, Force: true})
	must(t, err)
	_, err = f.client.DeleteRule(f.ctx, &eventbridge.DeleteRuleInput{Name: name, Force: true})
	must(t, err)
}

// Events that a rule wants are not taken while no server carries them.
func TestNoOwner(t *testing.T) {
	f := newIdle(t)
	f.rule("r", "", updates)
	ctx, cancel := context.WithCancel(awsapi.WithCall(f.ctx, &awsapi.Call{Account: account, Region: region}))
	cancel() // else the call would wait for a server to come
	_, err := f.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("", update)}})
	var public awsapi.Public // of which the edge makes an InternalException with 503
	if !errors.As(err, &public) {
		t.Fatalf("error %v", err)
	}
	if said, ours := public.Public(); said != "No process takes events at the moment. Try again." || !ours {
		t.Errorf("it says %q; ours: %v", said, ours)
	}
}

// There are no partner event sources, so none is in a state to be refused for.
func TestNoPartnerSources(t *testing.T) {
	f := newIdle(t)
	name := ptr("aws.partner/example.com/x/y")
	_, err := f.client.ActivateEventSource(f.ctx, &eventbridge.ActivateEventSourceInput{Name: name})
	refused(t, err, "ResourceNotFoundException", "Event source "+*name+" does not exist.")
	_, err = f.client.DeactivateEventSource(f.ctx, &eventbridge.DeactivateEventSourceInput{Name: name})
	refused(t, err, "ResourceNotFoundException", "Event source "+*name+" does not exist.")
	_, err = f.client.CreateEventBus(f.ctx, &eventbridge.CreateEventBusInput{Name: name, EventSourceName: name})
	refused(t, err, "OperationDisabledException", "Buses of partner event sources are not supported: no partner of AWS sends events here.")
}
