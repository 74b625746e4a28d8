package awsapi_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// records is a face that answers with times and blobs.
type records struct{ asked time.Time }

func (a *records) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput) (*kinesis.GetShardIteratorOutput, error) {
	a.asked = *in.Timestamp
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String("it")}, nil
}

var arrived = time.UnixMilli(1787036486712)

func (a *records) GetRecords(context.Context, *kinesis.GetRecordsInput) (*kinesis.GetRecordsOutput, error) {
	return nil, &kinesistypes.ExpiredIteratorException{Message: aws.String("too late")}
}

func (a *records) SubscribeToShard(_ context.Context, _ *kinesis.SubscribeToShardInput, out awsapi.Stream) error {
	if err := out.Start(&kinesis.SubscribeToShardOutput{}); err != nil {
		return err
	}
	err := out.Send(&kinesistypes.SubscribeToShardEventStreamMemberSubscribeToShardEvent{Value: kinesistypes.SubscribeToShardEvent{
		MillisBehindLatest: aws.Int64(0),
		Records:            []kinesistypes.Record{{Data: []byte{1, 2}, ApproximateArrivalTimestamp: &arrived, PartitionKey: aws.String("k"), SequenceNumber: aws.String("1")}},
	}})
	if err != nil {
		return err
	}
	return &kinesistypes.ResourceInUseException{Message: aws.String("another")}
}

// TestJSONProtocolInCBOR holds the dialect that the AWS SDK for Java speaks with
// Kinesis: the JSON protocol's headers, a body in CBOR, and times as integers of
// milliseconds under the tag of seconds.
func TestJSONProtocolInCBOR(t *testing.T) {
	api := new(records)
	_, url := start(t, awsapi.Config{}, awsapi.Service{Model: "kinesis", API: api})
	call := func(op, body string) (status int, contentType string, answer []byte) {
		req, err := http.NewRequest("POST", url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
		req.Header.Set("Content-Type", "application/x-amz-cbor-1.1")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err = io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Type"), answer
	}
	const (
		millis = "c11b000001a013accc38" // as the SDK for Java sends it
		shard  = "shardId-000000000000"
	)
	raw, _ := hex.DecodeString(millis)
	text := func(s string) string { return string([]byte{0x60 + byte(len(s))}) + s }
	request := "\xbf" + text("StreamName") + text("s") + text("ShardId") + text(shard) + text("ShardIteratorType") + text("AT_TIMESTAMP") +
		text("Timestamp") + string(raw) + "\xff"
	status, contentType, answer := call("GetShardIterator", request)
	if want := "\xbf" + text("ShardIterator") + text("it") + "\xff"; status != 200 || contentType != "application/x-amz-cbor-1.1" || string(answer) != want {
		t.Errorf("answer %d %s %x, want %x", status, contentType, answer, want)
	}
	if !api.asked.Equal(arrived) {
		t.Errorf("the time came as %s, want %s", api.asked, arrived.UTC())
	}

	status, contentType, answer = call("GetRecords", "\xbf"+text("ShardIterator")+text("it")+"\xff")
	want := "\xbf" + text("__type") + "\x78\x18ExpiredIteratorException" + text("message") + text("too late") + "\xff"
	if status != 400 || contentType != "application/x-amz-cbor-1.1" || string(answer) != want {
		t.Errorf("error %d %s %q, want %q", status, contentType, answer, want)
	}

	status, contentType, answer = call("GetShardIterator", "\x9f")
	if status != 400 || contentType != "application/x-amz-cbor-1.1" || !bytes.Contains(answer, []byte("SerializationException")) {
		t.Errorf("of a broken body: %d %s %q", status, contentType, answer)
	}

	arn := "arn:aws:kinesis:r:123456789012:stream/s/consumer/c:1"
	status, _, answer = call("SubscribeToShard", "\xbf"+text("ConsumerARN")+"\x78"+string(rune(len(arn)))+arn+text("ShardId")+text(shard)+
		text("StartingPosition")+"\xa1"+text("Type")+text("LATEST")+"\xff")
	for _, part := range []string{"initial-response", "SubscribeToShardEvent", "application/x-amz-cbor-1.1", text("Data") + "\x42\x01\x02",
		"ApproximateArrivalTimestamp" + string(raw), "exception", "ResourceInUseException", text("message") + text("another")} {
		if status != 200 || !bytes.Contains(answer, []byte(part)) {
			t.Errorf("the stream, %d, lacks %q: %q", status, part, answer)
		}
	}
}
