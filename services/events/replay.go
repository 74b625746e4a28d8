package events

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

func newID() string { return cluster.NewUUID() }

func noReplay(name string) error { return notFound("Replay %s does not exist.", name) }

// StartReplay has the engine put archived events on their bus again.
func (a *API) StartReplay(ctx context.Context, in *eventbridge.StartReplayInput) (*eventbridge.StartReplayOutput, error) {
	row := bus.Replay{Scope: scope(ctx), Name: *in.ReplayName, Description: deref(in.Description), FilterARNs: in.Destination.FilterArns,
		From: *in.EventStartTime, To: *in.EventEndTime, State: types.ReplayStateStarting, StartedAt: time.Now().UTC()}
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		if err := checkReplay(ctx, tx, in, &row); err != nil {
			return err
		}
		active := 0
		for r := range bus.Replays.By(tx, "active", "1") {
			if r.Scope == row.Scope {
				active++
			}
		}
		if active >= bus.MaxReplays {
			return limitExceeded()
		}
		return bus.Replays.Put(tx, row)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.StartReplayOutput{ReplayArn: ptr(row.ARN()), ReplayStartTime: &row.StartedAt, State: row.State}, nil
}

func checkReplay(ctx context.Context, tx *store.Tx, in *eventbridge.StartReplayInput, row *bus.Replay) error {
	if _, _, ok := bus.ParseBusARN(*in.Destination.Arn); !ok {
		return invalid("Parameter Destination.Arn is not valid. Reason: it must be the ARN of an event bus.")
	}
	b, err := findBus(ctx, tx, in.Destination.Arn)
	if err != nil {
		return err
	}
	name, ours := archiveName(ctx, *in.EventSourceArn)
	archive, ok := bus.Archives.Get(tx, row.Scope.Key(name))
	if !ours || !ok {
		return invalid("Parameter EventSourceArn is not valid. Reason: Archive %s does not exist.", name)
	}
	if archive.Bus != b.Name {
		return invalid("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
	}
	if !row.From.Before(row.To) {
		return invalid("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	}
	for _, arn := range row.FilterARNs {
		s, busName, rule, ok := bus.ParseRuleARN(arn)
		if _, known := bus.Rules.Get(tx, s.Key(busName, rule)); !ok || !known || s != row.Scope || busName != b.Name {
			return invalid("Parameter Destination.FilterArns is not valid. Reason: %s is not the ARN of a rule of event bus %s.", arn, b.Name)
		}
	}
	if _, ok := bus.Replays.Get(tx, row.Key()); ok {
		return exists("Replay %s already exists.", row.Name)
	}
	row.Archive, row.ArchiveID, row.Bus = archive.Name, archive.ID, b.Name
	return nil
}

// CancelReplay ends a replay that is under way.
func (a *API) CancelReplay(ctx context.Context, in *eventbridge.CancelReplayInput) (*eventbridge.CancelReplayOutput, error) {
	var row bus.Replay
	err := a.update(ctx, func(tx *store.Tx) error {
		var ok bool
		if row, ok = bus.Replays.Get(tx, scope(ctx).Key(*in.ReplayName)); !ok {
			return noReplay(*in.ReplayName)
		}
		if !row.Active() || row.State == types.ReplayStateCancelling {
			return &types.IllegalStatusException{Message: ptr("Replay " + row.Name + " is not in a valid state for this operation.")}
		}
		row.State = types.ReplayStateCancelling
		return bus.Replays.Put(tx, row)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.CancelReplayOutput{ReplayArn: ptr(row.ARN()), State: row.State}, nil
}

// DescribeReplay shows a replay.
func (a *API) DescribeReplay(ctx context.Context, in *eventbridge.DescribeReplayInput) (*eventbridge.DescribeReplayOutput, error) {
	var row bus.Replay
	var ok bool
	a.db.View(func(r store.Reader) error {
		row, ok = bus.Replays.Get(r, scope(ctx).Key(*in.ReplayName))
		return nil
	})
	if !ok {
		return nil, noReplay(*in.ReplayName)
	}
	w := wireReplay(row)
	return &eventbridge.DescribeReplayOutput{ReplayArn: ptr(row.ARN()), ReplayName: w.ReplayName, Description: given(row.Description),
		Destination:    &types.ReplayDestination{Arn: ptr(bus.Bus{Scope: row.Scope, Name: row.Bus}.ARN()), FilterArns: row.FilterARNs},
		EventSourceArn: w.EventSourceArn, EventStartTime: w.EventStartTime, EventEndTime: w.EventEndTime, EventLastReplayedTime: w.EventLastReplayedTime,
		ReplayStartTime: w.ReplayStartTime, ReplayEndTime: w.ReplayEndTime, State: w.State, StateReason: w.StateReason}, nil
}

func wireReplay(r bus.Replay) types.Replay {
	return types.Replay{ReplayName: &r.Name, EventSourceArn: ptr(bus.Archive{Scope: r.Scope, Name: r.Archive}.ARN()), EventStartTime: &r.From, EventEndTime: &r.To,
		EventLastReplayedTime: wireTime(r.LastEvent), ReplayStartTime: &r.StartedAt, ReplayEndTime: wireTime(r.EndedAt), State: r.State, StateReason: given(r.Reason)}
}

// ListReplays lists replays by name.
func (a *API) ListReplays(ctx context.Context, in *eventbridge.ListReplaysInput) (*eventbridge.ListReplaysOutput, error) {
	var rows []bus.Replay
	source := ""
	if in.EventSourceArn != nil {
		source, _ = archiveName(ctx, *in.EventSourceArn)
	}
	a.db.View(func(r store.Reader) error {
		rows = slices.Collect(bus.Replays.List(r, scope(ctx).Prefix()+deref(in.NamePrefix)))
		return nil
	})
	rows = slices.DeleteFunc(rows, func(r bus.Replay) bool {
		return in.State != "" && r.State != in.State || in.EventSourceArn != nil && r.Archive != source
	})
	list, next, err := awsapi.Page(ctx, rows, func(r bus.Replay) string { return r.Name }, in.NextToken, in.Limit, page)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListReplaysOutput{NextToken: next, Replays: []types.Replay{}}
	for _, r := range list {
		out.Replays = append(out.Replays, wireReplay(r))
	}
	return out, nil
}
