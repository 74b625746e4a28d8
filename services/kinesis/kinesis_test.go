package kinesis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/awsapi/model"
	"github.com/dhowhq/dhow/stream"
)

func TestEveryOperationIsServed(t *testing.T) {
	f := newFixture(t)
	must(t, f.server.Verify())
	m, err := model.Load("kinesis")
	must(t, err)
	served := f.server.Served()["kinesis"]
	for _, op := range m.Ops {
		if !slices.Contains(served, op.Name) {
			t.Errorf("%s is not served", op.Name)
		}
	}
	if len(served) < 39 {
		t.Errorf("only %d operations are served", len(served))
	}
}

func TestStreamLife(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 3)
	if arn != "arn:aws:kinesis:eu-west-1:111122223333:stream/s" {
		t.Errorf("ARN %s", arn)
	}
	_, err := f.c.CreateStream(f.ctx, &kinesis.CreateStreamInput{StreamName: ptr("s"), ShardCount: ptr(int32(1))})
	refused(t, err, "ResourceInUseException", "Stream s under account 111122223333 already exists.")
	d, err := f.c.DescribeStream(f.ctx, &kinesis.DescribeStreamInput{StreamARN: &arn, Limit: ptr(int32(2))})
	must(t, err)
	s := d.StreamDescription
	if len(s.Shards) != 2 || !*s.HasMoreShards || *s.RetentionPeriodHours != 24 || s.EncryptionType != types.EncryptionTypeNone || s.KeyId != nil ||
		len(s.EnhancedMonitoring) != 1 || s.StreamModeDetails.StreamMode != types.StreamModeProvisioned || *s.Shards[1].HashKeyRange.StartingHashKey != "113427455640312821154458202477256070485" {
		t.Errorf("described as %+v", s)
	}
	d, err = f.c.DescribeStream(f.ctx, &kinesis.DescribeStreamInput{StreamName: ptr("s"), ExclusiveStartShardId: s.Shards[1].ShardId})
	must(t, err)
	if len(d.StreamDescription.Shards) != 1 || *d.StreamDescription.HasMoreShards {
		t.Errorf("second page %+v", d.StreamDescription.Shards)
	}
	sum, err := f.c.DescribeStreamSummary(f.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: ptr("s")})
	must(t, err)
	x := sum.StreamDescriptionSummary
	if *x.OpenShardCount != 3 || *x.ConsumerCount != 0 || *x.MaxRecordSizeInKiB != 1024 {
		t.Errorf("summary %+v", x)
	}
	// The SDK for Go would call a host that the id names.
	if got := f.call("DescribeStream", map[string]any{"StreamId": *x.StreamId})["StreamDescription"].(map[string]any)["StreamName"]; got != "s" {
		t.Errorf("by id: %v", got)
	}
	_, err = f.c.DeleteStream(f.ctx, &kinesis.DeleteStreamInput{StreamName: ptr("s")})
	must(t, err)
	gone := kinesis.NewStreamNotExistsWaiter(f.c, func(o *kinesis.StreamNotExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 10*time.Millisecond
	})
	must(t, gone.Wait(f.ctx, &kinesis.DescribeStreamInput{StreamName: ptr("s")}, 20*time.Second))
	_, err = f.c.DescribeStream(f.ctx, &kinesis.DescribeStreamInput{StreamName: ptr("s")})
	refused(t, err, "ResourceNotFoundException", "Stream s under account 111122223333 not found.")
}

