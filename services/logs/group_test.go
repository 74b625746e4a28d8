package logs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
)

func TestDescribeLogStreams(t *testing.T) {
	f := newFixture(t)
	var names []string
	for i := range 23 {
		name := fmt.Sprintf("app/%02d", i)
		if i%2 == 0 {
			name += "/x" // names that continue others'
		}
		names = append(names, name)
		f.stream("g", name)
		if i > 2 {
			f.put("g", name, int64((i*7)%23), "m")
		}
	}
	for _, tt := range []struct {
		by   types.OrderBy
		down bool
	}{{"", false}, {types.OrderByLogStreamName, true}, {types.OrderByLastEventTime, false}, {types.OrderByLastEventTime, true}} {
		in := &cwl.DescribeLogStreamsInput{LogGroupName: ptr("g"), OrderBy: tt.by, Descending: &tt.down, Limit: ptr(int32(4))}
		var got []types.LogStream
		for {
			page, err := f.DescribeLogStreams(f.ctx, in)
			must(t, err)
			if got = append(got, page.LogStreams...); page.NextToken == nil {
				break
			}
			in.NextToken = page.NextToken
		}
		if tt.down {
			slices.Reverse(got)
		}
		sorted := slices.IsSortedFunc(got, func(a, b types.LogStream) int {
			if tt.by == types.OrderByLastEventTime {
				return int(deref(a.LastEventTimestamp) - deref(b.LastEventTimestamp))
			}
			return strings.Compare(*a.LogStreamName, *b.LogStreamName)
		})
		var all []string
		for _, s := range got {
			all = append(all, *s.LogStreamName)
		}
		slices.Sort(all)
		if !sorted || !slices.Equal(all, names) {
			t.Errorf("%s descending %t: sorted %t, %v", tt.by, tt.down, sorted, all)
		}
	}
	out, err := f.DescribeLogStreams(f.ctx, &cwl.DescribeLogStreamsInput{LogGroupIdentifier: ptr("arn:aws:logs:eu-west-1:111122223333:log-group:g:*"), LogStreamNamePrefix: ptr("app/1")})
	if must(t, err); len(out.LogStreams) != 10 || *out.LogStreams[0].Arn != "arn:aws:logs:eu-west-1:111122223333:log-group:g:log-stream:app/10/x" {
		t.Errorf("%d streams", len(out.LogStreams))
	}
	empty, err := f.DescribeLogStreams(f.ctx, &cwl.DescribeLogStreamsInput{LogGroupName: ptr("g"), LogStreamNamePrefix: ptr("app/00")})
	must(t, err)
	if s := empty.LogStreams[0]; s.FirstEventTimestamp != nil || s.LastEventTimestamp != nil || s.UploadSequenceToken != nil || *s.StoredBytes != 0 {
		t.Errorf("an empty stream has events: %+v", s)
	}
	_, err = f.DescribeLogStreams(f.ctx, &cwl.DescribeLogStreamsInput{LogGroupName: ptr("g"), LogStreamNamePrefix: ptr("a"), OrderBy: types.OrderByLastEventTime})
	refused(t, err, "InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
	_, err = f.CreateLogStream(f.ctx, &cwl.CreateLogStreamInput{LogGroupName: ptr("g"), LogStreamName: ptr(names[0])})
	refused(t, err, "ResourceAlreadyExistsException", "The specified log stream already exists")
	_, err = f.CreateLogStream(f.ctx, &cwl.CreateLogStreamInput{LogGroupName: ptr("g"), LogStreamName: ptr("nul\x00")})
	refused(t, err, "InvalidParameterException", "without ':', '*' and NUL")
	_, err = f.DeleteLogStream(f.ctx, &cwl.DeleteLogStreamInput{LogGroupName: ptr("g"), LogStreamName: ptr(names[0])})
	must(t, err)
	_, err = f.DeleteLogStream(f.ctx, &cwl.DeleteLogStreamInput{LogGroupName: ptr("g"), LogStreamName: ptr(names[0])})
	refused(t, err, "ResourceNotFoundException", "The specified log stream does not exist.")
}

func TestDescribeLogGroups(t *testing.T) {
	f := newFixture(t)
	for _, n := range []string{"/ecs/web", "/ecs/db", "/lambda/Web", "x"} {
		in := &cwl.CreateLogGroupInput{LogGroupName: &n}
		if n == "x" {
			in.LogGroupClass = types.LogGroupClassInfrequentAccess
		}
		_, err := f.CreateLogGroup(f.ctx, in)
		must(t, err)
	}
	f.stream("/ecs/web", "s")
	f.put("/ecs/web", "s", 0, "a message")
	for _, tt := range []struct {
		in   cwl.DescribeLogGroupsInput
		want string
	}{
		{cwl.DescribeLogGroupsInput{}, "/ecs/db /ecs/web /lambda/Web x"},
		{cwl.DescribeLogGroupsInput{LogGroupNamePrefix: ptr("/ecs/")}, "/ecs/db /ecs/web"},
		{cwl.DescribeLogGroupsInput{LogGroupNamePattern: ptr("web")}, "/ecs/web"},
		{cwl.DescribeLogGroupsInput{LogGroupNamePattern: ptr("Web")}, "/lambda/Web"},
		{cwl.DescribeLogGroupsInput{LogGroupClass: types.LogGroupClassInfrequentAccess}, "x"},
		{cwl.DescribeLogGroupsInput{LogGroupIdentifiers: []string{"x", "arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/db"}}, "/ecs/db x"},
		{cwl.DescribeLogGroupsInput{AccountIdentifiers: []string{"999999999999"}}, ""},
		{cwl.DescribeLogGroupsInput{AccountIdentifiers: []string{"111122223333"}, LogGroupNamePrefix: ptr("x")}, "x"},
	} {
		tt.in.Limit = ptr(int32(2))
		var got []string
		for {
			page, err := f.DescribeLogGroups(f.ctx, &tt.in)
			must(t, err)
			for _, g := range page.LogGroups {
				got = append(got, *g.LogGroupName)
				arn := "arn:aws:logs:eu-west-1:111122223333:log-group:" + *g.LogGroupName
				if *g.LogGroupArn != arn || *g.Arn != arn+":*" || g.RetentionInDays != nil || *g.MetricFilterCount != 0 ||
					tt.in.LogGroupNamePattern == nil && (*g.StoredBytes > 0) != (*g.LogGroupName == "/ecs/web") {
					t.Errorf("group %+v", g)
				}
			}
			if tt.in.NextToken = page.NextToken; tt.in.NextToken == nil {
				break
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("groups %v, want %s", got, tt.want)
		}
	}
	// A search by pattern shows less of a group.
	found, err := f.DescribeLogGroups(f.ctx, &cwl.DescribeLogGroupsInput{LogGroupNamePattern: ptr("web")})
	must(t, err)
	if g := found.LogGroups[0]; g.StoredBytes != nil || g.DeletionProtectionEnabled != nil || g.CreationTime == nil || g.LogGroupArn == nil || g.LogGroupClass != "STANDARD" {
		t.Errorf("by pattern: %+v", g)
	}
	_, err = f.DescribeLogGroups(f.ctx, &cwl.DescribeLogGroupsInput{LogGroupNamePrefix: ptr("a"), LogGroupNamePattern: ptr("a")})
	refused(t, err, "InvalidParameterException", "mutually exclusive")
	_, err = f.CreateLogGroup(f.ctx, &cwl.CreateLogGroupInput{LogGroupName: ptr("x")})
	refused(t, err, "ResourceAlreadyExistsException", "The specified log group already exists")
	for _, in := range []cwl.CreateLogGroupInput{{KmsKeyId: ptr("k")}, {DeletionProtectionEnabled: ptr(true)}} {
		in.LogGroupName = ptr("y")
		_, err = f.CreateLogGroup(f.ctx, &in)
		refused(t, err, "InvalidParameterException", "not supported")
	}
	_, err = f.DeleteLogGroup(f.ctx, &cwl.DeleteLogGroupInput{LogGroupName: ptr("/ecs/web")})
	must(t, err)
	f.stream("/ecs/web", "s")
	page, err := f.GetLogEvents(f.ctx, &cwl.GetLogEventsInput{LogGroupName: ptr("/ecs/web"), LogStreamName: ptr("s")})
	if must(t, err); len(page.Events) != 0 {
		t.Error("events outlive their group")
	}
}

func TestRetentionPolicy(t *testing.T) {
	f := newFixture(t)
	for n, class := range map[string]types.LogGroupClass{"g": "", "d": types.LogGroupClassDelivery} {
		_, err := f.CreateLogGroup(f.ctx, &cwl.CreateLogGroupInput{LogGroupName: &n, LogGroupClass: class})
		must(t, err)
	}
	shown := func(n string) int32 {
		out, err := f.DescribeLogGroups(f.ctx, &cwl.DescribeLogGroupsInput{LogGroupNamePrefix: &n})
		must(t, err)
		return deref(out.LogGroups[0].RetentionInDays)
	}
	put := func(n string, days int32) error {
		_, err := f.PutRetentionPolicy(f.ctx, &cwl.PutRetentionPolicyInput{LogGroupName: &n, RetentionInDays: &days})
		return err
	}
	must(t, put("g", 14))
	if shown("g") != 14 || shown("d") != 2 {
		t.Errorf("retention %d and %d days", shown("g"), shown("d"))
	}
	refused(t, put("g", 2), "InvalidParameterException", "must be one of")
	for _, err := range []error{put("d", 7), second(f.DeleteRetentionPolicy(f.ctx, &cwl.DeleteRetentionPolicyInput{LogGroupName: ptr("d")}))} {
		var api *awsapi.Error
		if !errors.As(err, &api) || api.Code != "ValidationException" || api.Message != "This operation is not supported for Delivery log class" {
			t.Errorf("error %v", err)
		}
	}
	refused(t, put("none", 7), "ResourceNotFoundException", "log group")
	_, err := f.DeleteRetentionPolicy(f.ctx, &cwl.DeleteRetentionPolicyInput{LogGroupName: ptr("g")})
	if must(t, err); shown("g") != 0 {
		t.Errorf("retention %d days", shown("g"))
	}
}

func second[T any](_ T, err error) error { return err }

func TestTags(t *testing.T) {
	f := newFixture(t)
	_, err := f.CreateLogGroup(f.ctx, &cwl.CreateLogGroupInput{LogGroupName: ptr("g"), Tags: map[string]string{"a": "1", "b": "2"}})
	must(t, err)
	arn := ptr("arn:aws:logs:eu-west-1:111122223333:log-group:g")
	want := func(tags map[string]string) {
		t.Helper()
		for _, a := range []string{*arn, *arn + ":*"} {
			out, err := f.ListTagsForResource(f.ctx, &cwl.ListTagsForResourceInput{ResourceArn: &a})
			if must(t, err); !maps.Equal(out.Tags, tags) {
				t.Errorf("tags %v, want %v", out.Tags, tags)
			}
		}
		old, err := f.ListTagsLogGroup(f.ctx, &cwl.ListTagsLogGroupInput{LogGroupName: ptr("g")})
		if must(t, err); !maps.Equal(old.Tags, tags) {
			t.Errorf("tags %v, want %v", old.Tags, tags)
		}
	}
	_, err = f.TagResource(f.ctx, &cwl.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"b": "3", "c": ""}})
	must(t, err)
	want(map[string]string{"a": "1", "b": "3", "c": ""})
	_, err = f.UntagResource(f.ctx, &cwl.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a", "none"}})
	must(t, err)
	_, err = f.TagLogGroup(f.ctx, &cwl.TagLogGroupInput{LogGroupName: ptr("g"), Tags: map[string]string{"d": "4"}})
	must(t, err)
	_, err = f.UntagLogGroup(f.ctx, &cwl.UntagLogGroupInput{LogGroupName: ptr("g"), Tags: []string{"b"}})
	must(t, err)
	want(map[string]string{"c": "", "d": "4"})
	_, err = f.TagResource(f.ctx, &cwl.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"AWS:x": "1"}})
	refused(t, err, "InvalidParameterException", "reserved")
	many := make(map[string]string)
	for i := range 49 {
		many[fmt.Sprint(i)] = "x"
	}
	_, err = f.TagResource(f.ctx, &cwl.TagResourceInput{ResourceArn: arn, Tags: many})
	refused(t, err, "TooManyTagsException", "50 tags")
	want(map[string]string{"c": "", "d": "4"})
	_, err = f.ListTagsForResource(f.ctx, &cwl.ListTagsForResourceInput{ResourceArn: ptr(*arn + "none")})
	refused(t, err, "ResourceNotFoundException", "log group")
}
