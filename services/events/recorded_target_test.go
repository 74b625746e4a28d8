package events

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
	"github.com/dhowhq/dhow/topic"
)

// kinds are cases of one kind of target each.
func (r *recorded) kinds() {
	r.times()
	r.contents()
	r.shapes()
	r.groups()
	r.functions()
	r.refusesFirehose()
	for _, kind := range []string{"domain", "standard"} {
		r.topics(kind)
	}
}

// times puts events of other times than now: the time changes nothing about
// their delivery.
func (r *recorded) times() {
	r.must("CreateEventBus", object{"Name": "times"})
	r.rule("times", "times", `{"source":["core.update-account-command"]}`)
	now := time.Now().Unix()
	for i, e := range []struct {
		name string
		at   int64
	}{{"short time", now - 300}, {"new time", now}, {"long time", now + 300}} {
		in := updateEntry("times")
		in["Detail"], in["Time"] = `{"message": "`+e.name+`"}`, e.at
		r.must("PutEvents", putEvents(in))
		r.messages("times", i+1) // so that the order is told
	}
	messages := r.messages("times", 3)
	for i, at := range []int64{now - 300, now, now + 300} {
		if want := time.Unix(at, 0).UTC().Format(`"time":"2006-01-02T15:04:05Z"`); !strings.Contains(messages[i].(object)["Body"].(string), want) {
			r.t.Errorf("%v does not hold %s", messages[i], want)
		}
	}
	r.same("TestEvents::test_put_events_time", "messages", dated(messages))
}

// contents matches an event by the tests for contents, each alone.
func (r *recorded) contents() {
	r.must("CreateEventBus", object{"Name": "contents"})
	r.rule("contents", "contents", `{"source":["core.update-account-command"],"detail-type":["core.update-account-command"],"detail":{
		"description":["this-is-event-details"],"amount":[200],"salary":[2000],"env":["dev","prod"],"user":["user1","user2","user3"],"admins":["skyli",{"prefix":"hey"},{"prefix":"ad"}],
		"test1":[{"anything-but":200}],"test2":[{"anything-but":"test2"}],"test3":[{"anything-but":["test3","test33"]}],"test4":[{"anything-but":{"prefix":"test4"}}],
		"ip":[{"cidr":"10.102.1.0/24"}],"num-test1":[{"numeric":["<",200]}],"num-test2":[{"numeric":["<=",200]}],"num-test3":[{"numeric":[">",200]}],"num-test4":[{"numeric":[">=",200]}],
		"num-test5":[{"numeric":[">=",200,"<=",500]}],"num-test6":[{"numeric":[">",200,"<",500]}],"num-test7":[{"numeric":[">=",200,"<",500]}]}}`, path("$.detail"))
	detail := object{"description": "this-is-event-details", "amount": 200, "salary": 2000, "env": "prod", "user": "user3", "admins": "admin", "test1": 300, "test2": "test22", "test3": "test333",
		"test4": "this test4", "ip": "10.102.1.100", "num-test1": 100, "num-test2": 200, "num-test3": 300, "num-test4": 200, "num-test5": 500, "num-test6": 300, "num-test7": 300}
	put := func(detail object) {
		text, err := json.Marshal(detail)
		must(r.t, err)
		e := updateEntry("contents")
		e["Detail"] = string(text)
		r.must("PutEvents", putEvents(e))
	}
	others := object{"amount": 300, "env": "test", "admins": "nobody", "test1": 200, "test2": "test2", "test3": "test33", "test4": "test4x", "ip": "10.102.2.100",
		"num-test1": 200, "num-test2": 201, "num-test3": 200, "num-test4": 199, "num-test5": 501, "num-test6": 500, "num-test7": 500}
	for member, other := range others {
		was := detail[member]
		detail[member] = other
		put(detail) // does not match
		detail[member] = was
	}
	put(detail)
	r.same("TestRuleWithPattern::test_put_event_with_content_base_rule_in_pattern", "messages", r.messages("contents", 1))
}

