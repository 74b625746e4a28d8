package confluent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "111111111111", Region: "eu-west-1"}

type fixture struct {
	t   testing.TB
	e   *registry.Engine
	url string
}

func newFixture(t testing.TB) *fixture {
	return newFixtureWith(t, nil)
}

func newFixtureWith(t testing.TB, guard func(context.Context, []registry.Version) error) *fixture {
	e := registry.New(registry.Config{DB: storetest.Open(t), Guard: guard})
	t.Cleanup(e.Close)
	s := httptest.NewServer(New(Config{Engine: e, Scope: func(*http.Request) cluster.Scope { return here }}))
	t.Cleanup(s.Close)
	return &fixture{t, e, s.URL + Prefix}
}

// do is one call; the answer is its status and its body.
func (f *fixture) do(call, body string) string {
	f.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	r, err := http.NewRequestWithContext(context.Background(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != mediaType {
		f.t.Errorf("%s: the answer is of type %q", call, got)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(b)))
}

func posting(format, text string, refs ...reference) string {
	b, _ := json.Marshal(map[string]any{"schema": text, "schemaType": format, "references": refs})
	return string(b)
}

// record is a record Order of int fields; "x?" has a default.
func record(fields string) string {
	var list []string
	for _, n := range strings.Fields(fields) {
		name, optional := strings.CutSuffix(n, "?")
		if optional {
			list = append(list, fmt.Sprintf(`{"name":%q,"type":"int","default":0}`, name))
		} else {
			list = append(list, fmt.Sprintf(`{"name":%q,"type":"int"}`, name))
		}
	}
	return `{"type":"record","name":"Order","fields":[` + strings.Join(list, ",") + `]}`
}

func avro(fields string) string { return posting("AVRO", record(fields)) }

// step is a call, what is sent, and how the answer begins or, after a ~, what
// is in it.
type step struct{ call, body, want string }

func (f *fixture) run(steps []step) {
	f.t.Helper()
	for i, s := range steps {
		got := f.do(s.call, s.body)
		status, rest, contains := strings.Cut(s.want, "~")
		if !strings.HasPrefix(got, strings.TrimSpace(status)) || contains && !strings.Contains(got, rest) {
			f.t.Errorf("step %d, %s: %s\nwant %s", i, s.call, got, s.want)
		}
	}
}

func TestSubjects(t *testing.T) {
	newFixture(t).run([]step{
		{"GET /", "", `200 {}`},
		{"GET /schemas/types", "", `200 ["JSON","PROTOBUF","AVRO"]`},
		{"GET /subjects", "", `200 []`},
		{"GET /subjects/orders-value/versions", "", `404 {"error_code":40401,"message":"Subject 'orders-value' not found."}`},
		{"POST /subjects/orders-value/versions", avro("id"), `200 {"id":1}`},
		{"POST /subjects/orders-value/versions", avro("id"), `200 {"id":1}`},
		{"POST /subjects/orders-value/versions", avro("id total?"), `200 {"id":2}`},
		{"POST /subjects/other/versions", avro("id"), `200 {"id":1}`}, // the same text, the same id
		{"GET /subjects", "", `200 ["orders-value","other"]`},
		{"GET /subjects?subjectPrefix=orders", "", `200 ["orders-value"]`},
		{"GET /subjects/orders-value/versions", "", `200 [1,2]`},
		{"GET /subjects/orders-value/versions/1", "", `200 {"subject":"orders-value","version":1,"id":1,"schema":"{\"type\"`},
		{"GET /subjects/orders-value/versions/latest", "", `200 {"subject":"orders-value","version":2,"id":2,`},
		{"GET /subjects/orders-value/versions/9", "", `404 {"error_code":40402,"message":"Version 9 not found."}`},
		{"GET /subjects/orders-value/versions/x", "", `422 {"error_code":42202,"message":"The specified version 'x' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""}`},
		{"GET /subjects/orders-value/versions/1/schema", "", `200 {"type":"record"`},
		{"GET /schemas/ids/2", "", `200 {"schema":"{\"type\"`},
		{"GET /schemas/ids/2?fetchMaxId=true", "", `200 ~"maxId":2`},
		{"GET /schemas/ids/2/schema", "", `200 {"type":"record"`},
		{"GET /schemas/ids/1/subjects", "", `200 ["orders-value","other"]`},
		{"GET /schemas/ids/1/versions", "", `200 [{"subject":"orders-value","version":1},{"subject":"other","version":1}]`},
		{"GET /schemas/ids/99", "", `404 {"error_code":40403,"message":"Schema 99 not found"}`},
		{"POST /subjects/orders-value", avro("id total?"), `200 {"subject":"orders-value","version":2,"id":2,`},
		{"POST /subjects/orders-value", avro("nothing"), `404 {"error_code":40403,"message":"Schema not found"}`},
		{"POST /subjects/none", avro("id"), `404 {"error_code":40401,`},
		{"POST /subjects/orders-value/versions", posting("AVRO", `{"type":"recor"}`), `422 {"error_code":42201,"message":"Invalid schema: `},
		{"POST /subjects/orders-value/versions", posting("XML", `x`), `422 {"error_code":42201,`},
		{"POST /subjects/orders-value/versions", `{`, `400 `},
		{"POST /subjects/orders-value/versions", `{"schema":"\"int\"","id":7}`, `422 {"error_code":42205,`},
		{"GET /schemas?latestOnly=true", "", `200 [{"subject":"orders-value","version":2,`},
		{"GET /nowhere", "", `404 {"error_code":404,`},
	})
}

func TestCompatibility(t *testing.T) {
	newFixture(t).run([]step{
		{"GET /config", "", `200 {"compatibilityLevel":"BACKWARD"}`},
		{"POST /compatibility/subjects/o/versions/latest", avro("id"), `404 {"error_code":40401,`},
		{"POST /compatibility/subjects/o/versions", avro("id"), `200 {"is_compatible":true}`},
		{"POST /subjects/o/versions", avro("id"), `200 {"id":1}`},
		{"POST /subjects/o/versions", avro("id total"), `409 {"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"o\"~total`},
		{"POST /compatibility/subjects/o/versions/1", avro("id total"), `200 {"is_compatible":false}`},
		{"POST /compatibility/subjects/o/versions/1?verbose=true", avro("id total"), `200 {"is_compatible":false,"messages":["field ~total`},
		{"POST /compatibility/subjects/o/versions?verbose=true", avro("id total?"), `200 {"is_compatible":true}`},
		{"GET /config/o", "", `404 {"error_code":40408,"message":"Subject 'o' does not have subject-level compatibility configured"}`},
		{"GET /config/o?defaultToGlobal=true", "", `200 {"compatibilityLevel":"BACKWARD"}`},
		{"PUT /config/o", `{"compatibility":"FORWARD_TRANSITIVE"}`, `200 {"compatibility":"FORWARD_TRANSITIVE"}`},
		{"GET /config/o", "", `200 {"compatibilityLevel":"FORWARD_TRANSITIVE"}`},
		{"POST /subjects/o/versions", avro("id total"), `200 {"id":2}`},
		{"PUT /config/o", `{"compatibility":"SIDEWAYS"}`, `422 {"error_code":42203,`},
		{"PUT /config/o", `{"compatibility":"FULL","compatibilityGroup":"x"}`, `422 {"error_code":42205,`},
		{"DELETE /config/o", "", `200 {"compatibilityLevel":"FORWARD_TRANSITIVE"}`},
		{"GET /config/o", "", `404 {"error_code":40408,`},
		{"PUT /config", `{"compatibility":"none"}`, `200 {"compatibility":"NONE"}`},
		{"POST /subjects/o/versions", avro("other"), `200 {"id":3}`},
		{"PUT /config/fresh", `{"compatibility":"FULL"}`, `200 {"compatibility":"FULL"}`}, // before its first schema
		{"GET /subjects", "", `200 ["o"]`},
		{"POST /subjects/fresh/versions", posting("JSON", `{"type":"object"}`), `200 {"id":4}`},
		{"GET /subjects/fresh/versions/1", "", `200 {"subject":"fresh","version":1,"id":4,"schemaType":"JSON",`},
		{"POST /subjects/fresh/versions", avro("id"), `409 {"error_code":409,`},
	})
}

func TestModes(t *testing.T) {
	newFixture(t).run([]step{
		{"POST /subjects/o/versions", avro("id"), `200 {"id":1}`},
		{"GET /mode", "", `200 {"mode":"READWRITE"}`},
		{"PUT /mode", `{"mode":"READONLY"}`, `200 {"mode":"READONLY"}`},
		{"POST /subjects/o/versions", avro("id a?"), `422 {"error_code":42205,"message":"Subject o is in read-only mode"}`},
		{"POST /subjects/o/versions", avro("id"), `200 {"id":1}`}, // it is there
		{"GET /mode/o", "", `404 {"error_code":40409,`},
		{"PUT /mode/o", `{"mode":"READWRITE"}`, `200 {"mode":"READWRITE"}`},
		{"POST /subjects/o/versions", avro("id a?"), `200 {"id":2}`},
		{"PUT /mode/o", `{"mode":"IMPORT"}`, `422 {"error_code":42205,`},
		{"PUT /mode/o", `{"mode":"x"}`, `422 {"error_code":42204,`},
		{"DELETE /mode/o", "", `200 {"mode":"READWRITE"}`},
		{"DELETE /subjects/o", "", `422 {"error_code":42205,`},
		{"DELETE /mode", "", `200 {"mode":"READONLY"}`},
		{"DELETE /subjects/o", "", `200 [1,2]`},
	})
}

// TestRefused says of what Confluent's registry has and dhow does not that it is
// not there; what clients send for nothing is taken.
func TestRefused(t *testing.T) {
	const no = `422 {"error_code":42205,"message":"`
	newFixture(t).run([]step{
		{"POST /subjects/o/versions", `{"schema":"\"int\"","metadata":{"properties":{"owner":"a"}}}`, no + `Operation not permitted: dhow has no metadata`},
		{"POST /subjects/o/versions", `{"schema":"\"int\"","ruleSet":{"domainRules":[]}}`, no + `Operation not permitted: dhow has no metadata or rule sets`},
		{"POST /subjects/o/versions", `{"schema":"\"int\"","id":7}`, no + `Subject o is not in import mode`},
		{"POST /subjects/o/versions", `{"schema":"\"int\"","version":7}`, no + `Subject o is not in import mode`},
		{"POST /subjects/:.fresh:o/versions", `{"schema":"\"int\""}`, no + `Operation not permitted on subject :.fresh:o: there is no context .fresh`},
		{"POST /subjects/o/versions", `{"schema":"\"int\"","id":-1,"version":-1,"metadata":null,"ruleSet":null,"references":[]}`, `200 {"id":1}`},
		{"PUT /config", `{"compatibility":"NONE","normalize":true}`, no + `Operation not permitted: dhow has no normalize`},
		{"PUT /config", `{"compatibility":"NONE","compatibilityGroup":"major"}`, no + `Operation not permitted: dhow has no compatibilityGroup`},
		{"PUT /config/o", `{"compatibility":"NONE","alias":"p"}`, no + `Operation not permitted: dhow has no alias`},
		{"PUT /config/o", `{"compatibility":"NONE","defaultMetadata":{}}`, no + `Operation not permitted: dhow has no metadata`},
		{"PUT /config/o", `{"compatibility":"NONE","overrideRuleSet":{}}`, no + `Operation not permitted: dhow has no rule sets`},
		{"PUT /config/o", `{"compatibility":"NONE","normalize":false}`, `200 {"compatibility":"NONE"}`},
		{"PUT /mode", `{"mode":"IMPORT"}`, no + `Operation not permitted: dhow gives out ids`},
		{"PUT /mode/o", `{"mode":"FORWARD"}`, no + `Operation not permitted: dhow gives out ids`},
	})
}

func TestDelete(t *testing.T) {
	f := newFixture(t)
	f.run([]step{
		{"POST /subjects/base/versions", avro("id"), `200 {"id":1}`},
		{"POST /subjects/order/versions", posting("AVRO", `{"type":"array","items":"Order"}`, reference{"Order", "base", 1}), `200 {"id":2}`},
		{"GET /subjects/order/versions/1", "", `200 ~"references":[{"name":"Order","subject":"base","version":1}]`},
		{"GET /subjects/base/versions/1/referencedby", "", `200 [2]`},
		{"DELETE /subjects/base/versions/1", "", `422 {"error_code":42206,`},
		{"DELETE /subjects/order?permanent=true", "", `404 {"error_code":40405,`},
		{"DELETE /subjects/order", "", `200 [1]`},
		{"GET /subjects", "", `200 ["base"]`},
		{"GET /subjects?deleted=true", "", `200 ["base","order"]`},
		{"GET /subjects?deletedOnly=true", "", `200 ["order"]`},
		{"GET /subjects/order/versions", "", `404 {"error_code":40401,`},
		{"GET /subjects/order/versions?deleted=true", "", `200 [1]`},
		{"GET /schemas/ids/2", "", `200 ~items`}, // messages may be of it still
		{"DELETE /subjects/order", "", `404 {"error_code":40404,`},
		{"DELETE /subjects/order?permanent=true", "", `200 [1]`},
		{"POST /subjects/base/versions", avro("id a?"), `200 {"id":3}`},
		{"DELETE /subjects/base/versions/2", "", `200 2`},
		{"DELETE /subjects/base/versions/2", "", `404 {"error_code":40406,`},
		{"GET /subjects/base/versions/latest", "", `200 {"subject":"base","version":1,`},
		{"POST /subjects/base/versions", avro("id a?"), `200 {"id":3}`}, // again, as version 3
		{"GET /subjects/base/versions", "", `200 [1,3]`},
		{"DELETE /subjects/base/versions/3?permanent=true", "", `404 {"error_code":40407,`},
		{"DELETE /subjects/base/versions/2?permanent=true", "", `200 2`},
	})
}

// What is in use is not deleted for good, and that is the caller's affair.
func TestDeleteInUse(t *testing.T) {
	f := newFixtureWith(t, func(_ context.Context, list []registry.Version) error {
		return fmt.Errorf("version %s: %w by billing", list[0].Semver, registry.ErrInUse)
	})
	f.run([]step{
		{"POST /subjects/order/versions", avro("id"), `200 {"id":1}`},
		{"DELETE /subjects/order/versions/1", "", `200 1`},
		{"DELETE /subjects/order/versions/1?permanent=true", "", `422 ~version 1.0.0: `},
		{"DELETE /subjects/order?permanent=true", "", `422 ~billing`},
	})
}

// TestContexts reaches registries of the Glue API as contexts.
func TestContexts(t *testing.T) {
	f := newFixture(t)
	if _, err := f.e.CreateRegistry(t.Context(), registry.Registry{Scope: here, Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	f.run([]step{
		{"GET /contexts", "", `200 [".",".shop"]`},
		{"POST /subjects/:.shop:order/versions", avro("id"), `200 {"id":1}`},
		{"GET /contexts/.shop/subjects/order/versions", "", `200 [1]`},
		{"GET /subjects/:.shop:order/versions/1", "", `200 {"subject":":.shop:order","version":1,`},
		{"GET /subjects", "", `200 [":.shop:order"]`},
		{"GET /subjects?subjectPrefix=", "", `200 []`},
		{"GET /contexts/.shop/subjects", "", `200 [":.shop:order"]`},
		{"GET /contexts/.other/subjects", "", `200 []`},
		{"GET /schemas", "", `200 []`},
		{"GET /subjects?subjectPrefix=:.shop:", "", `200 [":.shop:order"]`},
		{"GET /subjects?subjectPrefix=:*:", "", `200 [":.shop:order"]`},
		{"GET /contexts/.shop/schemas/ids/1", "", `200 {"schema":`},
		{"POST /subjects/:.none:order/versions", avro("id"), `422 {"error_code":42205,`},
		{"POST /subjects/a%2Fb/versions", avro("id"), `200 {"id":1}`},
		{"GET /subjects/a%2Fb/versions/1", "", `200 {"subject":"a/b",`},
	})
}

func FuzzCall(f *testing.F) {
	f.Add("POST", "/subjects/a/versions", avro("id"))
	f.Add("GET", "/contexts/.x/subjects//versions/-1?offset=-4&limit=x", "")
	f.Add("PUT", "/config/:.:", `{"compatibility":"FULL"}`)
	e := registry.New(registry.Config{DB: storetest.Open(f)})
	f.Cleanup(e.Close)
	api := New(Config{Engine: e, Scope: func(*http.Request) cluster.Scope { return here }})
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, "http://x"+Prefix+path, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(r.URL.Path, Prefix+"/") {
			return
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	})
}

// TestNames refuses subjects that could not be kept or told apart, and reads the
// names of contexts as they are escaped.
func TestNames(t *testing.T) {
	f := newFixture(t)
	if _, err := f.e.CreateRegistry(t.Context(), registry.Registry{Scope: here, Name: "a#b"}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxSubject)
	f.run([]step{
		{"POST /contexts/.a%23b/subjects/order/versions", avro("id"), `200 {"id":1}`},
		{"GET /contexts/.a%23b/subjects", "", `200 [":.a#b:order"]`},
		{"POST /subjects/%D0%BD%D0%B0%2F1/versions", avro("id"), `200 {"id":1}`},
		{"GET /subjects/%D0%BD%D0%B0%2F1/versions", "", `200 [1]`},
		{"POST /subjects/" + long + "/versions", avro("id"), `200 {"id":1}`},
		{"POST /subjects/" + strings.Repeat("%2F", maxSubject) + "/versions", avro("id"), `200 {"id":1}`}, // escaped in keys
		{"POST /subjects/" + long + "x/versions", avro("id"), `422 {"error_code":42208,~is not a valid subject`},
		{"PUT /config/" + long + "x", `{"compatibility":"NONE"}`, `422 {"error_code":42208,`},
		{"PUT /mode/%FF", `{"mode":"READONLY"}`, `422 {"error_code":42208,`},
		{"POST /subjects/a%FFb/versions", avro("id"), `422 {"error_code":42208,`},
		{"POST /subjects/a%00b/versions", avro("id"), `422 {"error_code":42208,`},
		{"POST /subjects/a%0Ab/versions", avro("id"), `422 {"error_code":42208,`},
		{"POST /subjects/:.a%23b:/versions", avro("id"), `422 {"error_code":42208,`},
		{"GET /subjects/a%FFb/versions", "", `404 {"error_code":40401,`},
		{"GET /subjects/" + long + "x/versions", "", `404 {"error_code":40401,`},
		{"POST /subjects/big/versions", `{"schema":"` + strings.Repeat("x", 10<<20) + `"}`, `413 {"error_code":413,"message":"the body is larger than 5242880 bytes"}`},
	})
}
