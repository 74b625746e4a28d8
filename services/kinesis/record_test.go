package kinesis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestPutAndGet(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 2)
	out, err := f.c.PutRecords(f.ctx, &kinesis.PutRecordsInput{StreamARN: &arn, Records: []types.PutRecordsRequestEntry{
		{PartitionKey: ptr("k"), ExplicitHashKey: ptr("0"), Data: []byte("low")},
		{PartitionKey: ptr("k"), ExplicitHashKey: ptr("340282366920938463463374607431768211455"), Data: []byte("high")},
	}})
	must(t, err)
	if *out.FailedRecordCount != 0 || *out.Records[0].ShardId != "shardId-000000000000" || *out.Records[1].ShardId != "shardId-000000000001" || out.EncryptionType != types.EncryptionTypeNone {
		t.Errorf("got %+v", out)
	}
	// Each record is ordered behind the one before, as clients ask.
	p, err := f.c.PutRecord(f.ctx, &kinesis.PutRecordInput{StreamName: ptr("s"), PartitionKey: ptr("k"), ExplicitHashKey: ptr("0"), Data: []byte("next"), SequenceNumberForOrdering: out.Records[0].SequenceNumber})
	must(t, err)
	if *p.SequenceNumber <= *out.Records[0].SequenceNumber || len(*p.SequenceNumber) != 56 {
		t.Errorf("%s is not behind %s", *p.SequenceNumber, *out.Records[0].SequenceNumber)
	}
	data, last := f.read(&kinesis.GetShardIteratorInput{StreamName: ptr("s"), ShardId: ptr("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if fmt.Sprint(data) != "[low next]" || *last.MillisBehindLatest != 0 || last.NextShardIterator == nil {
		t.Errorf("read %v, %+v", data, last)
	}
	data, _ = f.read(&kinesis.GetShardIteratorInput{StreamName: ptr("s"), ShardId: ptr("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: ptr(time.Now().Add(-time.Hour))})
	if fmt.Sprint(data) != "[low next]" {
		t.Errorf("by time: %v", data)
	}
	it, err := f.c.GetShardIterator(f.ctx, &kinesis.GetShardIteratorInput{StreamName: ptr("s"), ShardId: ptr("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	must(t, err)
	_, err = f.c.GetRecords(f.ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator, StreamARN: ptr(arn + "x")})
	refused(t, err, "InvalidArgumentException", "is not that of the stream that the ShardIterator is of")
	_, err = f.client("999999999999").GetRecords(f.ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	refused(t, err, "AccessDeniedException", "is not authorized to perform: kinesis:GetRecords")
}

func TestRecordRefusals(t *testing.T) {
	f := newFixture(t)
	f.stream("s", 1)
	record := func(change func(*kinesis.PutRecordInput)) error {
		in := &kinesis.PutRecordInput{StreamName: ptr("s"), PartitionKey: ptr("k"), Data: []byte("x")}
		change(in)
		_, err := f.c.PutRecord(f.ctx, in)
		return err
	}
	iterator := func(change func(*kinesis.GetShardIteratorInput)) error {
		in := &kinesis.GetShardIteratorInput{StreamName: ptr("s"), ShardId: ptr("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
		change(in)
		_, err := f.c.GetShardIterator(f.ctx, in)
		return err
	}
	_, many := f.c.PutRecords(f.ctx, &kinesis.PutRecordsInput{StreamName: ptr("s"), Records: slices.Repeat([]types.PutRecordsRequestEntry{{PartitionKey: ptr("k"), Data: []byte("x")}}, 501)})
	_, large := f.c.PutRecords(f.ctx, &kinesis.PutRecordsInput{StreamName: ptr("s"), Records: slices.Repeat([]types.PutRecordsRequestEntry{{PartitionKey: ptr("k"), Data: make([]byte, 1<<20)}}, 10)})
	_, bad := f.c.GetRecords(f.ctx, &kinesis.GetRecordsInput{ShardIterator: ptr("AAAA")})
	for _, tt := range []struct {
		err        error
		code, text string
	}{
		{record(func(in *kinesis.PutRecordInput) { in.StreamName = ptr("none") }), "ResourceNotFoundException", "Stream none under account 111122223333 not found."},
		{record(func(in *kinesis.PutRecordInput) { in.StreamName = nil }), "InvalidArgumentException", "Either StreamName or StreamARN"},
		{record(func(in *kinesis.PutRecordInput) { in.ExplicitHashKey = ptr("340282366920938463463374607431768211456") }), "InvalidArgumentException", "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456"},
		{record(func(in *kinesis.PutRecordInput) { in.SequenceNumberForOrdering = ptr("5") }), "InvalidArgumentException", "ExclusiveMinimumSequenceNumber 5 used in PutRecord on stream s under account 111122223333 is invalid."},
		{record(func(in *kinesis.PutRecordInput) { in.PartitionKey = ptr(strings.Repeat("k", 257)) }), "ValidationException", "at 'partitionKey' failed to satisfy constraint: Member must have length less than or equal to 256"},
		{record(func(in *kinesis.PutRecordInput) { in.Data = make([]byte, 1<<20+1) }), "ValidationException", "Member must have length less than or equal to 1048576"},
		{many, "ValidationException", "at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"},
		{large, "InvalidArgumentException", "Records size exceeds 10 MB limit"},
		{iterator(func(in *kinesis.GetShardIteratorInput) {
			in.ShardIteratorType = types.ShardIteratorTypeAtSequenceNumber
		}), "InvalidArgumentException", "Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber."},
		{iterator(func(in *kinesis.GetShardIteratorInput) { in.StartingSequenceNumber = ptr("5") }), "InvalidArgumentException", "Request specified TRIM_HORIZON and also a StartingSequenceNumber."},
		{iterator(func(in *kinesis.GetShardIteratorInput) { in.ShardIteratorType = types.ShardIteratorTypeAtTimestamp }), "InvalidArgumentException", "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP."},
		{iterator(func(in *kinesis.GetShardIteratorInput) { in.ShardIteratorType = "NEVER" }), "ValidationException", "Member must satisfy enum value set: ["},
		{bad, "InvalidArgumentException", "Invalid ShardIterator."},
	} {
		refused(t, tt.err, tt.code, tt.text)
	}
}

func TestPutRecordsThrottled(t *testing.T) {
	f := newFixture(t)
	f.stream("s", 1)
	entries := slices.Repeat([]types.PutRecordsRequestEntry{{PartitionKey: ptr("k"), Data: make([]byte, 300<<10)}}, 6)
	out, err := f.c.PutRecords(f.ctx, &kinesis.PutRecordsInput{StreamName: ptr("s"), Records: entries})
	must(t, err)
	r := out.Records[5]
	if *out.FailedRecordCount != 3 || *r.ErrorCode != "ProvisionedThroughputExceededException" || r.SequenceNumber != nil ||
		*r.ErrorMessage != "Rate exceeded for shard shardId-000000000000 in stream s under account 111122223333." {
		t.Errorf("%d failed; the last: %v %v", *out.FailedRecordCount, *r.ErrorCode, *r.ErrorMessage)
	}
}

// A member that the SDK has and the model has not is refused, not ignored: a dry
// run must not write.
func TestNewerMember(t *testing.T) {
	f := newFixture(t)
	f.stream("s", 1)
	_, err := f.c.PutRecord(f.ctx, &kinesis.PutRecordInput{StreamName: ptr("s"), PartitionKey: ptr("k"), Data: []byte("a"), DryRun: ptr(true)})
	if err == nil || !strings.Contains(err.Error(), "does not serve the member DryRun of PutRecordInput") {
		t.Errorf("a dry run is answered by %v", err)
	}
}