// shapes has two rules with patterns of one target, of which each event matches
// one.
func (r *recorded) shapes() {
	r.must("CreateEventBus", object{"Name": "shapes"})
	for _, shape := range []struct{ rule, detail string }{{"detail-payload-with-id", `{"payload":{"id":[{"exists":true}]}}`}, {"detail-with-id", `{"id":[{"exists":true}]}`}} {
		r.rule(shape.rule, "shapes", `{"detail":`+shape.detail+`}`, to(queueARN("shapes")), filled(`{"`+shape.rule+`": <detail>}`, map[string]string{"detail": "$.detail"}))
	}
	const at = "TestEventRule::test_process_pattern_to_single_matching_rules_single_target"
	for i, detail := range []string{`{"payload": {"id": "123"}}`, `{"id": "123"}`} {
		e := updateEntry("shapes")
		e["Detail"] = detail
		r.must("PutEvents", putEvents(e))
		var bodies []any
		for _, m := range r.messages("shapes", i+1) {
			bodies = append(bodies, m.(object)["Body"])
		}
		r.same(at, []string{"events-1", "events-2"}[i], bodies)
	}
}

// groups has a log group for a target. What is compared is what it is sent.
func (r *recorded) groups() {
	const at = "TestEventsTargetCloudWatchLogs::test_put_events_with_target_cloudwatch_logs"
	group := "arn:aws:logs:" + region + ":" + account + ":log-group:/aws/events/group"
	r.same(at, "event_bus_response", r.do("CreateEventBus", object{"Name": "groups"}))
	r.same(at, "rule_response", r.do("PutRule", object{"Name": "groups", "EventBusName": "groups", "EventPattern": patternObject()}))
	r.same(at, "put_targets_response", r.do("PutTargets", object{"Rule": "groups", "EventBusName": "groups", "Targets": []object{{"Id": "t", "Arn": group}}}))
	put := r.do("PutEvents", putEvents(updateEntry("groups")))
	r.same(at, "put_events_response", put)
	line := r.queues.wait(r.t, group, 1)[0]
	if id := put["Entries"].([]any)[0].(object)["EventId"]; decode(r.t, line)["id"] != id {
		r.t.Errorf("the line is of another event than %v: %s", id, line)
	}
	r.same(at, "log_events", []any{object{"message": line, "timestamp": "x", "ingestionTime": "x"}})
}

// functions has a function for a target, which is a URL, and patterns of arrays
// that hold objects.
func (r *recorded) functions() {
	got := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got <- string(body)
	}))
	defer srv.Close()
	must(r.t, r.db.Update(r.ctx, func(tx *store.Tx) error {
		return bus.Functions.Put(tx, bus.Function{Scope: cluster.Scope{Account: account, Region: region}, Name: "fn", URL: srv.URL})
	}))
	const automation = `{"id":"123","actions":[{"id":"321","type":"SEND_NOTIFICATION","settings":{"message":"","recipientEmails":[],"subject":"","type":"SEND_NOTIFICATION"}}]}`
	const at = "TestEventsTargetLambda::test_put_events_with_target_lambda_list_"
	for name, list := range map[string]string{"entry": automation, "entries_partial_match": `{"foo":"bar"},` + automation + `,{"bar":"foo"}`} {
		busName := "fn-" + name
		r.must("CreateEventBus", object{"Name": busName})
		r.rule(busName, busName, `{"detail":{"payload":{"automations":{"id":[{"exists":true}],"actions":{"type":["SEND_NOTIFICATION"]}}}}}`,
			to("arn:aws:lambda:"+region+":"+account+":function:fn"))
		other, e := updateEntry(busName), updateEntry(busName)
		other["Detail"] = `{"payload":{"automations":[{"foo":"bar"},{"actions":[{"type":"OTHER"}],"id":"123"}]}}`
		e["Detail"] = `{"payload":{"userId":10,"businessId":3,"channelId":6,"card":{"foo":"bar"},"targetEntity":true,"entityAuditTrailEvent":{"foo":"bar"},"automations":[` + list + `]}}`
		r.must("PutEvents", putEvents(other, e))
		select {
		case body := <-got:
			r.same(at+name, "events", []any{body})
		case <-time.After(10 * time.Second):
			r.t.Fatalf("%s: the function was not called", name)
		}
	}
}