func TestCreateStreamRefusals(t *testing.T) {
	f := newFixture(t)
	provisioned := &types.StreamModeDetails{StreamMode: types.StreamModeProvisioned}
	demand := &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}
	for _, tt := range []struct {
		in         kinesis.CreateStreamInput
		code, text string
	}{
		{kinesis.CreateStreamInput{StreamModeDetails: provisioned}, "InvalidArgumentException", "ShardCount must be specified"},
		{kinesis.CreateStreamInput{StreamModeDetails: demand, ShardCount: ptr(int32(2))}, "InvalidArgumentException", "ShardCount must not be specified"},
		{kinesis.CreateStreamInput{StreamModeDetails: demand, WarmThroughputMiBps: ptr(int32(8))}, "ValidationException", "enable it with UpdateAccountSettings"},
		{kinesis.CreateStreamInput{ShardCount: ptr(int32(0))}, "ValidationException", "Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{kinesis.CreateStreamInput{ShardCount: ptr(int32(10001))}, "LimitExceededException", "This request would exceed the shard limit for the account 111122223333 in eu-west-1."},
		{kinesis.CreateStreamInput{ShardCount: ptr(int32(1)), Tags: map[string]string{"aws:x": "y"}}, "InvalidArgumentException", "reserved for AWS use"},
		{kinesis.CreateStreamInput{ShardCount: ptr(int32(1)), StreamName: ptr("a/b")}, "ValidationException", "failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
	} {
		if tt.in.StreamName == nil {
			tt.in.StreamName = ptr("s")
		}
		_, err := f.c.CreateStream(f.ctx, &tt.in)
		if tt.code == "LimitExceededException" { // the stream's limit comes before the account's
			tt.text = "at most 10000 shards"
		}
		refused(t, err, tt.code, tt.text)
	}
}

func TestListStreams(t *testing.T) {
	f := newFixture(t)
	for _, n := range []string{"c", "a", "b"} {
		f.stream(n, 1)
	}
	p1, err := f.c.ListStreams(f.ctx, &kinesis.ListStreamsInput{Limit: ptr(int32(2))})
	must(t, err)
	p2, err := f.c.ListStreams(f.ctx, &kinesis.ListStreamsInput{NextToken: p1.NextToken})
	must(t, err)
	p3, err := f.c.ListStreams(f.ctx, &kinesis.ListStreamsInput{ExclusiveStartStreamName: ptr("a")})
	must(t, err)
	if got := fmt.Sprint(p1.StreamNames, *p1.HasMoreStreams, p2.StreamNames, *p2.HasMoreStreams, p3.StreamNames, len(p3.StreamSummaries)); got != "[a b] true [c] false [b c] 2" {
		t.Errorf("got %s", got)
	}
	other, err := f.client("999999999999").ListStreams(f.ctx, &kinesis.ListStreamsInput{})
	must(t, err)
	if len(other.StreamNames) != 0 {
		t.Errorf("another account sees %v", other.StreamNames)
	}
	_, err = f.c.ListStreams(f.ctx, &kinesis.ListStreamsInput{NextToken: ptr("nonsense")})
	refused(t, err, "InvalidArgumentException", "NextToken is invalid.")
}

func TestNextTokensExpire(t *testing.T) {
	ctx := awsapi.WithCall(context.Background(), &awsapi.Call{Service: "kinesis", Operation: "ListStreams", Account: account})
	if _, err := parseToken(ctx, *newToken(ctx, token{After: "a"})); err != nil {
		t.Error(err)
	}
	old := awsapi.Token(ctx, fmt.Sprintf(`{"m":%d,"a":"a"}`, time.Now().Add(-301*time.Second).UnixMilli()))
	_, err := parseToken(ctx, *old)
	refused(t, err, "ExpiredNextTokenException", "valid for 300 seconds")
}

func TestListShards(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 2)
	begun := time.Now()
	time.Sleep(1100 * time.Millisecond) // times on the wire are of whole seconds
	_, err := f.c.UpdateShardCount(f.ctx, &kinesis.UpdateShardCountInput{StreamARN: &arn, TargetShardCount: ptr(int32(4)), ScalingType: types.ScalingTypeUniformScaling})
	must(t, err)
	f.active("s")
	list := func(filter *types.ShardFilter) (ids string) {
		out, err := f.c.ListShards(f.ctx, &kinesis.ListShardsInput{StreamName: ptr("s"), ShardFilter: filter})
		must(t, err)
		for _, s := range out.Shards {
			ids += strings.TrimLeft(strings.TrimPrefix(*s.ShardId, "shardId-"), "0") + ","
		}
		return ids
	}
	for _, tt := range []struct {
		filter *types.ShardFilter
		want   string
	}{
		{nil, ",1,2,3,4,5,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAtLatest}, "2,3,4,5,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}, ",1,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeFromTrimHorizon}, ",1,2,3,4,5,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: ptr("shardId-000000000003")}, "4,5,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: &begun}, ",1,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: ptr(time.Now().Add(time.Second))}, "2,3,4,5,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: &begun}, ",1,2,3,4,5,"},
		{&types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: ptr(time.Now().Add(time.Second))}, "2,3,4,5,"},
	} {
		if got := list(tt.filter); got != tt.want {
			t.Errorf("filter %+v: %s, want %s", tt.filter, got, tt.want)
		}
	}
	p1, err := f.c.ListShards(f.ctx, &kinesis.ListShardsInput{StreamARN: &arn, MaxResults: ptr(int32(3)), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}})
	must(t, err)
	p2, err := f.c.ListShards(f.ctx, &kinesis.ListShardsInput{NextToken: p1.NextToken})
	must(t, err)
	if len(p1.Shards) != 3 || len(p2.Shards) != 1 || *p2.Shards[0].ShardId != "shardId-000000000005" || p2.NextToken != nil || *p2.Shards[0].ParentShardId != "shardId-000000000001" {
		t.Errorf("pages %+v %+v", p1, p2)
	}
	_, err = f.c.ListShards(f.ctx, &kinesis.ListShardsInput{NextToken: p1.NextToken, StreamName: ptr("s")})
	refused(t, err, "InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
	_, err = f.c.ListShards(f.ctx, &kinesis.ListShardsInput{StreamName: ptr("s"), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp}})
	refused(t, err, "InvalidArgumentException", "Timestamp must be specified for a ShardFilter of type AT_TIMESTAMP.")
	_, err = f.c.ListShards(f.ctx, &kinesis.ListShardsInput{StreamName: ptr("s"), StreamCreationTimestamp: ptr(begun.Add(-time.Hour))})
	refused(t, err, "ResourceNotFoundException", "with that creation timestamp not found")
}

