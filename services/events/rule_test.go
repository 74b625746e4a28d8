package events

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func TestRules(t *testing.T) {
	f := newFixture(t)
	f.rule("r", "", updates)
	_, err := f.client.DisableRule(f.ctx, &eventbridge.DisableRuleInput{Name: ptr("r")})
	must(t, err)
	f.put("", `{"command":"update-account","n":1}`)
	_, err = f.client.EnableRule(f.ctx, &eventbridge.EnableRuleInput{Name: ptr("r")})
	must(t, err)
	f.put("", `{"command":"update-account","n":2}`)
	if got := decode(t, f.queues.wait(t, queueARN("r"), 1)[0]); got["detail"].(map[string]any)["n"] != 2.0 {
		t.Errorf("a disabled rule acted: %v", got)
	}
	d, err := f.client.DescribeRule(f.ctx, &eventbridge.DescribeRuleInput{Name: ptr("r")})
	must(t, err)
	if *d.Arn != "arn:aws:events:eu-west-1:111111111111:rule/r" || *d.CreatedBy != account || *d.EventBusName != "default" || d.State != types.RuleStateEnabled || *d.EventPattern != updates {
		t.Errorf("%+v", d)
	}
	_, err = f.client.DeleteRule(f.ctx, &eventbridge.DeleteRuleInput{Name: ptr("r")})
	refused(t, err, "ValidationException", "Rule can't be deleted since it has targets.")
	// PutRule keeps targets.
	_, err = f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("r"), EventPattern: ptr(`{"source":["x"]}`)})
	must(t, err)
	l, err := f.client.ListTargetsByRule(f.ctx, &eventbridge.ListTargetsByRuleInput{Rule: ptr("r")})
	must(t, err)
	if len(l.Targets) != 1 || *l.Targets[0].Id != "target" {
		t.Errorf("%+v", l.Targets)
	}
	out, err := f.client.RemoveTargets(f.ctx, &eventbridge.RemoveTargetsInput{Rule: ptr("r"), Ids: []string{"target", "other"}})
	must(t, err)
	if out.FailedEntryCount != 1 || *out.FailedEntries[0].TargetId != "other" {
		t.Errorf("%+v", out)
	}
	_, err = f.client.DeleteRule(f.ctx, &eventbridge.DeleteRuleInput{Name: ptr("r")})
	must(t, err)
	_, err = f.client.DescribeRule(f.ctx, &eventbridge.DescribeRuleInput{Name: ptr("r")})
	refused(t, err, "ResourceNotFoundException", "Rule r does not exist on EventBus default.")
	_, err = f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("r"), EventBusName: ptr("no"), EventPattern: ptr(updates)})
	refused(t, err, "ResourceNotFoundException", "Event bus no does not exist.")
	_, err = f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("r")})
	refused(t, err, "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
}

func TestListRuleNamesByTarget(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		f.rule(fmt.Sprint("rule-", i), "", updates, func(t *types.Target) { t.Arn = ptr(queueARN("q")) })
	}
	f.target("rule-0", "", types.Target{Id: ptr("again"), Arn: ptr(queueARN("q"))})
	var pages []string
	var next *string
	for {
		out, err := f.client.ListRuleNamesByTarget(f.ctx, &eventbridge.ListRuleNamesByTargetInput{TargetArn: ptr(queueARN("q")), Limit: ptr(int32(2)), NextToken: next})
		must(t, err)
		pages = append(pages, strings.Join(out.RuleNames, " "))
		if next = out.NextToken; next == nil {
			break
		}
	}
	if got := strings.Join(pages, "|"); got != "rule-0 rule-1|rule-2 rule-3|rule-4" {
		t.Error(got)
	}
	out, err := f.client.ListRuleNamesByTarget(f.ctx, &eventbridge.ListRuleNamesByTargetInput{TargetArn: ptr(queueARN("other"))})
	must(t, err)
	if len(out.RuleNames) != 0 {
		t.Errorf("%v", out.RuleNames)
	}
}

