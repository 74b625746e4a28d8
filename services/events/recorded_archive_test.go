package events

import (
	"fmt"
	"time"
)

func (r *recorded) archives() {
	const at = "TestArchive::"
	r.must("CreateEventBus", object{"Name": "archived"})
	custom := object{"ArchiveName": "custom", "EventSourceArn": busARN("archived"), "RetentionDays": 1, "EventPattern": patternObject()}
	r.must("CreateArchive", custom)
	r.same(at+"test_create_archive_error_duplicate[custom]", "create-archive-duplicate-error", r.do("CreateArchive", custom))
	for op, name := range map[string]string{"Delete": "delete", "Describe": "describe"} {
		r.same(at+"test_"+name+"_archive_error_unknown_archive", name+"-archive-unknown-archive-error", r.do(op+"Archive", object{"ArchiveName": "unknown"}))
	}
	r.same(at+"test_update_archive_error_unknown_archive", "update-archive-unknown-archive-error", r.do("UpdateArchive", object{"ArchiveName": "unknown"}))
	r.same(at+"test_list_archive_error_unknown_source_arn", "list-archives-unknown-event-bus-error", r.do("ListArchives", object{"EventSourceArn": busARN("unknown")}))
	r.same(at+"test_list_archive_state_enabled[custom]", "list-archives-state-enabled", r.do("ListArchives", object{"State": "ENABLED"}))
	r.same(at+"test_list_archive_with_source_arn[custom]", "list-archives-with-source-arn", r.do("ListArchives", object{"EventSourceArn": busARN("archived")}))
	prefixes := func(kind, name string) {
		step := at + "test_list_archive_with_name_prefix[" + kind + "]"
		r.same(step, "list-archives-with-name-prefix", r.do("ListArchives", object{"NamePrefix": name[:3]}))
		r.same(step, "list-archives-with-full-name", r.do("ListArchives", object{"NamePrefix": name}))
		r.same(step, "list-archives-not-existing-archive", r.do("ListArchives", object{"NamePrefix": "doesnotexist"}))
	}
	prefixes("custom", "custom")
	r.must("CreateArchive", object{"ArchiveName": "standard", "EventSourceArn": busARN("default"), "RetentionDays": 1})
	prefixes("default", "standard")
	r.must("DeleteArchive", object{"ArchiveName": "standard"})
	for kind, in := range map[string]object{"False": {}, "True": {"EventPattern": patternObject()}} {
		name := "events-" + kind
		in["ArchiveName"], in["EventSourceArn"], in["RetentionDays"], in["Description"] = name, busARN("default"), 1, "description of the archive"
		r.must("CreateArchive", in)
		for range 10 {
			r.must("PutEvents", putEvents(updateEntry("")))
		}
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if r.must("DescribeArchive", object{"ArchiveName": name})["EventCount"] == 10.0 {
				break
			}
		}
		r.same(at+"test_list_archive_with_events["+kind+"-default]", "describe-archive", r.do("DescribeArchive", object{"ArchiveName": name}))
		r.same(at+"test_list_archive_with_events["+kind+"-default]", "list-archives", r.do("ListArchives", object{"NamePrefix": name}))
		r.must("DeleteArchive", object{"ArchiveName": name})
	}
}

