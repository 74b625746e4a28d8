package events

import (
	"fmt"
	"strings"
)

func putEvents(entries ...object) object { return object{"Entries": entries} }

func (r *recorded) buses() {
	const at = "TestEventBus::"
	for _, rg := range []string{"us-east-1", "us-west-1", "eu-central-1"} {
		r.region = rg
		name := at + "test_create_list_describe_delete_custom_event_buses[True-regions1]"
		r.same(name, "create-custom-event-bus-"+rg, r.do("CreateEventBus", object{"Name": "bus-x", "Description": "test bus"}))
		r.same(name, "list-event-buses-after-create-"+rg, r.do("ListEventBuses", object{"NamePrefix": "bus-"}))
		r.same(name, "describe-custom-event-bus-"+rg, r.do("DescribeEventBus", object{"Name": "bus-x"}))
		r.same(name, "delete-custom-event-bus-"+rg, r.do("DeleteEventBus", object{"Name": "bus-x"}))
		r.same(name, "list-event-buses-after-delete-"+rg, r.do("ListEventBuses", object{"NamePrefix": "bus-"}))
	}
	r.region = region
	r.same(at+"test_delete_default_event_bus", "delete-default-event-bus-error", r.do("DeleteEventBus", object{"Name": "default"}))
	r.same(at+"test_put_permission_non_existing_event_bus", "remove-permission-non-existing-sid-error",
		r.do("PutPermission", object{"EventBusName": "no-bus", "Action": "events:PutEvents", "Principal": "*", "StatementId": "s"}))
	r.must("CreateEventBus", object{"Name": "permitted"})
	for kind, busName := range map[string]string{"custom": "permitted", "default": "default"} {
		name := at + "test_remove_permission[" + kind + "]"
		for i, principal := range []string{"222222222222", "333333333333"} {
			r.must("PutPermission", object{"EventBusName": busName, "Action": "events:PutEvents", "Principal": principal, "StatementId": fmt.Sprint("s", i)})
		}
		r.same(name, "remove-permission", r.do("RemovePermission", object{"EventBusName": busName, "StatementId": "s0"}))
		r.sameBus(name, "describe-event-bus-remove-permission", busName)
		r.same(name, "remove-permission-all", r.do("RemovePermission", object{"EventBusName": busName, "RemoveAllPermissions": true}))
		r.sameBus(name, "describe-event-bus-remove-permission-all", busName)
		for _, policy := range []string{"False", "True"} {
			if policy == "True" && kind == "default" {
				continue // not recorded
			}
			if policy == "True" {
				r.must("PutPermission", object{"EventBusName": busName, "Action": "events:PutEvents", "Principal": "*", "StatementId": "s"})
			}
			r.same(at+"test_remove_permission_non_existing_sid["+policy+"-"+kind+"]", "remove-permission-non-existing-sid-error",
				r.do("RemovePermission", object{"EventBusName": busName, "StatementId": "no-sid"}))
		}
	}
}

func (r *recorded) sameBus(name, step, busName string) {
	r.same(name, step, r.do("DescribeEventBus", object{"Name": busName}))
}

func (r *recorded) puts() {
	const at = "TestEvents::"
	for kind, detail := range map[string]string{"MALFORMED_JSON": `{"a": b}`, "STRING": "text"} {
		e := updateEntry("")
		e["Detail"] = detail
		r.same(at+"test_put_event_malformed_detail["+kind+"]", "put-events", r.do("PutEvents", putEvents(e)))
	}
	for name, member := range map[string]string{"test_put_event_without_detail_type": "DetailType", "test_put_events_without_source": "Source"} {
		e := updateEntry("")
		delete(e, member)
		r.same(at+name, "put-events", r.do("PutEvents", putEvents(e)))
	}
	r.same(at+"test_put_events_with_target_delivery_failure", "put-events-response", r.do("PutEvents", putEvents(updateEntry(""))))
	r.rule("time", "", `{"source":["test-source"]}`)
	r.same(at+"test_put_events_with_time_field", "put-events", r.do("PutEvents", putEvents(object{"Source": "test-source", "DetailType": "test-detail-type", "Detail": `{"message": "test message"}`, "Time": 1700000000})))
	r.same(at+"test_put_events_with_time_field", "sqs-messages", r.messages("time", 1))
	if !strings.Contains(r.queues.wait(r.t, queueARN("time"), 1)[0], `"time":"2023-11-14T22:13:20Z"`) {
		r.t.Error("the event does not have its time")
	}
}