func TestReshardAndSettings(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 1)
	old := f.put("s", "k", "x")
	steps := []func() error{
		func() error {
			_, err := f.c.SplitShard(f.ctx, &kinesis.SplitShardInput{StreamName: ptr("s"), ShardToSplit: ptr("shardId-000000000000"), NewStartingHashKey: ptr("1000")})
			return err
		},
		func() error {
			_, err := f.c.MergeShards(f.ctx, &kinesis.MergeShardsInput{StreamName: ptr("s"), ShardToMerge: ptr("shardId-000000000001"), AdjacentShardToMerge: ptr("shardId-000000000002")})
			return err
		},
		func() error {
			_, err := f.c.IncreaseStreamRetentionPeriod(f.ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: ptr("s"), RetentionPeriodHours: ptr(int32(48))})
			return err
		},
		func() error {
			_, err := f.c.DecreaseStreamRetentionPeriod(f.ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: ptr("s"), RetentionPeriodHours: ptr(int32(30))})
			return err
		},
		func() error {
			_, err := f.c.StartStreamEncryption(f.ctx, &kinesis.StartStreamEncryptionInput{StreamName: ptr("s"), EncryptionType: types.EncryptionTypeKms, KeyId: ptr("alias/aws/kinesis")})
			return err
		},
		func() error {
			out, err := f.c.EnableEnhancedMonitoring(f.ctx, &kinesis.EnableEnhancedMonitoringInput{StreamName: ptr("s"), ShardLevelMetrics: []types.MetricsName{"ALL"}})
			if err == nil && (len(out.CurrentShardLevelMetrics) != 0 || len(out.DesiredShardLevelMetrics) != 7) {
				t.Errorf("metrics %+v", out)
			}
			return err
		},
		func() error {
			out, err := f.c.DisableEnhancedMonitoring(f.ctx, &kinesis.DisableEnhancedMonitoringInput{StreamName: ptr("s"), ShardLevelMetrics: []types.MetricsName{"IncomingBytes"}})
			if err == nil && (len(out.CurrentShardLevelMetrics) != 7 || len(out.DesiredShardLevelMetrics) != 6) {
				t.Errorf("metrics %+v", out)
			}
			return err
		},
		func() error {
			_, err := f.c.UpdateMaxRecordSize(f.ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: &arn, MaxRecordSizeInKiB: ptr(int32(2048))})
			return err
		},
		func() error {
			_, err := f.c.UpdateStreamMode(f.ctx, &kinesis.UpdateStreamModeInput{StreamARN: &arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}})
			return err
		},
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		f.active("s")
	}
	sum, err := f.c.DescribeStreamSummary(f.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: ptr("s")})
	must(t, err)
	x := sum.StreamDescriptionSummary
	if *x.RetentionPeriodHours != 30 || x.EncryptionType != types.EncryptionTypeKms || *x.KeyId != "alias/aws/kinesis" || len(x.EnhancedMonitoring[0].ShardLevelMetrics) != 6 ||
		*x.MaxRecordSizeInKiB != 2048 || x.StreamModeDetails.StreamMode != types.StreamModeOnDemand || *x.OpenShardCount != 1 {
		t.Errorf("summary %+v", x)
	}
	p := f.put("s", "k", "sealed")
	if p.EncryptionType != types.EncryptionTypeKms || *p.ShardId != "shardId-000000000003" {
		t.Errorf("put %+v", p)
	}
	data, last := f.read(&kinesis.GetShardIteratorInput{StreamName: ptr("s"), ShardId: ptr("shardId-000000000003"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if fmt.Sprint(data) != "[sealed]" || last.Records[0].EncryptionType != types.EncryptionTypeKms {
		t.Errorf("read %v %+v", data, last.Records)
	}
	data, last = f.read(&kinesis.GetShardIteratorInput{StreamName: ptr("s"), ShardId: ptr("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: old.SequenceNumber})
	if fmt.Sprint(data) != "[x]" || last.NextShardIterator != nil || len(last.ChildShards) != 2 || last.ChildShards[0].ParentShards[0] != "shardId-000000000000" {
		t.Errorf("at the end of the parent: %v %+v", data, last)
	}
	_, err = f.c.UpdateShardCount(f.ctx, &kinesis.UpdateShardCountInput{StreamARN: &arn, TargetShardCount: ptr(int32(2)), ScalingType: types.ScalingTypeUniformScaling})
	refused(t, err, "ValidationException", "is in On-Demand mode")
	_, err = f.c.StartStreamEncryption(f.ctx, &kinesis.StartStreamEncryptionInput{StreamName: ptr("s"), EncryptionType: types.EncryptionTypeNone, KeyId: ptr("k")})
	refused(t, err, "InvalidArgumentException", "EncryptionType must be KMS")
}

func TestAccountSettings(t *testing.T) {
	f := newFixture(t)
	demand := &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}
	d, err := f.c.DescribeAccountSettings(f.ctx, &kinesis.DescribeAccountSettingsInput{})
	must(t, err)
	if d.MinimumThroughputBillingCommitment.Status != "DISABLED" {
		t.Errorf("settings %+v", d)
	}
	set := func(s types.MinimumThroughputBillingCommitmentInputStatus) *types.MinimumThroughputBillingCommitmentOutput {
		u, err := f.c.UpdateAccountSettings(f.ctx, &kinesis.UpdateAccountSettingsInput{MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{Status: s}})
		must(t, err)
		return u.MinimumThroughputBillingCommitment
	}
	if c := set("ENABLED"); c.Status != "ENABLED" || c.EarliestAllowedEndAt.Sub(*c.StartedAt) != 24*time.Hour {
		t.Errorf("enabled: %+v", c)
	}
	if c := set("DISABLED"); c.Status != "ENABLED_UNTIL_EARLIEST_ALLOWED_END" {
		t.Errorf("disabled: %+v", c)
	}
	_, err = f.c.CreateStream(f.ctx, &kinesis.CreateStreamInput{StreamName: ptr("s"), StreamModeDetails: demand, WarmThroughputMiBps: ptr(int32(6))})
	must(t, err)
	f.active("s")
	w, err := f.c.UpdateStreamWarmThroughput(f.ctx, &kinesis.UpdateStreamWarmThroughputInput{StreamName: ptr("s"), WarmThroughputMiBps: ptr(int32(8))})
	must(t, err)
	if *w.WarmThroughput.CurrentMiBps != 6 || *w.WarmThroughput.TargetMiBps != 8 {
		t.Errorf("warm %+v", w.WarmThroughput)
	}
	f.active("s")
	l, err := f.c.DescribeLimits(f.ctx, &kinesis.DescribeLimitsInput{})
	must(t, err)
	sum, err := f.c.DescribeStreamSummary(f.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: ptr("s")})
	must(t, err)
	if *l.OnDemandStreamCount != 1 || *l.OpenShardCount != 0 || *l.ShardLimit != 20000 || *l.OnDemandStreamCountLimit != 50 || *sum.StreamDescriptionSummary.OpenShardCount != 8 {
		t.Errorf("limits %+v, shards %d", l, *sum.StreamDescriptionSummary.OpenShardCount)
	}
	c2 := stream.Commitment{Status: "ENABLED_UNTIL_EARLIEST_ALLOWED_END", StartedAt: time.Unix(0, 0)}
	if got := c2.Settled(time.Unix(86399, 0)).Status; got != c2.Status {
		t.Errorf("before its end it is %s", got)
	}
	if got := c2.Settled(time.Unix(86400, 0)); got.Status != "DISABLED" || !got.EndedAt.Equal(time.Unix(86400, 0)) {
		t.Errorf("at its end it is %+v", got)
	}
}

func TestTags(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 1)
	consumer := f.consumer(arn, "c")
	for _, resource := range []string{arn, consumer} {
		_, err := f.c.TagResource(f.ctx, &kinesis.TagResourceInput{ResourceARN: &resource, Tags: map[string]string{"a": "1", "b": "2"}})
		must(t, err)
		_, err = f.c.UntagResource(f.ctx, &kinesis.UntagResourceInput{ResourceARN: &resource, TagKeys: []string{"a", "zz"}})
		must(t, err)
		out, err := f.c.ListTagsForResource(f.ctx, &kinesis.ListTagsForResourceInput{ResourceARN: &resource})
		must(t, err)
		if len(out.Tags) != 1 || *out.Tags[0].Key != "b" || *out.Tags[0].Value != "2" {
			t.Errorf("tags of %s: %+v", resource, out.Tags)
		}
	}
	many := map[string]string{}
	for i := range 50 {
		many[fmt.Sprintf("k%02d", i)] = ""
	}
	_, err := f.c.AddTagsToStream(f.ctx, &kinesis.AddTagsToStreamInput{StreamName: ptr("s"), Tags: many})
	refused(t, err, "InvalidArgumentException", "cannot have more than 50 tags")
	_, err = f.c.RemoveTagsFromStream(f.ctx, &kinesis.RemoveTagsFromStreamInput{StreamName: ptr("s"), TagKeys: []string{"b"}})
	must(t, err)
	_, err = f.c.AddTagsToStream(f.ctx, &kinesis.AddTagsToStreamInput{StreamName: ptr("s"), Tags: many})
	must(t, err)
	p, err := f.c.ListTagsForStream(f.ctx, &kinesis.ListTagsForStreamInput{StreamName: ptr("s"), ExclusiveStartTagKey: ptr("k45"), Limit: ptr(int32(3))})
	must(t, err)
	if len(p.Tags) != 3 || *p.Tags[0].Key != "k46" || !*p.HasMoreTags {
		t.Errorf("page %+v", p)
	}
}

func TestOtherAccounts(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 1)
	other := f.client("999999999999")
	put := func() error {
		_, err := other.PutRecord(f.ctx, &kinesis.PutRecordInput{StreamARN: &arn, PartitionKey: ptr("k"), Data: []byte("x")})
		return err
	}
	refused(t, put(), "AccessDeniedException", "is not authorized to perform: kinesis:PutRecord on resource: "+arn+" because no resource-based policy allows the kinesis:PutRecord action")
	_, err := f.c.GetResourcePolicy(f.ctx, &kinesis.GetResourcePolicyInput{ResourceARN: &arn})
	refused(t, err, "ResourceNotFoundException", "No resource policy found")
	policy := func(effect, action string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["999999999999"]},"Action":"kinesis:*","Resource":%q},{"Effect":%q,"Principal":"*","Action":[%q],"Resource":"*"}]}`, arn, effect, action)
	}
	text := policy("Deny", "kinesis:Get*")
	_, err = f.c.PutResourcePolicy(f.ctx, &kinesis.PutResourcePolicyInput{ResourceARN: &arn, Policy: &text})
	must(t, err)
	must(t, put())
	_, err = other.GetShardIterator(f.ctx, &kinesis.GetShardIteratorInput{StreamARN: &arn, ShardId: ptr("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	refused(t, err, "AccessDeniedException", "kinesis:GetShardIterator")
	got, err := f.c.GetResourcePolicy(f.ctx, &kinesis.GetResourcePolicyInput{ResourceARN: &arn})
	must(t, err)
	if *got.Policy != text {
		t.Errorf("the policy is %s", *got.Policy)
	}
	for _, bad := range []string{"{", `{"Statement":[]}`, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Perhaps":{}}}]}`,
		`{"Statement":[{"Effect":"Perhaps","Principal":"*","Action":"*","Resource":"*"}]}`, `{"Statement":[{"Effect":"Allow","Principal":{"Servant":"x"},"Action":"*","Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:kinesis:eu-west-1:111122223333:stream/t"}]}`} {
		_, err := f.c.PutResourcePolicy(f.ctx, &kinesis.PutResourcePolicyInput{ResourceARN: &arn, Policy: &bad})
		refused(t, err, "InvalidArgumentException", "The policy is not")
	}
	_, err = f.c.DeleteResourcePolicy(f.ctx, &kinesis.DeleteResourcePolicyInput{ResourceARN: &arn})
	must(t, err)
	refused(t, put(), "AccessDeniedException", "kinesis:PutRecord")
}