func (r *recorded) replays() {
	const at = "TestReplay::"
	begin := float64(time.Now().Unix() - 10)
	for kind, busName := range map[string]string{"custom": "replayed", "default": "default"} {
		if kind == "custom" {
			r.must("CreateEventBus", object{"Name": busName})
		}
		archive := r.must("CreateArchive", object{"ArchiveName": "replays-" + kind, "EventSourceArn": busARN(busName)})["ArchiveArn"]
		rule := r.must("PutRule", object{"Name": "replay-" + kind, "EventBusName": busName, "EventPattern": patternObject()})["RuleArn"]
		for range 3 {
			r.must("PutEvents", putEvents(updateEntry(busName)))
		}
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if r.must("DescribeArchive", object{"ArchiveName": "replays-" + kind})["EventCount"] == 3.0 {
				break
			}
		}
		r.must("PutTargets", object{"Rule": "replay-" + kind, "EventBusName": busName, "Targets": []object{{"Id": "1", "Arn": queueARN("replay-" + kind)}}})
		in := object{"ReplayName": "r-" + kind, "Description": "description of the replay", "EventSourceArn": archive, "EventStartTime": begin, "EventEndTime": begin + 1000,
			"Destination": object{"Arn": busARN(busName), "FilterArns": []any{rule}}}
		name := at + "test_start_list_describe_canceled_replay[" + kind + "]"
		r.same(name, "start-replay", r.do("StartReplay", in))
		messages := r.messages("replay-"+kind, 3)
		r.same(name, "replay-messages", messages)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if r.must("DescribeReplay", object{"ReplayName": "r-" + kind})["State"] == "COMPLETED" {
				break
			}
		}
		r.same(name, "describe-replay", r.do("DescribeReplay", object{"ReplayName": "r-" + kind}))
		r.same(name, "list-replays", r.do("ListReplays", object{"NamePrefix": "r-" + kind}))
		r.must("RemoveTargets", object{"Rule": "replay-" + kind, "EventBusName": busName, "Ids": []any{"1"}})
	}
	archive := "arn:aws:events:" + region + ":" + account + ":archive/"
	in := object{"ReplayName": "r-custom", "EventSourceArn": archive + "replays-custom", "EventStartTime": begin, "EventEndTime": begin + 1000, "Destination": object{"Arn": busARN("replayed")}}
	r.same(at+"test_start_replay_error_duplicate_name_same_archive", "start-replay-duplicate-error", r.do("StartReplay", in))
	in["ReplayName"], in["EventEndTime"] = "new", begin
	r.same(at+"test_start_replay_error_invalid_end_time[0]", "start-replay-invalid-end-time-error", r.do("StartReplay", in))
	in["EventEndTime"], in["EventSourceArn"] = begin+1000, archive+"unknown"
	r.same(at+"test_start_replay_error_unknown_archive", "start-replay-unknown-archive-error", r.do("StartReplay", in))
	in["EventSourceArn"], in["Destination"] = archive+"replays-custom", object{"Arn": busARN("unknown")}
	r.same(at+"test_start_replay_error_unknown_event_bus", "start-replay-unknown-event-bus-error", r.do("StartReplay", in))
	in["Destination"] = object{"Arn": busARN("default")}
	r.same(at+"test_start_replay_error_unknown_event_bus", "start-replay-wrong-event-bus-error", r.do("StartReplay", in))
	r.tooManyReplays()
	for i := range 6 {
		r.must("StartReplay", object{"ReplayName": fmt.Sprint("paged-test-replay-", i), "EventSourceArn": archive + "replays-custom", "EventStartTime": 1, "EventEndTime": 2, "Destination": object{"Arn": busARN("replayed")}})
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if list := r.must("ListReplays", object{"NamePrefix": "paged", "State": "COMPLETED"})["Replays"].([]any); len(list) == 6 {
			break
		}
	}
	out := r.do("ListReplays", object{"NamePrefix": "paged", "Limit": 3})
	r.same(at+"test_list_replay_with_limit", "list-replays-with-limit", out)
	r.same(at+"test_list_replay_with_limit", "list-replays-with-limit-next-token", r.do("ListReplays", object{"NamePrefix": "paged", "NextToken": out["NextToken"]}))
}

// tooManyReplays starts more replays than may be active, where none ends.
func (r *recorded) tooManyReplays() {
	running := r.fixture
	defer func() { r.fixture = running }()
	r.fixture = newIdle(r.t)
	r.must("CreateArchive", object{"ArchiveName": "many", "EventSourceArn": busARN("default")})
	for i := range 11 {
		out := r.do("StartReplay", object{"ReplayName": fmt.Sprint("many-", i), "EventSourceArn": "arn:aws:events:" + region + ":" + account + ":archive/many",
			"EventStartTime": 1700000000, "EventEndTime": 1700001000, "Destination": object{"Arn": busARN("default")}})
		if i == 10 {
			r.same("TestReplay::tests_concurrency_error_too_many_active_replays", "list-replays-with-limit", out)
		} else if out["Error"] != nil {
			r.t.Fatal(out)
		}
	}
}