func (r *recorded) tags() {
	tags := []object{{"Key": "tag1", "Value": "value1"}, {"Key": "tag2", "Value": "value2"}}
	at := "TestEventBusTags::test_create_event_bus_with_tags"
	r.same(at, "create_event_bus_with_tags", r.do("CreateEventBus", object{"Name": "tagged", "Tags": tags}))
	r.same(at, "list_tags_for_event_bus", r.do("ListTagsForResource", object{"ResourceARN": busARN("tagged")}))
	r.must("DeleteEventBus", object{"Name": "tagged"})
	r.same("TestEventBusTags::test_list_tags_for_deleted_event_bus", "list_tags_for_deleted_rule_error", r.do("ListTagsForResource", object{"ResourceARN": busARN("tagged")}))
	r.must("CreateEventBus", object{"Name": "tagged"})
	rule := r.must("PutRule", object{"Name": "tagged", "EventPattern": patternObject()})["RuleArn"].(string)
	for kind, arn := range map[string]string{"rule": rule, "event_bus": busARN("tagged")} {
		at := "tests_tag_untag_resource[" + kind + "]"
		r.same(at, "tag_resource", r.do("TagResource", object{"ResourceARN": arn, "Tags": tags}))
		r.same(at, "list_tags_for_resource", r.do("ListTagsForResource", object{"ResourceARN": arn}))
		r.same(at, "untag_resource", r.do("UntagResource", object{"ResourceARN": arn, "TagKeys": []any{"tag2"}}))
		r.same(at, "list_tags_for_untagged_resource", r.do("ListTagsForResource", object{"ResourceARN": arn}))
	}
	at = "tests_tag_list_untag_not_existing_resource[not_existing_rule]"
	missing := strings.TrimSuffix(rule, "tagged") + "missing"
	r.same(at, "tag_not_existing_resource_error", r.do("TagResource", object{"ResourceARN": missing, "Tags": tags}))
	r.same(at, "list_tags_for_not_existing_resource_error", r.do("ListTagsForResource", object{"ResourceARN": missing}))
	r.same(at, "untag_not_existing_resource_error", r.do("UntagResource", object{"ResourceARN": missing, "TagKeys": []any{"tag1"}}))
	r.must("DeleteRule", object{"Name": "tagged"})
	r.must("PutRule", object{"Name": "tagged", "EventPattern": patternObject()})
	r.same("test_recreate_tagged_resource_without_tags[rule-event_bus_default]", "list_tags_for_resource", r.do("ListTagsForResource", object{"ResourceARN": rule}))
}

// otherAccounts forwards events from a bus to another account's, in its region
// and to another.
func (r *recorded) otherAccounts() {
	const second = "222222222222"
	r.must("CreateEventBus", object{"Name": "shared"})
	r.rule("shared", "shared", `{"source":["source-primary"]}`)
	r.must("PutPermission", object{"EventBusName": "shared", "Action": "events:PutEvents", "Principal": second, "StatementId": "s"})
	e := updateEntry(busARN("shared"))
	e["Source"] = "source-primary"
	if out := r.as(second, "PutEvents", putEvents(e)); out["FailedEntryCount"] != 0.0 {
		r.t.Fatal(out)
	}
	r.same("TestEventsCrossAccountRegion::test_put_events[custom-account]", "messages", r.messages("shared", 1))
	for kind, rg := range map[string]string{"account": region, "region_account": "us-east-2"} {
		first, other := "primary-"+kind, "secondary-"+kind
		otherARN := "arn:aws:events:" + rg + ":" + second + ":event-bus/" + other
		there := func(op string, in object) {
			r.region = rg
			defer func() { r.region = region }()
			if out := r.as(second, op, in); out["Error"] != nil || out["FailedEntryCount"] != nil && out["FailedEntryCount"] != 0.0 {
				r.t.Fatal(op, out)
			}
		}
		there("CreateEventBus", object{"Name": other})
		there("PutPermission", object{"EventBusName": other, "Action": "events:PutEvents", "Principal": account, "StatementId": "s"})
		for _, source := range []string{"primary", "secondary"} {
			there("PutRule", object{"Name": source, "EventBusName": other, "EventPattern": `{"source":["source-` + source + `"]}`})
			there("PutTargets", object{"Rule": source, "EventBusName": other, "Targets": []object{{"Id": "1", "Arn": queueARN(other + source)}}})
		}
		r.must("CreateEventBus", object{"Name": first})
		r.rule("here-"+kind, first, `{"source":["source-primary"]}`)
		r.rule("there-"+kind, first, `{"source":["source-primary"]}`, to(otherARN))
		e := updateEntry(first)
		e["Source"] = "source-primary"
		r.must("PutEvents", putEvents(e))
		e = updateEntry(other)
		e["Source"] = "source-secondary"
		there("PutEvents", putEvents(e))
		name := "test_event_bus_to_event_bus_cross_account_region[custom-" + kind + "]"
		r.same(name, "messages_primary_queue_from_primary_event_bus", r.messages("here-"+kind, 1))
		r.same(name, "messages_secondary_queue_from_primary_event_bus", r.messages(other+"primary", 1))
		r.same(name, "messages_secondary_queue_from_secondary_event_bus", r.messages(other+"secondary", 1))
	}
}
