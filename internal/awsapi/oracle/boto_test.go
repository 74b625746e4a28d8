package oracle

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	r53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/dhowhq/dhow/internal/awsapi"
)

var when = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// botoCalls is the table of requests: what boto3 is asked to do, what the
// handler is to get and what it answers, and what boto3 is to make of it.
var botoCalls = []struct {
	model, service, op, method string
	params                     string // as JSON, with {"$bytes": base64} and {"$time": ISO 8601}
	in                         any    // what the handler must get
	has, hasNot                []string
	out                        any // what it returns, an output or an error
	want                       string
}{
	{"ecs", "ecs", "RunTask", "run_task", `{"taskDefinition":"td","count":2,"enableECSManagedTags":false,"tags":[{"key":"a","value":"é"}],"overrides":{"containerOverrides":[{"name":"c","environment":[{"name":"X","value":""}]}]},"clientToken":"t"}`,
		&ecs.RunTaskInput{TaskDefinition: aws.String("td"), Count: aws.Int32(2), Tags: []ecstypes.Tag{{Key: aws.String("a"), Value: aws.String("é")}}, ClientToken: aws.String("t"),
			Overrides: &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("c"), Environment: []ecstypes.KeyValuePair{{Name: aws.String("X"), Value: aws.String("")}}}}}},
		[]string{"enableECSManagedTags", "count"}, []string{"enableExecuteCommand", "cluster"},
		&ecs.RunTaskOutput{Tasks: []ecstypes.Task{{TaskArn: aws.String("arn"), CreatedAt: aws.Time(when), Version: 3}}, Failures: []ecstypes.Failure{}},
		`{"out":{"tasks":[{"taskArn":"arn","createdAt":{"$time":"2026-01-02T03:04:05+00:00"},"enableExecuteCommand":false,"version":3}],"failures":[]},"status":200}`},
	{"ecs", "ecs", "RunTask", "run_task", `{"taskDefinition":"td","clientToken":"t"}`, nil, nil, nil,
		&ecstypes.ConflictException{Message: aws.String("again"), ResourceIds: []string{"arn1"}},
		`{"error":"ConflictException","message":"again","typed":"ConflictException","status":400,"extra":{"message":"again","resourceIds":["arn1"]}}`},
	{"ecr", "ecr", "BatchGetImage", "batch_get_image", `{"repositoryName":"r","imageIds":[{"imageTag":"v1"}]}`,
		&ecr.BatchGetImageInput{RepositoryName: aws.String("r"), ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: aws.String("v1")}}}, []string{"imageIds"}, nil, &ecr.BatchGetImageOutput{}, `{"out":{},"status":200}`},
	{"ecr", "ecr", "UploadLayerPart", "upload_layer_part", `{"repositoryName":"r","uploadId":"ca9e1dd1-54a2-4bd4-8e39-6e9c9ab46e1a","partFirstByte":0,"partLastByte":1,"layerPartBlob":{"$bytes":"AP8="}}`,
		&ecr.UploadLayerPartInput{RepositoryName: aws.String("r"), UploadId: aws.String("ca9e1dd1-54a2-4bd4-8e39-6e9c9ab46e1a"), PartFirstByte: aws.Int64(0), PartLastByte: aws.Int64(1), LayerPartBlob: []byte{0, 255}},
		nil, nil, &ecr.UploadLayerPartOutput{LastByteReceived: aws.Int64(1)}, `{"out":{"lastByteReceived":1},"status":200}`},
	{"logs", "logs", "PutLogEvents", "put_log_events", `{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1767323045000,"message":"line\n\u0000"}]}`, nil, nil, nil,
		&cloudwatchlogs.PutLogEventsOutput{NextSequenceToken: aws.String("1")}, `{"out":{"nextSequenceToken":"1"},"status":200}`},
	{"logs", "logs", "PutRetentionPolicy", "put_retention_policy", `{"logGroupName":"g","retentionInDays":7}`,
		&cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String("g"), RetentionInDays: aws.Int32(7)}, nil, nil, &cloudwatchlogs.PutRetentionPolicyOutput{}, `{"out":{},"status":200}`},
	{"elbv2", "elbv2", "CreateRule", "create_rule", `{"ListenerArn":"l","Priority":5,"Conditions":[{"Field":"path-pattern","PathPatternConfig":{"Values":["/a*","/b & c"]}}],"Actions":[{"Type":"forward","TargetGroupArn":"t","ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"t","Weight":1}],"TargetGroupStickinessConfig":{"Enabled":false}}}],"Tags":[]}`,
		&elbv2.CreateRuleInput{ListenerArn: aws.String("l"), Priority: aws.Int32(5), Tags: []elbtypes.Tag{},
			Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), PathPatternConfig: &elbtypes.PathPatternConditionConfig{Values: []string{"/a*", "/b & c"}}}},
			Actions: []elbtypes.Action{{Type: "forward", TargetGroupArn: aws.String("t"), ForwardConfig: &elbtypes.ForwardActionConfig{
				TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: aws.String("t"), Weight: aws.Int32(1)}}, TargetGroupStickinessConfig: &elbtypes.TargetGroupStickinessConfig{Enabled: aws.Bool(false)}}}}},
		nil, nil, &elbv2.CreateRuleOutput{Rules: []elbtypes.Rule{{RuleArn: aws.String("<r>"), IsDefault: aws.Bool(false), Actions: []elbtypes.Action{}}}},
		`{"out":{"Rules":[{"RuleArn":"<r>","IsDefault":false,"Actions":[]}]},"status":200}`},
	{"elbv2", "elbv2", "CreateRule", "create_rule", `{"ListenerArn":"l","Priority":5,"Conditions":[],"Actions":[]}`, nil, nil, nil,
		&elbtypes.PriorityInUseException{Message: aws.String("Priority '5' is currently in use")},
		`{"error":"PriorityInUse","message":"Priority '5' is currently in use","typed":"PriorityInUseException","status":400}`},
	{"ec2", "ec2", "DescribeVpcs", "describe_vpcs", `{"Filters":[{"Name":"isDefault","Values":["true"]}],"VpcIds":["vpc-1"],"DryRun":false}`,
		&ec2.DescribeVpcsInput{Filters: []ec2types.Filter{{Name: aws.String("isDefault"), Values: []string{"true"}}}, VpcIds: []string{"vpc-1"}, DryRun: aws.Bool(false)}, nil, nil,
		&ec2.DescribeVpcsOutput{Vpcs: []ec2types.Vpc{{VpcId: aws.String("vpc-1"), IsDefault: aws.Bool(true), State: "available", CidrBlockAssociationSet: []ec2types.VpcCidrBlockAssociation{{CidrBlock: aws.String("10.0.0.0/16")}}}}},
		`{"out":{"Vpcs":[{"VpcId":"vpc-1","IsDefault":true,"State":"available","CidrBlockAssociationSet":[{"CidrBlock":"10.0.0.0/16"}]}]},"status":200}`},
	{"ec2", "ec2", "DescribeVpcs", "describe_vpcs", `{}`, nil, nil, []string{"VpcIds"}, &awsapi.Error{Code: "InvalidVpcID.NotFound", Message: "The vpc ID 'vpc-1' does not exist"},
		`{"error":"InvalidVpcID.NotFound","message":"The vpc ID 'vpc-1' does not exist","typed":"ClientError","status":400}`},
	{"sqs", "sqs", "ReceiveMessage", "receive_message", `{"QueueUrl":"http://h/1/q","VisibilityTimeout":0,"WaitTimeSeconds":0}`,
		&sqs.ReceiveMessageInput{QueueUrl: aws.String("http://h/1/q")}, []string{"VisibilityTimeout", "WaitTimeSeconds"}, []string{"MaxNumberOfMessages"},
		&sqs.ReceiveMessageOutput{Messages: []sqstypes.Message{{Body: aws.String("b"), MD5OfBody: aws.String("92eb5ffee6ae2fec3ad71c777531578f"), Attributes: map[string]string{"SenderId": "x"}}}},
		`{"out":{"Messages":[{"Body":"b","MD5OfBody":"92eb5ffee6ae2fec3ad71c777531578f","Attributes":{"SenderId":"x"}}]},"status":200}`},
	{"sqs", "sqs", "SendMessage", "send_message", `{"QueueUrl":"http://h/1/q","MessageBody":"b","MessageAttributes":{"n":{"DataType":"Binary","BinaryValue":{"$bytes":"AQI="}}}}`,
		&sqs.SendMessageInput{QueueUrl: aws.String("http://h/1/q"), MessageBody: aws.String("b"), MessageAttributes: map[string]sqstypes.MessageAttributeValue{"n": {DataType: aws.String("Binary"), BinaryValue: []byte{1, 2}}}},
		nil, []string{"DelaySeconds"}, &sqstypes.QueueDoesNotExist{Message: aws.String("The specified queue does not exist.")},
		`{"error":"AWS.SimpleQueueService.NonExistentQueue","message":"The specified queue does not exist.","typed":"QueueDoesNotExist","status":400}`},
	{"cloudwatch", "cloudwatch", "GetMetricStatistics", "get_metric_statistics", `{"Namespace":"N","MetricName":"m","StartTime":{"$time":"2026-01-02T03:04:05+00:00"},"EndTime":{"$time":"2026-01-02T03:04:05+00:00"},"Period":60,"Statistics":["Sum"]}`,
		&cloudwatch.GetMetricStatisticsInput{Namespace: aws.String("N"), MetricName: aws.String("m"), StartTime: aws.Time(when), EndTime: aws.Time(when), Period: aws.Int32(60), Statistics: []cwtypes.Statistic{"Sum"}}, nil, nil,
		&cloudwatch.GetMetricStatisticsOutput{Label: aws.String("m"), Datapoints: []cwtypes.Datapoint{{Timestamp: aws.Time(when), Sum: aws.Float64(1.5), Unit: "Count"}}},
		`{"out":{"Label":"m","Datapoints":[{"Timestamp":{"$time":"2026-01-02T03:04:05+00:00"},"Sum":1.5,"Unit":"Count"}]},"status":200}`},
	{"cloudwatch", "cloudwatch", "GetDashboard", "get_dashboard", `{"DashboardName":"d"}`, nil, nil, nil, &cwtypes.DashboardNotFoundError{Message: aws.String("none")},
		`{"error":"ResourceNotFound","message":"none","typed":"ResourceNotFound","status":404}`},
	{"lambda", "lambda", "Invoke", "invoke", `{"FunctionName":"arn:aws:lambda:eu-central-1:1:function:f","Payload":{"$bytes":"eyJhIjoxfQ=="},"InvocationType":"RequestResponse","Qualifier":"$LATEST"}`,
		&lambda.InvokeInput{FunctionName: aws.String("arn:aws:lambda:eu-central-1:1:function:f"), Payload: []byte(`{"a":1}`), InvocationType: "RequestResponse", Qualifier: aws.String("$LATEST")}, nil, nil,
		&lambda.InvokeOutput{StatusCode: 200, Payload: []byte("null"), ExecutedVersion: aws.String("1")}, `{"out":{"StatusCode":200,"Payload":{"$bytes":"bnVsbA=="},"ExecutedVersion":"1"},"status":200}`},
	{"lambda", "lambda", "TagResource", "tag_resource", `{"Resource":"arn:aws:lambda:eu-central-1:123456789012:function:f","Tags":{"a b":"ü"}}`,
		&lambda.TagResourceInput{Resource: aws.String("arn:aws:lambda:eu-central-1:123456789012:function:f"), Tags: map[string]string{"a b": "ü"}}, nil, nil, &lambda.TagResourceOutput{}, `{"out":{},"status":204}`},
	{"route53", "route53", "ChangeResourceRecordSets", "change_resource_record_sets", `{"HostedZoneId":"Z1","ChangeBatch":{"Comment":"<&>","Changes":[{"Action":"UPSERT","ResourceRecordSet":{"Name":"a.example.","Type":"A","TTL":60,"ResourceRecords":[{"Value":"1.2.3.4"}]}}]}}`,
		&route53.ChangeResourceRecordSetsInput{HostedZoneId: aws.String("Z1"), ChangeBatch: &r53types.ChangeBatch{Comment: aws.String("<&>"), Changes: []r53types.Change{{Action: "UPSERT",
			ResourceRecordSet: &r53types.ResourceRecordSet{Name: aws.String("a.example."), Type: "A", TTL: aws.Int64(60), ResourceRecords: []r53types.ResourceRecord{{Value: aws.String("1.2.3.4")}}}}}}}, nil, nil,
		&route53.ChangeResourceRecordSetsOutput{ChangeInfo: &r53types.ChangeInfo{Id: aws.String("/change/C1"), Status: "PENDING", SubmittedAt: aws.Time(when)}},
		`{"out":{"ChangeInfo":{"Id":"/change/C1","Status":"PENDING","SubmittedAt":{"$time":"2026-01-02T03:04:05+00:00"}}},"status":200}`},
	{"route53", "route53", "ChangeResourceRecordSets", "change_resource_record_sets", `{"HostedZoneId":"Z1","ChangeBatch":{"Changes":[]}}`, nil, nil, nil,
		&r53types.NoSuchHostedZone{Message: aws.String("No hosted zone found")}, `{"error":"NoSuchHostedZone","message":"No hosted zone found","typed":"NoSuchHostedZone","status":404}`},
	{"sts", "sts", "GetCallerIdentity", "get_caller_identity", `{}`, &sts.GetCallerIdentityInput{}, nil, nil, &sts.GetCallerIdentityOutput{Account: aws.String("1"), Arn: aws.String("a"), UserId: aws.String("u")},
		`{"out":{"Account":"1","Arn":"a","UserId":"u"},"status":200}`},
	{"ecs", "ecs", "ListTasks", "list_tasks", `{}`, nil, nil, nil, nil,
		`{"error":"NotImplemented","message":"dhow does not serve ecs.ListTasks. See docs/coverage.md for what it serves.","typed":"ClientError","status":501}`},
}

