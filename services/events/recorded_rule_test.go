package events

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func updateEntry(busName string) object {
	e := object{"Source": "core.update-account-command", "DetailType": "core.update-account-command", "Detail": update}
	if busName != "" {
		e["EventBusName"] = busName
	}
	return e
}

// messages are what a queue got, as recordings of SQS hold them.
func (r *recorded) messages(name string, n int) []any {
	r.t.Helper()
	var out []any
	for _, m := range r.queues.wait(r.t, queueARN(name), n) {
		out = append(out, object{"Body": m, "MD5OfBody": "x", "MessageId": "x", "ReceiptHandle": "x"})
	}
	return out
}

func patternObject() string {
	return `{"source":["core.update-account-command"],"detail-type":["core.update-account-command"],"detail":{"command":["update-account"]}}`
}

func (r *recorded) rules() {
	const at = "TestEventRule::"
	r.must("PutRule", object{"Name": "rule", "EventPattern": patternObject()})
	name := at + "test_disable_re_enable_rule[default]"
	r.same(name, "disable-rule", r.do("DisableRule", object{"Name": "rule"}))
	r.same(name, "describe-rule-disabled", r.do("DescribeRule", object{"Name": "rule"}))
	r.same(name, "enable-rule", r.do("EnableRule", object{"Name": "rule"}))
	r.same(name, "describe-rule-enabled", r.do("DescribeRule", object{"Name": "rule"}))
	r.same(at+"test_describe_nonexistent_rule", "describe-not-existing-rule-error", r.do("DescribeRule", object{"Name": "no-rule"}))
	target := object{"Id": "1", "Arn": queueARN("rules")}
	r.must("PutTargets", object{"Rule": "rule", "Targets": []object{target}})
	r.same(at+"test_delete_rule_with_targets", "delete-rule-with-targets-error", r.do("DeleteRule", object{"Name": "rule"}))
	name = at + "test_update_rule_with_targets"
	r.same(name, "list-targets", r.do("ListTargetsByRule", object{"Rule": "rule"}))
	r.same(name, "update-rule", r.do("PutRule", object{"Name": "rule", "EventPattern": `{"source":["other"]}`}))
	r.same(name, "list-targets-after-update", r.do("ListTargetsByRule", object{"Rule": "rule"}))
	r.must("CreateEventBus", object{"Name": "ruled"})
	for kind, busName := range map[string]string{"custom": "ruled", "default": "default"} {
		arn := queueARN("by-target-" + kind)
		for i := range 5 {
			rule := fmt.Sprint("by-target-", i)
			r.must("PutRule", object{"Name": rule, "EventBusName": busName, "EventPattern": patternObject()})
			r.must("PutTargets", object{"Rule": rule, "EventBusName": busName, "Targets": []object{{"Id": "1", "Arn": arn}}})
		}
		in := object{"TargetArn": arn, "EventBusName": busName, "Limit": 2}
		for _, step := range []string{"first_page", "second_page", "third_page"} {
			out := r.do("ListRuleNamesByTarget", in)
			r.same(at+"test_list_rule_names_by_target_with_limit["+kind+"]", step, out)
			in["NextToken"] = out["NextToken"]
		}
	}
	r.same(at+"test_list_rule_names_by_target_no_matches[custom]", "list_rule_names_by_target_no_matches", r.do("ListRuleNamesByTarget", object{"TargetArn": queueARN("none"), "EventBusName": "ruled"}))
}

