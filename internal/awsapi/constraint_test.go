package awsapi_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// TestConstraints holds the sentences against what AWS was recorded to say,
// but for the order of enum values, which there is that of a hash table.
func TestConstraints(t *testing.T) {
	_, url := start(t, awsapi.Config{},
		awsapi.Service{Model: "logs", API: awsapi.Handlers{
			"GetLogEvents": func(context.Context, *cloudwatchlogs.GetLogEventsInput) (*cloudwatchlogs.GetLogEventsOutput, error) {
				return &cloudwatchlogs.GetLogEventsOutput{}, nil
			}}},
		awsapi.Service{Model: "cloudwatch", API: awsapi.Handlers{
			"SetAlarmState": func(context.Context, *cloudwatch.SetAlarmStateInput) (*cloudwatch.SetAlarmStateOutput, error) {
				return &cloudwatch.SetAlarmStateOutput{}, nil
			}}},
		awsapi.Service{Model: "lambda", API: awsapi.Handlers{
			"AddPermission": func(context.Context, *lambda.AddPermissionInput) (*lambda.AddPermissionOutput, error) {
				return &lambda.AddPermissionOutput{}, nil
			},
			"PutProvisionedConcurrencyConfig": func(context.Context, *lambda.PutProvisionedConcurrencyConfigInput) (*lambda.PutProvisionedConcurrencyConfigOutput, error) {
				return &lambda.PutProvisionedConcurrencyConfigOutput{}, nil
			},
			"UntagResource": func(context.Context, *lambda.UntagResourceInput) (*lambda.UntagResourceOutput, error) {
				return &lambda.UntagResourceOutput{}, nil
			},
			"UpdateFunctionConfiguration": func(context.Context, *lambda.UpdateFunctionConfigurationInput) (*lambda.UpdateFunctionConfigurationOutput, error) {
				return &lambda.UpdateFunctionConfigurationOutput{}, nil
			}}},
		awsapi.Service{Model: "sns", API: awsapi.Handlers{
			"SetEndpointAttributes": func(context.Context, *sns.SetEndpointAttributesInput) (*sns.SetEndpointAttributesOutput, error) {
				return &sns.SetEndpointAttributesOutput{}, nil
			},
			"Publish": func(context.Context, *sns.PublishInput) (*sns.PublishOutput, error) { return &sns.PublishOutput{}, nil }}},
		awsapi.Service{Model: "ecr", API: awsapi.Handlers{
			"CreateRepository": func(context.Context, *ecr.CreateRepositoryInput) (*ecr.CreateRepositoryOutput, error) {
				return &ecr.CreateRepositoryOutput{}, nil
			}}},
		awsapi.Service{Model: "ecs", API: awsapi.Handlers{
			"RunTask": func(context.Context, *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) { return &ecs.RunTaskOutput{}, nil }}},
		awsapi.Service{Model: "elbv2", API: awsapi.Handlers{
			"CreateRule": func(context.Context, *elbv2.CreateRuleInput) (*elbv2.CreateRuleOutput, error) {
				return &elbv2.CreateRuleOutput{}, nil
			}}},
		awsapi.Service{Model: "ec2", API: awsapi.Handlers{
			"DescribeVpcs": func(context.Context, *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
				return &ec2.DescribeVpcsOutput{}, nil
			}}},
		awsapi.Service{Model: "route53", API: awsapi.Handlers{
			"ChangeResourceRecordSets": func(context.Context, *route53.ChangeResourceRecordSetsInput) (*route53.ChangeResourceRecordSetsOutput, error) {
				return &route53.ChangeResourceRecordSetsOutput{}, nil
			}}},
		awsapi.Service{Model: "sqs", API: awsapi.Handlers{
			"SendMessage": func(context.Context, *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
				return &sqs.SendMessageOutput{}, nil
			}}},
	)
	target := func(t, body string) request {
		return request{"POST", "/", body, map[string]string{"X-Amz-Target": t, "Content-Type": "application/x-amz-json-1.1"}}
	}
	for _, c := range []struct {
		req        request
		code, want string
	}{
		{target("Logs_20140328.GetLogEvents", `{"logStreamName":"s","limit":10001}`), "InvalidParameterException",
			"1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"},
		{form("Action=SetAlarmState&Version=2010-08-01&AlarmName=a&StateReason=r&StateValue=INVALID"), "ValidationError",
			"1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: [OK, ALARM, INSUFFICIENT_DATA]"},
		{request{"POST", "/2015-03-31/functions/f/policy", `{"StatementId":"example.com","Action":"*","Principal":"p"}`, nil}, "ValidationException",
			"1 validation error detected: Value 'example.com' at 'statementId' failed to satisfy constraint: Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)"},
		{request{"PUT", "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1", `{"ProvisionedConcurrentExecutions":0}`, nil}, "ValidationException",
			"1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{request{"DELETE", "/2017-03-31/tags/arn:aws:lambda:us-east-1:111111111111:function:f", "", nil}, "ValidationException",
			"1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"},
		{request{"PUT", "/2015-03-31/functions/f/configuration", `{"VpcConfig":{"SubnetIds":["bad-1"]}}`, nil}, "ValidationException",
			"1 validation error detected: Value '[bad-1]' at 'vpcConfig.subnetIds' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*]"},
		{form("Action=SetEndpointAttributes&Version=2010-03-31&EndpointArn=a"), "ValidationError",
			"1 validation error detected: Value null at 'attributes' failed to satisfy constraint: Member must not be null"},
		{form("Action=Publish&Version=2010-03-31&Message=m&MessageAttributes.entry.1.Name=attr1&MessageAttributes.entry.1.Value.StringValue=x"), "ValidationError",
			"1 validation error detected: Value null at 'messageAttributes.attr1.member.dataType' failed to satisfy constraint: Member must not be null"},
		{target("AmazonEC2ContainerRegistry_V20150921.CreateRepository", `{"repositoryName":"Bad Name"}`), "InvalidParameterException",
			"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*''"},
		{target("AmazonEC2ContainerRegistry_V20150921.CreateRepository", `{"repositoryName":"a"}`), "InvalidParameterException",
			"Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must have length greater than or equal to 2'"},
		{target("AmazonEC2ContainerServiceV20141113.RunTask", `{"taskDefinition":"t","launchType":"X"}`), "InvalidParameterException",
			"1 validation error detected: Value 'X' at 'launchType' failed to satisfy constraint: Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]"},
		{form("Action=CreateRule&Version=2015-12-01&ListenerArn=l&Priority=0&Conditions.member.1.Field=f&Actions.member.1.Type=forward"), "ValidationError",
			"1 validation error detected: Value '0' at 'priority' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{form("Action=DescribeVpcs&Version=2016-11-15&MaxResults=1"), "InvalidParameterValue",
			"Value (1) for parameter maxResults is invalid. Member must have value greater than or equal to 5"},
		{request{"POST", "/2013-04-01/hostedzone/Z/rrset", "<a><ChangeBatch/></a>", nil}, "InvalidInput",
			"1 validation error detected: Value null at 'changeBatch.changes' failed to satisfy constraint: Member must not be null"},
		{target("AmazonSQS.SendMessage", `{"QueueUrl":"u"}`), "MissingRequiredParameterException", "The request must contain the parameter MessageBody."},
	} {
		status, body, h := c.req.send(t, url)
		code := strings.Contains(body, "<Code>"+c.code+"<") || strings.Contains(body, `"__type":"`+c.code) || h.Get("x-amzn-ErrorType") == c.code
		var e struct{ Message string }
		if json.Unmarshal([]byte(body), &e) == nil {
			body = e.Message
		}
		if status != 400 || !code || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s\nwant %s: %s", c.req.path, c.req.body, status, body, c.code, c.want)
		}
	}
}

// A service that checks some shapes itself keeps its typed errors whole.
func TestUncheckedErrors(t *testing.T) {
	_, url := start(t, awsapi.Config{}, awsapi.Service{Model: "ecr", Unchecked: []string{"RepositoryName"}, API: awsapi.Handlers{
		"CreateRepository": func(context.Context, *ecr.CreateRepositoryInput) (*ecr.CreateRepositoryOutput, error) {
			word := "there"
			return nil, &ecrtypes.RepositoryAlreadyExistsException{Message: &word}
		}}})
	req := request{"POST", "/", `{"repositoryName":"Bad Name"}`, map[string]string{
		"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository", "Content-Type": "application/x-amz-json-1.1"}}
	if status, body, _ := req.send(t, url); status != 400 || !strings.Contains(body, `"__type":"RepositoryAlreadyExistsException"`) || !strings.Contains(body, `"message":"there"`) {
		t.Errorf("%d %s", status, body)
	}
}