func TestTargetRefusals(t *testing.T) {
	f := newFixture(t)
	f.rule("r", "", updates)
	for _, c := range []struct {
		t    types.Target
		want string
	}{
		{types.Target{Arn: ptr("nonsense")}, "Parameter nonsense is not valid. Reason: Provided Arn is not in correct format."},
		{types.Target{Arn: ptr(queueARN("q.fifo"))}, "Parameter(s) MessageGroupId must be specified for target: t."},
		{types.Target{Arn: ptr("arn:aws:ecs:eu-west-1:111111111111:cluster/c")}, "Parameter(s) EcsParameters must be specified for target: t."},
		{types.Target{Arn: ptr(queueARN("q")), KinesisParameters: &types.KinesisParameters{PartitionKeyPath: ptr("$.id")}}, "Parameter KinesisParameters is not valid for target t. Reason: it is not for targets of sqs."},
		{types.Target{Arn: ptr(queueARN("q")), InputPath: ptr("$.a"), Input: ptr("1")}, "Only one of Input, InputPath, or InputTransformer must be provided for target t."},
		{types.Target{Arn: ptr(queueARN("q")), DeadLetterConfig: &types.DeadLetterConfig{Arn: ptr("arn:aws:sns:eu-west-1:111111111111:t")}}, "Parameter DeadLetterConfig.Arn is not valid. Reason: it must be the ARN of an SQS queue."},
		{types.Target{Arn: ptr(queueARN("q")), DeadLetterConfig: &types.DeadLetterConfig{Arn: ptr(queueARN("dlq.fifo"))}}, "Parameter DeadLetterConfig.Arn is not valid. Reason: it must be a standard queue; FIFO queues are not supported."},
	} {
		c.t.Id = ptr("t")
		_, err := f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: []types.Target{c.t}})
		refused(t, err, "ValidationException", c.want)
	}
	out, err := f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: []types.Target{{Id: ptr("a"), Arn: ptr("arn:aws:firehose:eu-west-1:111111111111:deliverystream/x")},
		{Id: ptr("b"), Arn: ptr(queueARN("refused"))}, {Id: ptr("c"), Arn: ptr(queueARN("q"))}}})
	must(t, err)
	if out.FailedEntryCount != 2 || *out.FailedEntries[0].ErrorMessage != "targets of firehose are not served: arn:aws:firehose:eu-west-1:111111111111:deliverystream/x" {
		t.Errorf("%+v", out.FailedEntries)
	}
	var many []types.Target
	for i := range 4 {
		many = append(many, types.Target{Id: ptr(fmt.Sprint(i)), Arn: ptr(queueARN("q"))})
	}
	_, err = f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: many})
	refused(t, err, "LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

func TestInputs(t *testing.T) {
	f := newFixture(t)
	arn := f.rule("r", "", updates, func(t *types.Target) {
		t.InputTransformer = &types.InputTransformer{InputPathsMap: map[string]string{"c": "$.detail.command"}, InputTemplate: ptr(`{"command": <c>, "rule": <aws.events.rule-arn>}`)}
	})
	f.rule("path", "", updates, func(t *types.Target) { t.InputPath = ptr("$.detail.payload.sf_id") })
	f.rule("constant", "", updates, func(t *types.Target) { t.Input = ptr(`{"a":1}`) })
	f.put("", update)
	for name, want := range map[string]string{"r": `{"command":"update-account","rule":"` + arn + `"}`, "path": `"baz"`, "constant": `{"a":1}`} {
		if got := f.queues.wait(t, queueARN(name), 1)[0]; got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestEventPatterns(t *testing.T) {
	f := newFixture(t)
	event := `{"id":"1","account":"1","source":"order","time":"2024-01-01T00:00:00Z","region":"r","resources":[],"detail-type":"d"}`
	out, err := f.client.TestEventPattern(f.ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: ptr(`{"source":["order"]}`)})
	must(t, err)
	if !out.Result {
		t.Error("no match")
	}
	for _, bad := range []string{`[]`, `"x"`, `{"id":"1"}`} {
		_, err = f.client.TestEventPattern(f.ctx, &eventbridge.TestEventPatternInput{Event: &bad, EventPattern: ptr(`{"source":["order"]}`)})
		refused(t, err, "ValidationException", "Parameter Event is not valid.")
	}
	_, err = f.client.TestEventPattern(f.ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: ptr(`{"a":5}`)})
	refused(t, err, "InvalidEventPatternException", "Event pattern is not valid. Reason: \"a\" must be an object or an array\n at [Source: (String)\"{\"a\":5}\"; line: 1, column: 7]")
	for _, pattern := range []string{`{"detail":{"amount":[{"numeric":[">",5000000000.5]}]}}`, `{"detail":{"amount":[{"numeric":["=",-1e10]}]}}`} {
		_, err = f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("bounds"), EventPattern: &pattern})
		refused(t, err, "InvalidEventPatternException", "Event pattern is not valid. Reason: Value must be between -5.0E9 and 5.0E9, inclusive")
	}
}