func (r *recorded) targets() {
	const at = "TestEventTarget::"
	r.must("PutRule", object{"Name": "targets", "EventPattern": patternObject()})
	put := func(targets ...object) object {
		return r.do("PutTargets", object{"Rule": "targets", "Targets": targets})
	}
	name := at + "test_put_list_remove_target[default]"
	r.same(name, "put-target", put(object{"Id": "t", "Arn": queueARN("q")}))
	r.same(name, "list-targets", r.do("ListTargetsByRule", object{"Rule": "targets"}))
	r.same(name, "remove-target", r.do("RemoveTargets", object{"Rule": "targets", "Ids": []any{"t"}}))
	r.same(name, "list-targets-after-delete", r.do("ListTargetsByRule", object{"Rule": "targets"}))
	put(object{"Id": "t", "Arn": queueARN("q")})
	put(object{"Id": "t", "Arn": queueARN("q"), "InputPath": "$.notexisting"})
	r.same(at+"test_put_multiple_targets_with_same_id_single_rule", "list-targets", r.do("ListTargetsByRule", object{"Rule": "targets"}))
	r.must("RemoveTargets", object{"Rule": "targets", "Ids": []any{"t"}})
	for i := range 5 {
		put(object{"Id": fmt.Sprint("t", i), "Arn": queueARN("q")})
	}
	out := r.do("ListTargetsByRule", object{"Rule": "targets", "Limit": 3})
	r.same(at+"test_list_target_by_rule_limit", "list-targets-limit", out)
	r.same(at+"test_list_target_by_rule_limit", "list-targets-limit-next-token", r.do("ListTargetsByRule", object{"Rule": "targets", "NextToken": out["NextToken"]}))
	r.same(at+"test_put_target_id_validation", "put-targets-invalid-id-error", put(object{"Id": "!@#$@!#$", "Arn": queueARN("q")}))
	r.same(at+"test_put_target_id_validation", "put-targets-length-error", put(object{"Id": strings.Repeat("x", 70), "Arn": queueARN("q")}))
	r.same("test_put_event_input_path_and_input_transformer", "duplicated-input-operations-error", put(object{"Id": "t", "Arn": queueARN("q"), "InputPath": "$.detail",
		"InputTransformer": object{"InputPathsMap": object{}, "InputTemplate": `"x"`}}))
}

func (r *recorded) inputs() {
	const at = "TestInputPath::"
	r.must("CreateEventBus", object{"Name": "inputs"})
	r.rule("in-detail", "inputs", patternObject(), path("$.detail"))
	r.rule("in-deep", "inputs", patternObject(), path("$.detail.payload.sf_id"))
	r.rule("in-all", "inputs", patternObject())
	paths := map[string]string{"detail-type": "$.detail-type", "timestamp": "$.time", "command": "$.detail.command", "listsingle": "$.detail.listsingle", "listmulti": "$.detail.listmulti",
		"systemstring": "$.detail.systemstring", "payload": "$.detail.payload", "userId": "$.detail.payload.acc_id"}
	templates := map[string]string{
		"test_input_transformer_predefined_variables": `{"originalEvent": <aws.events.event>, "originalEventJson": <aws.events.event.json>}`,
		"json":    `{"detailType": <detail-type>, "time": <timestamp>, "command": <command>}`,
		"string":  `"Event of <detail-type> type, at time <timestamp>, info extracted from detail <command>"`,
		"special": `"{[/Check with special starting characters for event of <detail-type> type"`,
	}
	for name, template := range templates {
		r.rule("in-"+name, "inputs", `{"source":["core.update-account-command"]}`, filled(template, paths))
	}
	r.must("PutEvents", putEvents(updateEntry("inputs")))
	r.same(at+"test_put_events_with_input_path", "message", r.messages("in-detail", 1))
	r.same(at+"test_put_events_with_input_path_max_level_depth", "message", r.messages("in-deep", 1))
	r.same(at+"test_put_events_with_input_path_multiple_targets", "message-queue-1", r.messages("in-detail", 1))
	r.same(at+"test_put_events_with_input_path_multiple_targets", "message-queue-2", r.messages("in-all", 1))
	const tr = "TestInputTransformer::"
	name := "test_input_transformer_predefined_variables"
	r.same(tr+name+"["+templates[name]+"]", "messages", r.messages("in-"+name, 1))
	transformed := map[string]string{"json": "test_put_events_with_input_transformer_input_template_json",
		"string":  "test_put_events_with_input_transformer_input_template_string[" + templates["string"] + "]",
		"special": "test_put_events_with_input_transformer_input_template_string[" + templates["special"] + "]"}
	for kind, name := range transformed {
		r.same(tr+name, "custom-variables-match-all", dated(r.messages("in-"+kind, 1)))
	}
	r.same(tr+"test_put_events_with_input_transformer_input_template_string", "custom-variables-match-all", dated(r.messages("in-string", 1)))
	other := updateEntry("inputs")
	other["Detail"] = `{"other": "x"}`
	r.must("PutEvents", putEvents(other))
	for kind, name := range transformed {
		r.same(tr+name, "custom-variables-not-match-all", dated(r.messages("in-"+kind, 2)[1:]))
	}
	r.same(tr+"test_put_events_with_input_transformer_input_template_string", "custom-variables-not-match-all", dated(r.messages("in-string", 2)[1:]))
	prefix := "TestInputTransformer::test_input_transformer_nested_keys_replacement["
	for i, full := range sorted(r.cases) {
		_, name, _ := strings.Cut(full, "::")
		template, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		template = strings.ReplaceAll(strings.TrimSuffix(template, "]"), `\n`, "\n")
		rule := fmt.Sprint("nested-", i)
		r.must("CreateEventBus", object{"Name": rule})
		r.rule(rule, rule, `{"source":["core.update-account-command"]}`, filled(template, paths))
		e := updateEntry(rule)
		e["Detail"] = `{"command":"update-account","listsingle":["HIGH"],"listmulti":["ACTIVE","INACTIVE"],"payload":{"acc_id":"0a787ecb-4015","sf_id":"baz"}}`
		r.must("PutEvents", putEvents(e))
		r.same(name, "input-transformed-messages", r.messages(rule, 1))
	}
}