// refusesFirehose holds the reason why a case is untold.
func (r *recorded) refusesFirehose() {
	r.must("PutRule", object{"Name": "firehose", "EventPattern": patternObject()})
	out := r.must("PutTargets", object{"Rule": "firehose", "Targets": []object{{"Id": "t", "Arn": "arn:aws:firehose:" + region + ":" + account + ":deliverystream/s"}}})
	if failed := out["FailedEntries"].([]any); len(failed) != 1 || !strings.HasPrefix(failed[0].(object)["ErrorMessage"].(string), "targets of firehose are not served") {
		t, _ := json.Marshal(out)
		r.t.Errorf("a delivery stream as target: %s", t)
	}
}

// topicTarget is a kind of targets: topics of SNS's engine.
type topicTarget struct{ engine *topic.Engine }

func (topicTarget) Check(cluster.Scope, types.Target) error { return nil }

func (t topicTarget) Send(ctx context.Context, d bus.Delivery) error {
	_, err := t.engine.Publish(ctx, *d.Target.Arn, topic.Message{Body: string(d.Input)})
	return err
}

var messageID = regexp.MustCompile(`"id":"[0-9a-f-]{36}"`)

// topics sends an event to a topic, and on to its subscriber, a queue.
func (r *recorded) topics(kind string) {
	running := r.fixture
	defer func() { r.fixture = running }()
	db, got := storetest.Open(r.t), make(chan topic.QueueMessage, 1)
	engine, err := topic.New(topic.Config{DB: db, Journal: mem.New(), Log: slog.New(slog.DiscardHandler),
		Queue: func(_ context.Context, _ string, m topic.QueueMessage) error { got <- m; return nil }})
	must(r.t, err)
	r.t.Cleanup(engine.Close)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { engine.Run(ctx) })
	r.t.Cleanup(func() { cancel(); work.Wait() })
	row := topic.Topic{Scope: cluster.Scope{Account: account, Region: region}, Name: "t-" + kind, ID: cluster.NewUUID()}
	must(r.t, db.Update(r.ctx, func(tx *store.Tx) error {
		sub := topic.Subscription{Scope: row.Scope, Topic: row.Name, TopicID: row.ID, ID: cluster.NewUUID(), Protocol: topic.SQS, Endpoint: queueARN("q"), Base: "http://127.0.0.1"}
		if err := topic.Subscriptions.Put(tx, sub); err != nil {
			return err
		}
		return topic.Topics.Put(tx, row)
	}))
	r.fixture = newOver(r.t, db, map[string]bus.Target{"sns": topicTarget{engine}})
	r.run()
	r.must("CreateEventBus", object{"Name": kind})
	r.rule(kind, kind, patternObject(), to(row.ARN()))
	r.must("PutEvents", putEvents(updateEntry(kind)))
	select {
	case m := <-got:
		body := decode(r.t, m.Body)
		text := timeText.ReplaceAllString(body["Message"].(string), "date")
		body["Message"] = messageID.ReplaceAllString(text, `"id":"message-id"`)
		r.same("TestEventsTargetSns::test_put_events_with_target_sns["+kind+"]", "messages", []any{object{"Body": body, "MD5OfBody": "x", "MessageId": "x", "ReceiptHandle": "x"}})
	case <-time.After(10 * time.Second):
		r.t.Fatal("the topic's subscriber got nothing")
	}
}
