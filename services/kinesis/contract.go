package kinesis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/stream"
)

// Gate puts into streams what their schemas take, for callers and for what
// delivers to streams.
type Gate struct {
	Streams   *stream.Engine
	Contracts broker.Contracts // nil checks nothing
	Bury      broker.Bury      // nil: there are no queues
}

// Buried is the Shard of records that went to a dead-letter queue; they have no
// sequence number.
const Buried = "dead-letter"

// Put is the engine's, but for entries that the stream's schema does not take:
// they go to its dead-letter queue, or the call is refused as a whole, by a
// *Refused or a *broker.Denied, and nothing is written. A record of PutRecords
// cannot be refused for itself: producers send such records again, whatever
// their code is.
func (g Gate) Put(ctx context.Context, ref stream.Ref, by broker.Sender, entries ...stream.Entry) ([]stream.Placed, error) {
	if g.Contracts == nil {
		return g.Streams.Put(ctx, ref, entries...)
	}
	row, err := g.Streams.Describe(ref)
	if err != nil || !broker.Tagged(row.Tags) {
		return g.Streams.Put(ctx, ref, entries...)
	}
	t := target(&row)
	verdicts, bad, err := g.screen(ctx, t, by, entries)
	if err != nil {
		return nil, err
	}
	if bad == 0 {
		return g.Streams.Put(ctx, ref, entries...)
	}
	out, good, of := make([]stream.Placed, len(entries)), make([]stream.Entry, 0, len(entries)), make([]int, 0, len(entries))
	for i, v := range verdicts {
		if v.Err == nil {
			good, of = append(good, entries[i]), append(of, i)
			continue
		}
		if err := g.bury(ctx, t, v, &entries[i]); err != nil {
			return nil, err
		}
		out[i].Shard = Buried
	}
	if len(good) == 0 {
		return out, nil
	}
	placed, err := g.Streams.Put(ctx, ref, good...)
	for i, p := range placed {
		out[of[i]] = p
	}
	return out, err
}

// sequenceOf is a record's SequenceNumber: "0" of one that is in no shard.
func sequenceOf(p *stream.Placed) *string {
	if p.Shard == Buried {
		return ptr("0")
	}
	return ptr(p.Sequence.String())
}

// Refused is entries that a stream's schema does not take, by their number in the
// call.
type Refused struct {
	Entries []int // from 0
	Of      int
	Errs    []error
}

// maxTold bounds how many entries a sentence tells of.
const maxTold = 5

func (r *Refused) Error() string {
	if r.Of == 1 {
		return r.Errs[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d records", len(r.Entries), r.Of)
	for i, n := range r.Entries {
		if i == maxTold {
			b.WriteString("; …")
			break
		}
		fmt.Fprintf(&b, "; records[%d]: %v", n, r.Errs[i])
	}
	return b.String()
}

// screen decides on all entries.
func (g Gate) screen(ctx context.Context, t broker.Target, by broker.Sender, entries []stream.Entry) (verdicts []broker.Verdict, bad int, err error) {
	verdicts, refused := make([]broker.Verdict, len(entries)), &Refused{Of: len(entries)}
	for i := range entries {
		var v broker.Verdict
		for _, data := range split(entries[i].Data) {
			if v = g.Contracts.Check(ctx, t, wire.Message{Body: data}, by); v.Err != nil {
				break
			}
		}
		verdicts[i] = v
		var denied *broker.Denied
		switch {
		case errors.As(v.Err, &denied):
			return nil, 0, denied
		case v.Err == nil:
		case v.DeadLetter == "":
			refused.Entries, refused.Errs = append(refused.Entries, i), append(refused.Errs, v.Err)
		default:
			bad++
		}
	}
	if len(refused.Entries) > 0 {
		return nil, 0, refused
	}
	return verdicts, bad, nil
}

// bury sends an entry to a dead-letter queue: its data in base64.
func (g Gate) bury(ctx context.Context, t broker.Target, v broker.Verdict, x *stream.Entry) error {
	d := broker.Dead{From: t.Resource, Body: base64.StdEncoding.EncodeToString(x.Data), Group: x.PartitionKey, Attributes: map[string]broker.Attribute{
		"PARTITION_KEY": {Type: "String", String: x.PartitionKey}}}
	if d.Body == "" {
		d.Body = " " // queues take no empty bodies
	}
	if len(d.Group) > 128 {
		d.Group = "" // of a queue's groups
	}
	_, err := v.Bury(ctx, g.Bury, d)
	var refused *broker.Refusal
	if errors.As(err, &refused) {
		return &Refused{Entries: []int{0}, Of: 1, Errs: []error{refused}}
	}
	return err
}

func target(s *stream.Stream) broker.Target {
	return broker.Target{Resource: broker.Resource{Scope: s.Scope, Service: "kinesis", Name: s.Name}, Tags: s.Tags}
}

// caller is who makes the call.
func caller(ctx context.Context) broker.Sender {
	return broker.Sender{Name: awsapi.CallFrom(ctx).Principal}
}

// checkContract refuses tags of a stream that ask for a check which cannot be, if
// they are others than before.
func (a *API) checkContract(ctx context.Context, s *stream.Stream, before map[string]string) error {
	set, ask := broker.Changed(before, s.Tags)
	if a.gate.Contracts == nil || !ask {
		return nil
	}
	err := a.gate.Contracts.CheckTags(ctx, target(s), set, caller(ctx))
	if refused := wrapContract(err); refused != nil || err == nil {
		return refused
	}
	return invalid("Tags cannot be set: %v.", err)
}

// wrapContract says that records are not of their stream's schema, or that their
// sender may not send by it; nil for other errors.
func wrapContract(err error) error {
	var refused *Refused
	var denied *broker.Denied
	switch {
	case errors.As(err, &refused):
		return invalid("The data is refused by its contract: %v. Nothing was written.", refused)
	case errors.As(err, &denied):
		return &types.AccessDeniedException{Message: ptr(denied.Error())}
	}
	return nil
}