var timeText = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// dated puts the recordings' word for times in texts.
func dated(messages []any) []any {
	for _, m := range messages {
		m.(object)["Body"] = timeText.ReplaceAllString(m.(object)["Body"].(string), "date")
	}
	return messages
}

func sorted(m map[string]map[string]any) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (r *recorded) patterns() {
	const event = `{"id":"1","account":"1","source":"order","time":"2024-01-01T00:00:00Z","region":"r","resources":[],"detail-type":"d"}`
	test := func(pattern, event string) object {
		return r.do("TestEventPattern", object{"EventPattern": pattern, "Event": event})
	}
	// Most refusals quote the pattern; the rest tell of it.
	told := map[string]string{
		"content_ip_address_EXC":           `{"a":[{"cidr":"bad-filter"}]}`,
		"content_ip_address_bad_mask_EXC":  `{"a":[{"cidr":"10.0.0.0/xx"}]}`,
		"content_ip_address_v6_bad_ip_EXC": `{"a":[{"cidr":"xxxx:db8:1234:1a00::/64"}]}`,
		"content_wildcard_complex_EXC":     `{"a":[{"wildcard":"` + strings.Repeat("a*", 60) + `"}]}`,
	}
	for _, full := range sorted(r.cases) {
		_, name, _ := strings.Cut(full, "::")
		step, ok := strings.CutPrefix(name, "TestEventPattern::test_event_pattern[")
		if !ok {
			continue
		}
		step = strings.TrimSuffix(step, "]")
		src := told[step]
		if src == "" {
			raw := r.cases[full][step].(object)["exception_message"].(object)["Error"].(object)["MessageRaw"].(string)
			_, rest, _ := strings.Cut(raw, `(String)"`)
			src, _, _ = strings.Cut(rest, `"; line: `)
			src = strings.NewReplacer("<partition>", "aws", "<region>", "us-east-1").Replace(src)
		}
		got := test(src, event)
		text, _ := got["Error"].(object)["Message"].(string)
		got["Error"].(object)["Message"], _, _ = strings.Cut(text, "\n at [Source")
		r.same(name, step, got)
	}
	for _, src := range []string{"this is valid json but not a dict", "{'bad': 'quotation'}"} {
		r.same("TestEventPattern::test_invalid_json_event_pattern["+src+"]", "invalid-pattern", test(src, event))
	}
	r.same("TestEventPattern::test_array_event_payload", "array-event-payload-exc", test(`{"source":["order"]}`, `[]`))
	r.same("TestEventPattern::test_plain_string_payload", "plain-string-payload-exc", test(`{"source":["order"]}`, `plain string`))
	r.same("TestEventPattern::test_event_pattern_source", "eventbridge-test-event-pattern-response", test(`{"source":["order"]}`, event))
	r.same("TestEventPattern::test_event_pattern_source", "eventbridge-test-event-pattern-response-no-match", test(`{"source":["shipment"]}`, event))
	r.must("CreateEventBus", object{"Name": "patterns"})
	r.rule("exists", "patterns", `{"detail":{"key":[{"exists":false}]}}`)
	e := updateEntry("patterns")
	e["Detail"] = `{"key": "value", "payload": "bar"}`
	no := updateEntry("patterns")
	no["Detail"] = `{"no-key": "no-value", "payload": "baz"}`
	r.must("PutEvents", putEvents(e, no))
	r.same("TestRuleWithPattern::test_put_events_with_rule_pattern_exists_false", "rule-exists-false", r.messages("exists", 1))
}

