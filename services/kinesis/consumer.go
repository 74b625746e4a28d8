package kinesis

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/stream"
)

func wireConsumer(c stream.Consumer) *types.Consumer {
	return &types.Consumer{ConsumerName: &c.Name, ConsumerARN: ptr(c.ARN()), ConsumerStatus: c.Status, ConsumerCreationTimestamp: &c.CreatedAt}
}

// RegisterStreamConsumer records a consumer, which is CREATING until it may
// subscribe.
func (a *API) RegisterStreamConsumer(ctx context.Context, in *kinesis.RegisterStreamConsumerInput) (*kinesis.RegisterStreamConsumerOutput, error) {
	ref, err := a.ref(ctx, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	c, err := a.e.Register(ctx, ref, *in.ConsumerName, in.Tags)
	if err != nil {
		return nil, wrap(err)
	}
	return &kinesis.RegisterStreamConsumerOutput{Consumer: wireConsumer(c)}, nil
}

// consumer finds the consumer that a call names: by its ARN, or by its name and
// its stream's ARN.
func (a *API) consumer(ctx context.Context, consumerARN, streamARN, streamID, name *string) (c stream.Consumer, err error) {
	if consumerARN != nil {
		if c, err = a.e.ConsumerOf(*consumerARN); err != nil {
			return c, wrap(err)
		}
		if _, err = a.ref(ctx, nil, ptr(stream.Ref{Scope: c.Scope, Name: c.Stream}.ARN()), streamID); err != nil && c.Policy != "" {
			err = a.across(ctx, c.ARN(), c.Policy, nil)
		}
		return c, err
	}
	if name == nil {
		return c, invalid("Either ConsumerARN or both StreamARN and ConsumerName must be specified.")
	}
	ref, err := a.ref(ctx, nil, streamARN, streamID)
	if err != nil {
		return c, err
	}
	_, all, err := a.e.ConsumersOf(ref)
	for _, c := range all {
		if c.Name == *name {
			return c, nil
		}
	}
	if err == nil {
		err = &stream.Error{Kind: stream.NotFound, Message: "Consumer " + *name + " under stream " + ref.Name + " of account " + ref.Account + " not found."}
	}
	return c, wrap(err)
}

// DescribeStreamConsumer shows a consumer.
func (a *API) DescribeStreamConsumer(ctx context.Context, in *kinesis.DescribeStreamConsumerInput) (*kinesis.DescribeStreamConsumerOutput, error) {
	c, err := a.consumer(ctx, in.ConsumerARN, in.StreamARN, in.StreamId, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	return &kinesis.DescribeStreamConsumerOutput{ConsumerDescription: &types.ConsumerDescription{ConsumerName: &c.Name, ConsumerARN: ptr(c.ARN()),
		ConsumerStatus: c.Status, ConsumerCreationTimestamp: &c.CreatedAt, StreamARN: ptr(stream.Ref{Scope: c.Scope, Name: c.Stream}.ARN())}}, nil
}

// DeregisterStreamConsumer records that a consumer goes.
func (a *API) DeregisterStreamConsumer(ctx context.Context, in *kinesis.DeregisterStreamConsumerInput) (*kinesis.DeregisterStreamConsumerOutput, error) {
	c, err := a.consumer(ctx, in.ConsumerARN, in.StreamARN, in.StreamId, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	return &kinesis.DeregisterStreamConsumerOutput{}, wrap(a.e.Deregister(ctx, stream.Ref{Scope: c.Scope, Name: c.Stream}, c.Name))
}

// ListStreamConsumers lists the consumers of a stream by name.
func (a *API) ListStreamConsumers(ctx context.Context, in *kinesis.ListStreamConsumersInput) (*kinesis.ListStreamConsumersOutput, error) {
	ref, err := a.ref(ctx, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	from := ""
	if in.NextToken != nil {
		t, err := parseToken(ctx, *in.NextToken)
		if err != nil {
			return nil, err
		}
		if t.Stream != ref.ARN() {
			return nil, invalid("NextToken is of another stream.")
		}
		from = t.After
	}
	s, all, err := a.e.ConsumersOf(ref)
	if err == nil && in.StreamCreationTimestamp != nil && in.StreamCreationTimestamp.Unix() != s.CreatedAt.Unix() {
		return nil, &types.ResourceNotFoundException{Message: ptr("Stream " + s.Name + " under account " + s.Account + " with that creation timestamp not found.")}
	}
	if err != nil {
		return nil, wrap(err)
	}
	most := 100
	if in.MaxResults != nil {
		most = int(*in.MaxResults)
	}
	out := &kinesis.ListStreamConsumersOutput{Consumers: []types.Consumer{}}
	for _, c := range all {
		if c.Name <= from {
			continue
		}
		if n := len(out.Consumers); n == most {
			out.NextToken = newToken(ctx, token{After: *out.Consumers[n-1].ConsumerName, Stream: ref.ARN()})
			break
		}
		out.Consumers = append(out.Consumers, *wireConsumer(c))
	}
	return out, nil
}

// SubscribeToShard pushes a shard's records as they come.
func (a *API) SubscribeToShard(ctx context.Context, in *kinesis.SubscribeToShardInput, out awsapi.Stream) error {
	if _, err := a.consumer(ctx, in.ConsumerARN, nil, in.StreamId, nil); err != nil {
		return err
	}
	p := in.StartingPosition
	if err := checkStart(p.Type, p.SequenceNumber != nil, p.Timestamp != nil); err != nil {
		return err
	}
	sub, err := a.e.Subscribe(ctx, *in.ConsumerARN, *in.ShardId, stream.Start{Type: p.Type, Sequence: deref(p.SequenceNumber), Timestamp: deref(p.Timestamp)})
	if err != nil {
		return wrap(err)
	}
	if err := out.Start(&kinesis.SubscribeToShardOutput{}); err != nil {
		return err
	}
	return wrap(sub.Run(ctx, func(e stream.Event) error {
		w := types.SubscribeToShardEvent{Records: wireRecords(e.Records), MillisBehindLatest: ptr(e.Behind.Milliseconds()), ChildShards: wireChildren(e.Children)}
		if e.Continuation != "" {
			w.ContinuationSequenceNumber = &e.Continuation
		}
		return out.Send(&types.SubscribeToShardEventStreamMemberSubscribeToShardEvent{Value: w})
	}))
}
