package kinesis

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/stream"
)

// PutRecord appends a record and answers once it is on disk.
func (a *API) PutRecord(ctx context.Context, in *kinesis.PutRecordInput) (*kinesis.PutRecordOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	key, err := hashKey(in.ExplicitHashKey)
	if err != nil {
		return nil, err
	}
	if in.SequenceNumberForOrdering != nil {
		if err := a.e.CheckOrdering(ref, *in.SequenceNumberForOrdering); err != nil {
			return nil, wrap(err)
		}
	}
	out, err := a.gate.Put(ctx, ref, caller(ctx), stream.Entry{PartitionKey: *in.PartitionKey, HashKey: key, Data: in.Data})
	if err == nil {
		err = out[0].Err
	}
	if err != nil {
		return nil, wrap(err)
	}
	p := out[0]
	return &kinesis.PutRecordOutput{ShardId: &p.Shard, SequenceNumber: sequenceOf(&p), EncryptionType: encryption(p.Encrypted)}, nil
}

func hashKey(s *string) (*stream.HashKey, error) {
	if s == nil {
		return nil, nil
	}
	k, err := stream.ParseHashKey(*s)
	if err != nil {
		return nil, invalid("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", *s)
	}
	return &k, nil
}

// maxPutBytes is what PutRecords takes in one call, partition keys included.
const maxPutBytes = 10 << 20

// PutRecords appends up to 500 records; each succeeds or fails on its own.
func (a *API) PutRecords(ctx context.Context, in *kinesis.PutRecordsInput) (*kinesis.PutRecordsOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	entries, size := make([]stream.Entry, len(in.Records)), 0
	for i := range in.Records {
		r := &in.Records[i]
		key, err := hashKey(r.ExplicitHashKey)
		if err != nil {
			return nil, err
		}
		entries[i] = stream.Entry{PartitionKey: *r.PartitionKey, HashKey: key, Data: r.Data}
		size += len(r.Data) + len(*r.PartitionKey)
	}
	if size > maxPutBytes {
		return nil, invalid("Records size exceeds 10 MB limit: the data and partition keys of the request have %d bytes together.", size)
	}
	placed, err := a.gate.Put(ctx, ref, caller(ctx), entries...)
	if err != nil {
		return nil, wrap(err)
	}
	failed, encrypted := int32(0), false
	out := &kinesis.PutRecordsOutput{Records: make([]types.PutRecordsResultEntry, len(placed)), FailedRecordCount: &failed}
	for i := range placed {
		p, w := &placed[i], &out.Records[i]
		if p.Err != nil {
			failed++
			w.ErrorCode, w.ErrorMessage = entryError(p.Err)
			continue
		}
		encrypted = encrypted || p.Encrypted
		w.ShardId, w.SequenceNumber = &p.Shard, sequenceOf(p)
	}
	out.EncryptionType = encryption(encrypted)
	return out, nil
}

// entryError is the error of one record of PutRecords: AWS has two.
func entryError(err error) (code, message *string) {
	var t *types.ProvisionedThroughputExceededException
	if errors.As(wrap(err), &t) {
		return ptr(t.ErrorCode()), t.Message
	}
	return ptr("InternalFailure"), ptr("Internal service failure.")
}

// GetShardIterator returns an iterator for GetRecords.
func (a *API) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput) (*kinesis.GetShardIteratorOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	start := stream.Start{Type: in.ShardIteratorType, Sequence: deref(in.StartingSequenceNumber), Timestamp: deref(in.Timestamp)}
	if err := checkStart(start.Type, in.StartingSequenceNumber != nil, in.Timestamp != nil); err != nil {
		return nil, err
	}
	it, err := a.e.Iterator(ctx, ref, *in.ShardId, start)
	if err != nil {
		return nil, wrap(err)
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: &it}, nil
}

// checkStart checks that a start has what its type needs, and no more.
func checkStart(t types.ShardIteratorType, sequence, timestamp bool) error {
	const must = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified "
	switch t {
	case types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber:
		if !sequence {
			return invalid(must+"%s and no StartingSequenceNumber.", t)
		}
	case types.ShardIteratorTypeAtTimestamp:
		if !timestamp {
			return invalid("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		}
		if sequence {
			return invalid(must+"%s and also a StartingSequenceNumber.", t)
		}
	default:
		if sequence {
			return invalid(must+"%s and also a StartingSequenceNumber.", t)
		}
	}
	return nil
}

// GetRecords reads on from an iterator.
func (a *API) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput) (*kinesis.GetRecordsOutput, error) {
	of, err := a.e.IteratorOf(ctx, *in.ShardIterator)
	if err != nil {
		return nil, wrap(err)
	}
	named := ptr(of.ARN())
	if in.StreamARN != nil && *in.StreamARN != *named {
		return nil, invalid("StreamARN %s is not that of the stream that the ShardIterator is of.", *in.StreamARN)
	}
	if _, err := a.ref(ctx, nil, named, in.StreamId); err != nil {
		return nil, err
	}
	b, err := a.e.Read(ctx, *in.ShardIterator, int(deref(in.Limit)))
	if err != nil {
		return nil, wrap(err)
	}
	out := &kinesis.GetRecordsOutput{Records: wireRecords(b.Records), MillisBehindLatest: ptr(b.Behind.Milliseconds()), ChildShards: wireChildren(b.Children)}
	if b.Next != "" {
		out.NextShardIterator = &b.Next
	}
	return out, nil
}

func wireRecords(records []stream.Record) []types.Record {
	out := make([]types.Record, len(records))
	for i := range records {
		r := &records[i]
		out[i] = types.Record{Data: r.Data, PartitionKey: &r.PartitionKey, SequenceNumber: ptr(r.Sequence.String()), ApproximateArrivalTimestamp: &r.Arrival}
		if r.Encrypted {
			out[i].EncryptionType = types.EncryptionTypeKms
		}
	}
	return out
}