// botoProcess starts the script, or skips where Python or boto3 is missing.
func botoProcess(t *testing.T, url string) (io.Writer, *bufio.Scanner) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: boto3 cannot be asked")
	}
	if err := exec.Command(python, "-c", "import boto3").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 is installed and boto3 is not: pip install boto3")
		}
		t.Skip("boto3 is not installed: pip install boto3")
	}
	cmd := exec.Command(python, "testdata/boto.py", url)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	return stdin, lines
}

// TestBoto3 makes the table's calls with boto3.
func TestBoto3(t *testing.T) {
	echoes := map[string]*echo{}
	handlers := map[string]awsapi.Handlers{}
	clients := map[string]any{}
	for _, f := range faces {
		clients[f.model] = f.client(aws.Config{})
		handlers[f.model], echoes[f.model] = awsapi.Handlers{}, &echo{}
	}
	for _, c := range botoCalls {
		if c.out != nil {
			method := reflect.ValueOf(clients[c.model]).MethodByName(c.op)
			handlers[c.model][c.op] = echoes[c.model].handler(c.op, method.Type())
		}
	}
	var services []awsapi.Service
	for name, hs := range handlers {
		s := awsapi.Service{Model: name, API: hs}
		if name == "sqs" {
			s.QueryCodes = map[string]string{"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}
		}
		services = append(services, s)
	}
	s, err := awsapi.New(awsapi.Config{SkipConstraints: true}, services...)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	stdin, lines := botoProcess(t, server.URL)
	for _, c := range botoCalls {
		e := echoes[c.model]
		e.in, e.out, e.fail = nil, c.out, nil
		if err, ok := c.out.(error); ok {
			e.out, e.fail = nil, err
		}
		line, err := json.Marshal(map[string]any{"service": c.service, "method": c.method, "params": json.RawMessage(c.params)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stdin.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() {
			t.Fatalf("%s: boto3 gave no answer: %v", c.method, lines.Err())
		}
		checkBoto(t, c.method, lines.Bytes(), c.want)
		if c.in != nil && e.in != nil {
			if d := diff(reflect.ValueOf(c.in), reflect.ValueOf(e.in), false); d != "" {
				t.Errorf("%s: the handler got %s", c.method, d)
			}
		}
		for _, name := range c.has {
			if !e.has[strings.ToUpper(name[:1])+name[1:]] {
				t.Errorf("%s: Has(%s) is false", c.method, name)
			}
		}
		for _, name := range c.hasNot {
			if e.has[strings.ToUpper(name[:1])+name[1:]] {
				t.Errorf("%s: Has(%s) is true", c.method, name)
			}
		}
	}
}

// checkBoto compares boto3's answer with the one wanted; for errors of older
// protocols it does not look at the members beside code and message.
func checkBoto(t *testing.T, method string, got []byte, want string) {
	var g, w map[string]any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %v: %s", method, err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%s: %v: %s", method, err, want)
	}
	if id, _ := g["id"].(string); len(id) != 36 {
		t.Errorf("%s: the request id is %q", method, id)
	}
	delete(g, "id")
	if _, wanted := w["extra"]; !wanted {
		delete(g, "extra")
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("%s: boto3 says\n%s\nwant\n%s", method, got, want)
	}
}