func (r *recorded) schedules() {
	r.same("TestScheduleRate::tests_put_rule_with_schedule_custom_event_bus", "put-rule-with-custom-event-bus-error", func() object {
		r.must("CreateEventBus", object{"Name": "scheduled"})
		return r.do("PutRule", object{"Name": "s", "EventBusName": "scheduled", "ScheduleExpression": "rate(1 minute)"})
	}())
	r.same("TestScheduleRate::test_put_rule_with_schedule_rate", "put-rule", r.do("PutRule", object{"Name": "rate", "ScheduleExpression": "rate(1 minute)"}))
	r.same("TestScheduleRate::test_put_rule_with_schedule_rate", "list-rules", r.do("ListRules", object{"NamePrefix": "rate"}))
	for i, full := range sorted(r.cases) {
		_, name, _ := strings.Cut(full, "::")
		if s, ok := strings.CutPrefix(name, "TestScheduleCron::tests_put_rule_with_invalid_schedule_cron["); ok {
			r.same(name, "invalid-put-rule", r.do("PutRule", object{"Name": "cron", "ScheduleExpression": strings.TrimSuffix(s, "]")}))
		}
		if s, ok := strings.CutPrefix(name, "TestScheduleCron::tests_put_rule_with_schedule_cron["); ok {
			rule := fmt.Sprintf("cron-%d-", i)
			r.same(name, "put-rule", r.do("PutRule", object{"Name": rule, "ScheduleExpression": strings.TrimSuffix(s, "]")}))
			r.same(name, "list-rules", r.do("ListRules", object{"NamePrefix": rule}))
		}
	}
}

func (r *recorded) deliveries() {
	r.must("CreateEventBus", object{"Name": "to-queue"})
	r.rule("to-queue", "to-queue", patternObject())
	r.must("PutEvents", putEvents(updateEntry("to-queue")))
	got := r.messages("to-queue", 1)
	r.same("TestEventsTargetSqs::test_put_events_with_target_sqs", "message", got)
	r.same("test_put_events_with_target_sqs", "message", got)
	for _, kind := range []string{"domain", "standard"} {
		r.must("CreateEventBus", object{"Name": "from-" + kind})
		r.must("CreateEventBus", object{"Name": "to-" + kind})
		r.rule("forward-"+kind, "from-"+kind, patternObject(), to(busARN("to-"+kind)))
		r.rule("arrive-"+kind, "to-"+kind, patternObject())
		r.must("PutEvents", putEvents(updateEntry("from-"+kind)))
		r.same("TestEventBus::test_put_events_bus_to_bus["+kind+"]", "messages", r.messages("arrive-"+kind, 1))
	}
	r.same("TestEventsTargetEvents::test_put_events_with_target_events[bus_combination0]", "messages", r.messages("arrive-domain", 1))
	r.must("CreateEventBus", object{"Name": "detail-match"})
	r.rule("detail-match", "detail-match", `{"detail":{"EventType":["0","1"]}}`, path("$.detail"))
	e := updateEntry("detail-match")
	e["Detail"] = `{"EventType": "1"}`
	other := updateEntry("detail-match")
	other["Detail"] = `{"EventType": "2"}`
	r.must("PutEvents", putEvents(other, e))
	r.same("test_put_events_with_target_sqs_event_detail_match", "messages", r.messages("detail-match", 1))
	r.must("CreateEventBus", object{"Name": "arrays"})
	r.rule("arrays", "arrays", `{"detail":{"event":{"data":{"type":["1","2"]}}}}`, path("$.detail"))
	for _, types := range []string{`["3","1"]`, `["4"]`, `["2"]`} {
		e := updateEntry("arrays")
		e["Detail"] = `{"event":{"data":{"type":` + types + `}}}`
		r.must("PutEvents", putEvents(e))
		if types == `["3","1"]` {
			r.messages("arrays", 1) // so that the order is told
		}
	}
	r.same("TestEventPattern::test_put_events_pattern_with_values_in_array", "messages", r.messages("arrays", 2))
	r.must("CreateEventBus", object{"Name": "twice"})
	for _, rule := range []string{"twice-1", "twice-2"} {
		r.rule(rule, "twice", patternObject(), to(queueARN("twice")))
	}
	r.must("PutEvents", putEvents(updateEntry("twice")))
	var bodies []any
	for _, m := range r.messages("twice", 2) {
		bodies = append(bodies, m.(object)["Body"])
	}
	r.same("TestEventRule::test_process_to_multiple_matching_rules_single_target", "events", bodies)
	r.otherAccounts()
}
