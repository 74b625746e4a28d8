package events

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const recordings = "../../../shared/data/recordings/events"

// recorded compares our answers with recorded ones of AWS.
type recorded struct {
	*fixture
	t      *testing.T
	cases  map[string]map[string]any
	used   map[string]bool
	said   []string // codes and messages of all errors
	region string
}

func newRecorded(t *testing.T) *recorded {
	data, err := os.ReadFile(recordings + ".json")
	if err != nil {
		t.Skip("no recordings beside the checkout: ", err)
	}
	r := &recorded{fixture: newFixture(t), t: t, used: map[string]bool{}, region: region}
	must(t, json.Unmarshal(data, &r.cases))
	return r
}

type object = map[string]any

// do makes a call and returns the answer as recordings hold it.
func (r *recorded) do(op string, in object) object { return r.as(account, op, in) }

func (r *recorded) as(caller, op string, in object) object {
	r.t.Helper()
	body, err := json.Marshal(in)
	must(r.t, err)
	req, err := http.NewRequest("POST", r.url, bytes.NewReader(body))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSEvents."+op)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+caller+"/20240101/"+r.region+"/events/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := http.DefaultClient.Do(req)
	must(r.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(r.t, err)
	out := object{}
	if len(data) > 0 {
		must(r.t, json.Unmarshal(data, &out))
	}
	if resp.StatusCode >= 300 {
		code, _ := out["__type"].(string)
		code = code[strings.LastIndexByte(code, '#')+1:]
		message, _ := out["message"].(string)
		if message == "" {
			message, _ = out["Message"].(string)
		}
		r.said = append(r.said, ordered(code+"\t"+message))
		out = object{"Error": object{"Code": code, "Message": message}}
	}
	out["ResponseMetadata"] = object{"HTTPStatusCode": float64(resp.StatusCode)}
	return out
}

// must makes a call that is not recorded.
func (r *recorded) must(op string, in object) object {
	r.t.Helper()
	out := r.do(op, in)
	if out["Error"] != nil {
		r.t.Fatalf("%s: %v", op, out["Error"])
	}
	return out
}

// same compares an answer with a step of a case.
func (r *recorded) same(name, step string, got any) {
	r.t.Helper()
	full := ""
	for k := range r.cases {
		if _, rest, _ := strings.Cut(k, "::"); rest == name { // behind its file's name
			full = k
		}
	}
	want, ok := r.cases[full][step]
	if !ok {
		r.t.Fatalf("there is no step %s of %s", step, name)
	}
	r.used[full] = true
	if w, ok := want.(object); ok {
		if e, ok := w["exception_message"].(object); ok { // a refused pattern
			delete(e["Error"].(object), "MessageRaw")
			want = e
		}
	}
	if diff := differ("", want, got); diff != "" {
		w, _ := json.Marshal(want)
		g, _ := json.Marshal(got)
		r.t.Errorf("%s, %s: %s\n got %s\nwant %s", name, step, diff, g, w)
	}
}

var placeholder = regexp.MustCompile(`<+[^<>]*>(:\d+>)?`)

// like turns a recorded text into a pattern: placeholders stand for anything.
func like(s string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	at := 0
	for _, m := range placeholder.FindAllStringIndex(s, -1) {
		b.WriteString(regexp.QuoteMeta(s[at:m[0]]) + `.+`)
		at = m[1]
	}
	return regexp.MustCompile(b.String() + regexp.QuoteMeta(s[at:]) + `$`)
}

var enums = regexp.MustCompile(`enum value set: \[([^]]*)\]`)

// ordered puts what a constraint error lists into an order: AWS's own is by no
// rule that the model tells. An id that the recording replaced is anything.
func ordered(s string) string {
	s = strings.ReplaceAll(s, "second-invalid-target-id", "<id>")
	head, list, ok := strings.Cut(s, " detected: ")
	if !ok {
		return s
	}
	list = enums.ReplaceAllStringFunc(list, func(set string) string {
		values := strings.Split(enums.FindStringSubmatch(set)[1], ", ")
		slices.Sort(values)
		return "enum value set: [" + strings.Join(values, ", ") + "]"
	})
	errors := strings.Split(list, "; ")
	slices.Sort(errors)
	return head + " detected: " + strings.Join(errors, "; ")
}

// texts are words that recordings hold for what differs.
var texts = []string{"datetime", "date", "api-destination-arn", "connection-arn", "target-arn", "target-id", "replay-name", "m-d5-of-body", "receipt-handle", "timestamp"}

// differ says where ours is not as recorded.
func differ(at string, want, got any) string {
	switch want := want.(type) {
	case object:
		g, ok := got.(object)
		if text, isText := got.(string); isText { // JSON in a string
			ok = json.Unmarshal([]byte(text), &g) == nil
		}
		if !ok {
			return fmt.Sprintf("%s is %v", at, got)
		}
		for k := range g {
			if _, ok := want[k]; !ok {
				return fmt.Sprintf("%s.%s is too much", at, k)
			}
		}
		for k, w := range want {
			if _, ok := g[k]; !ok {
				return fmt.Sprintf("%s.%s is missing", at, k)
			}
			if d := differ(at+"."+k, w, g[k]); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			return fmt.Sprintf("%s is %v, not of %d elements", at, got, len(want))
		}
		for i := range want {
			if d := differ(fmt.Sprintf("%s[%d]", at, i), want[i], g[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		if slices.Contains(texts, want) {
			return ""
		}
		if g, ok := got.(string); ok && like(ordered(want)).MatchString(ordered(g)) {
			return ""
		}
	default:
		if want == got || strings.HasSuffix(at, ".SizeBytes") {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v, not %v", at, got, want)
}

func putEvents(entries ...object) object { return object{"Entries": entries} }

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

func TestRecorded(t *testing.T) {
	r := newRecorded(t)
	t.Run("connections", func(t *testing.T) { r.t = t; r.connections() })
	t.Run("destinations", func(t *testing.T) { r.t = t; r.destinations() })
	t.Run("archives", func(t *testing.T) { r.t = t; r.archives() })
	t.Run("replays", func(t *testing.T) { r.t = t; r.replays() })
	t.Run("buses", func(t *testing.T) { r.t = t; r.buses() })
	t.Run("rules", func(t *testing.T) { r.t = t; r.rules() })
	t.Run("targets", func(t *testing.T) { r.t = t; r.targets() })
	t.Run("puts", func(t *testing.T) { r.t = t; r.puts() })
	t.Run("inputs", func(t *testing.T) { r.t = t; r.inputs() })
	t.Run("patterns", func(t *testing.T) { r.t = t; r.patterns() })
	t.Run("schedules", func(t *testing.T) { r.t = t; r.schedules() })
	t.Run("tags", func(t *testing.T) { r.t = t; r.tags() })
	t.Run("delivery", func(t *testing.T) { r.t = t; r.deliveries() })
	t.Run("sentences", func(t *testing.T) { r.t = t; r.sentences() })
	for name := range r.cases {
		if !r.used[name] {
			t.Logf("not told by its name and answer: %s", name)
		}
	}
	if n := len(r.used); n < 120 {
		t.Errorf("only %d of %d cases were compared", n, len(r.cases))
	}
}

// sentences: each recorded error is one that we said.
func (r *recorded) sentences() {
	f, err := os.Open(recordings + ".errors.tsv")
	must(r.t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), "\t")
		text, err := strconv.Unquote(`"` + fields[2] + `"`)
		must(r.t, err)
		want := like(ordered(fields[0] + "\t" + text))
		if !slices.ContainsFunc(r.said, want.MatchString) {
			// A place in the source may follow: the recording took some away.
			prefix := regexp.MustCompile(strings.TrimSuffix(want.String(), "$") + `\n at \[Source`)
			if !slices.ContainsFunc(r.said, prefix.MatchString) {
				r.t.Errorf("we did not say: %s", s.Text())
			}
		}
	}
}

func (r *recorded) connections() {
	const at = "TestEventBridgeConnections::"
	key := object{"ApiKeyAuthParameters": object{"ApiKeyName": "ApiKey", "ApiKeyValue": "value"}}
	withHTTP := object{"ApiKeyAuthParameters": key["ApiKeyAuthParameters"], "InvocationHttpParameters": object{}}
	r.same(at+"test_create_connection", "create-connection", r.do("CreateConnection", object{"Name": "c1", "AuthorizationType": "API_KEY", "AuthParameters": withHTTP}))
	r.same(at+"test_create_connection", "describe-connection", r.do("DescribeConnection", object{"Name": "c1"}))
	r.same(at+"test_create_connection_name_validation", "create-connection-invalid-name-error",
		r.do("CreateConnection", object{"Name": "Invalid Name With Spaces!", "AuthorizationType": "API_KEY", "AuthParameters": key}))
	r.same(at+"test_create_connection_with_auth[auth_params1]", "create-connection-auth", r.do("CreateConnection", object{"Name": "c2", "AuthorizationType": "API_KEY", "AuthParameters": key}))
	r.same(at+"test_create_connection_with_auth[auth_params1]", "describe-connection-auth", r.do("DescribeConnection", object{"Name": "c2"}))
	basic := func(user, password string) object {
		return object{"BasicAuthParameters": object{"Username": user, "Password": password}}
	}
	r.same(at+"test_connection_secrets[basic]", "create-connection-auth", r.do("CreateConnection", object{"Name": "c3", "AuthorizationType": "BASIC", "AuthParameters": basic("user", "pass")}))
	r.same(at+"test_connection_secrets[basic]", "describe-connection-auth", r.do("DescribeConnection", object{"Name": "c3"}))
	r.same(at+"test_list_connections", "list-connections", r.do("ListConnections", object{"NamePrefix": "c3"}))
	auth := basic("user", "pass")
	auth["InvocationHttpParameters"] = object{}
	r.same(at+"test_update_connection", "create-connection", r.do("CreateConnection", object{"Name": "c4", "AuthorizationType": "BASIC", "AuthParameters": auth}))
	r.same(at+"test_update_connection", "describe-created-connection", r.do("DescribeConnection", object{"Name": "c4"}))
	auth["BasicAuthParameters"] = object{"Username": "new_user", "Password": "new_pass"}
	r.same(at+"test_update_connection", "update-connection", r.do("UpdateConnection", object{"Name": "c4", "AuthorizationType": "BASIC", "AuthParameters": auth}))
	r.same(at+"test_update_connection", "describe-updated-connection", r.do("DescribeConnection", object{"Name": "c4"}))
	r.same("TestEvents::test_create_connection_validations", "create_connection_exc",
		r.do("CreateConnection", object{"Name": "This should fail with two errors 123467890123412341234123412341234", "AuthorizationType": "INVALID", "AuthParameters": basic("user", "pass")}))
}

func (r *recorded) destinations() {
	const at = "TestEventBridgeApiDestinations::"
	// The endpoint of its tokens gives none: the destination stays inactive.
	c := r.must("CreateConnection", object{"Name": "oauth", "AuthorizationType": "OAUTH_CLIENT_CREDENTIALS", "AuthParameters": object{"OAuthParameters": object{
		"AuthorizationEndpoint": r.url + "/no", "HttpMethod": "POST", "ClientParameters": object{"ClientID": "id", "ClientSecret": "password"}}}})
	in := object{"Name": "d", "ConnectionArn": c["ConnectionArn"], "HttpMethod": "POST", "InvocationEndpoint": "https://example.com/api", "Description": "Test API destination"}
	r.same(at+"test_api_destinations[auth2]", "create-api-destination", r.do("CreateApiDestination", in))
	r.same(at+"test_api_destinations[auth2]", "describe-api-destination", r.do("DescribeApiDestination", object{"Name": "d"}))
	r.same(at+"test_api_destinations[auth2]", "list-api-destinations", r.do("ListApiDestinations", object{"NamePrefix": "d"}))
	r.same(at+"test_api_destinations[auth2]", "update-api-destination", r.do("UpdateApiDestination", object{"Name": "d", "ConnectionArn": c["ConnectionArn"], "HttpMethod": "PUT",
		"InvocationEndpoint": "https://example.com/api/v2", "Description": "Updated API destination"}))
	r.same(at+"test_api_destinations[auth2]", "describe-updated-api-destination", r.do("DescribeApiDestination", object{"Name": "d"}))
	r.same(at+"test_api_destinations[auth2]", "delete-api-destination", r.do("DeleteApiDestination", object{"Name": "d"}))
	r.same(at+"test_api_destinations[auth2]", "describe-api-destination-not-found-error", r.do("DescribeApiDestination", object{"Name": "d"}))
	in["Name"], in["ConnectionArn"], in["HttpMethod"] = "d", "invalid-connection-arn", "INVALID_METHOD"
	r.same(at+"test_create_api_destination_invalid_parameters", "create-api-destination-invalid-parameters-error", r.do("CreateApiDestination", in))
	in["Name"], in["ConnectionArn"], in["HttpMethod"] = "Invalid Name With Spaces!", c["ConnectionArn"], "POST"
	r.same(at+"test_create_api_destination_name_validation", "create-api-destination-invalid-name-error", r.do("CreateApiDestination", in))
}

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
