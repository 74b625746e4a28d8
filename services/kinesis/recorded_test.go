package kinesis

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const recordings = "../../../shared/data/recordings/kinesis.json"

// recorded returns what AWS answered in a case.
func recorded(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(recordings)
	if err != nil {
		t.Skipf("the recorded answers of AWS are not beside the checkout: %v", err)
	}
	var all map[string]map[string]any
	must(t, json.Unmarshal(data, &all))
	c, ok := all["kinesis/test_kinesis.py::TestKinesis::"+name]
	if !ok {
		t.Fatalf("no recording of %s", name)
	}
	return c
}

// same compares an answer with a recorded one: every member of the recording,
// and no other.
func same(t *testing.T, path string, want, got any) {
	t.Helper()
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k := range g {
			if _, ok := w[k]; !ok {
				t.Errorf("%s: AWS has no %s", path, k)
			}
		}
		for k := range w {
			same(t, path+"."+k, w[k], g[k])
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			t.Errorf("%s has %d elements, want %d", path, len(g), len(w))
			return
		}
		for i := range w {
			same(t, fmt.Sprintf("%s[%d]", path, i), w[i], g[i])
		}
	case string:
		sameText(t, path, w, got)
	default:
		t.Errorf("%s: a recorded %T is not understood", path, want)
	}
}

// sameText compares a text: placeholders stand for what differs from run to
// run, Python's bytes for blobs.
func sameText(t *testing.T, path, want string, got any) {
	t.Helper()
	text, isText := got.(string)
	switch {
	case want == "timestamp":
		if n, ok := got.(float64); !ok || n < 1e9 || n > 1e11 {
			t.Errorf("%s is %v, want a time in seconds", path, got)
		}
	case strings.HasPrefix(want, "<"), want == "starting_hash", want == "ending_hash":
		if !isText || text == "" {
			t.Errorf("%s is %v, want a text", path, got)
		}
	case strings.HasPrefix(want, "b'"):
		data, err := base64.StdEncoding.DecodeString(text)
		if !isText || err != nil || string(data) != pythonBytes(t, want) {
			t.Errorf("%s is %q, want %s", path, data, want)
		}
	case text != want:
		t.Errorf("%s is %v, want %q", path, got, want)
	}
}

func pythonBytes(t *testing.T, s string) string {
	t.Helper()
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(s, "b'"), "'"), `"`, `\"`) + `"`)
	must(t, err)
	return out
}

func TestRecordedStreamWithoutShardCount(t *testing.T) {
	want := recorded(t, "test_create_stream_without_shard_count")
	f := newFixture(t)
	f.call("CreateStream", map[string]any{"StreamName": "s"})
	f.active("s")
	d := f.call("DescribeStream", map[string]any{"StreamName": "s"})
	same(t, "Shards", want["Shards"], d["StreamDescription"].(map[string]any)["Shards"])
}

func TestRecordedTags(t *testing.T) {
	want := recorded(t, "test_add_tags_to_stream")
	f := newFixture(t)
	f.stream("s", 1)
	f.call("AddTagsToStream", map[string]any{"StreamName": "s", "Tags": map[string]string{"foo": "bar"}})
	same(t, "Tags[0]", want["Tags"], f.call("ListTagsForStream", map[string]any{"StreamName": "s"})["Tags"].([]any)[0])
}

func TestRecordedDataIntegrity(t *testing.T) {
	want := recorded(t, "test_record_lifecycle_data_integrity")
	f := newFixture(t)
	f.stream("s", 1)
	for _, r := range want["Records"].([]any) {
		data := pythonBytes(t, r.(map[string]any)["Data"].(string))
		f.call("PutRecord", map[string]any{"StreamName": "s", "PartitionKey": "1", "Data": []byte(data)})
	}
	it := f.call("GetShardIterator", map[string]any{"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"})
	same(t, "Records", want["Records"], f.call("GetRecords", map[string]any{"ShardIterator": it["ShardIterator"]})["Records"])
}

func TestRecordedSubscription(t *testing.T) {
	want := recorded(t, "test_subscribe_to_shard_with_sequence_number_as_iterator")
	f := newFixture(t)
	arn := f.stream("s", 1)
	consumer := f.consumer(arn, "c")
	d := f.call("DescribeStream", map[string]any{"StreamName": "s"})
	first := d["StreamDescription"].(map[string]any)["Shards"].([]any)[0].(map[string]any)["SequenceNumberRange"].(map[string]any)["StartingSequenceNumber"].(string)
	out, err := f.c.SubscribeToShard(f.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: ptr("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: &first}})
	must(t, err)
	defer out.GetStream().Close()
	for i := range 5 {
		f.put("s", "1", fmt.Sprint("Hello world_", i))
	}
	var got []any
	for e := range out.GetStream().Events() {
		for _, r := range e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records {
			got = append(got, map[string]any{"ApproximateArrivalTimestamp": float64(r.ApproximateArrivalTimestamp.UnixMilli()) / 1000,
				"Data": base64.StdEncoding.EncodeToString(r.Data), "PartitionKey": *r.PartitionKey, "SequenceNumber": *r.SequenceNumber})
		}
		if len(got) >= 5 {
			break
		}
	}
	same(t, "Records", want["Records"], got)
}
