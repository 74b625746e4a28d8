package confluent

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/identity"
	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store/storetest"
)

const names = "arn:aws:glue:eu-west-1:111111111111:"

// newGuarded has a user that policies names by basic authentication do what its
// policy says; others may do everything. asked is told of each question.
func newGuarded(t *testing.T, policies map[string]string, asked func(string)) (as func(user string) *fixture) {
	e := registry.New(registry.Config{DB: storetest.Open(t)})
	t.Cleanup(e.Close)
	api := New(Config{Engine: e, Scope: func(*http.Request) cluster.Scope { return here }})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		c := &awsapi.Call{Principal: "arn:aws:sts::111111111111:assumed-role/" + user + "/1"}
		if text, limited := policies[user]; limited {
			d, err := policy.ParseIdentity(text)
			if err != nil {
				t.Error(err)
			}
			identity.Limit(c, func() policy.Documents { return policy.Documents{d} })
			allow := c.Allow
			c.Allow = func(action, resource string) error {
				asked(action + " " + resource)
				return allow(action, resource)
			}
		}
		api.ServeHTTP(w, r.WithContext(awsapi.WithCall(r.Context(), c)))
	}))
	t.Cleanup(s.Close)
	return func(user string) *fixture {
		return &fixture{t, e, strings.Replace(s.URL, "http://", "http://"+user+":x@", 1) + Prefix}
	}
}

// TestAsked holds what is asked for each call.
func TestAsked(t *testing.T) {
	var asked []string
	as := newGuarded(t, map[string]string{"all": `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}, func(q string) { asked = append(asked, q) })
	f := as("all")
	inDefault, order := names+"registry/default-registry", names+"schema/default-registry/order"
	both := func(action string) []string { return []string{action + " " + inDefault, action + " " + order} }
	base := posting("AVRO", `{"type":"record","name":"Base","fields":[]}`)
	every := names + "registry/*"
	covered := map[string]bool{}
	for _, c := range []struct {
		pattern, call, body string
		want                []string
	}{
		{"GET /{$}", "GET /", "", nil},
		{"GET /v1/metadata/id", "GET /v1/metadata/id", "", nil},
		{"GET /v1/metadata/version", "GET /v1/metadata/version", "", nil},
		{"GET /schemas/types", "GET /schemas/types", "", nil},
		{"GET /contexts", "GET /contexts", "", []string{"ListRegistries *"}},
		{"POST /subjects/{subject}/versions", "POST /subjects/order/versions", base, append(both("RegisterSchemaVersion"), both("CreateSchema")...)},
		{"POST /subjects/{subject}/versions", "POST /subjects/order/versions", base, both("RegisterSchemaVersion")},
		{"POST /subjects/{subject}/versions", "POST /subjects/order/versions", posting("AVRO", `{"type":"record","name":"B","fields":[{"name":"a","type":"Base","default":{}}]}`, reference{"Base", "base", 1}),
			append(both("RegisterSchemaVersion"), "GetSchemaVersion "+inDefault, "GetSchemaVersion "+names+"schema/default-registry/base")},
		{"GET /schemas", "GET /schemas", "", append([]string{"ListSchemas " + inDefault}, both("GetSchemaVersion")...)},
		{"GET /schemas", "GET /schemas?subjectPrefix=:*:", "", append([]string{"ListSchemas " + every}, both("GetSchemaVersion")...)},
		{"GET /subjects", "GET /subjects?subjectPrefix=:.shop:", "", []string{"ListSchemas " + names + "registry/shop"}},
		{"GET /subjects", "GET /subjects", "", []string{"ListSchemas " + names + "registry/*"}},
		{"GET /subjects", "GET /subjects?subjectPrefix=", "", []string{"ListSchemas " + names + "registry/default-registry"}},
		{"GET /subjects", "GET /contexts/.shop/subjects", "", []string{"ListSchemas " + names + "registry/shop"}},
		{"GET /schemas/ids/{id}", "GET /schemas/ids/1", "", both("GetSchemaVersion")},
		{"GET /schemas/ids/{id}", "GET /schemas/ids/99", "", []string{"GetSchemaVersion *"}},
		{"GET /schemas/ids/{id}/schema", "GET /schemas/ids/1/schema", "", both("GetSchemaVersion")},
		{"GET /schemas/ids/{id}/subjects", "GET /schemas/ids/1/subjects", "", both("GetSchemaVersion")},
		{"GET /schemas/ids/{id}/versions", "GET /schemas/ids/1/versions", "", both("GetSchemaVersion")},
		{"POST /subjects/{subject}", "POST /subjects/order", base, both("GetSchemaByDefinition")},
		{"GET /subjects/{subject}/versions", "GET /subjects/order/versions", "", both("ListSchemaVersions")},
		{"GET /subjects/{subject}/versions", "GET /subjects/:.shop:order/versions", "", []string{"ListSchemaVersions " + names + "registry/shop", "ListSchemaVersions " + names + "schema/shop/order"}},
		{"GET /subjects/{subject}/versions/{version}", "GET /subjects/order/versions/1", "", both("GetSchemaVersion")},
		{"GET /subjects/{subject}/versions/{version}/schema", "GET /subjects/order/versions/1/schema", "", both("GetSchemaVersion")},
		{"GET /subjects/{subject}/versions/{version}/referencedby", "GET /subjects/order/versions/1/referencedby", "", both("GetSchemaVersion")},
		{"POST /compatibility/subjects/{subject}/versions", "POST /compatibility/subjects/order/versions", base, both("GetSchemaVersion")},
		{"POST /compatibility/subjects/{subject}/versions/{version}", "POST /compatibility/subjects/order/versions/1", base, both("GetSchemaVersion")},
		{"GET /config", "GET /config", "", []string{"GetRegistry " + every}},
		{"PUT /config", "PUT /config", `{"compatibility":"FULL"}`, []string{"UpdateRegistry " + every}},
		{"DELETE /config", "DELETE /config", "", []string{"UpdateRegistry " + every}},
		{"GET /config/{subject}", "GET /config/order", "", both("GetSchema")},
		{"PUT /config/{subject}", "PUT /config/order", `{"compatibility":"FULL"}`, both("UpdateSchema")},
		{"PUT /config/{subject}", "PUT /config/fresh", `{"compatibility":"FULL"}`, []string{"UpdateSchema " + inDefault, "UpdateSchema " + names + "schema/default-registry/fresh",
			"CreateSchema " + inDefault, "CreateSchema " + names + "schema/default-registry/fresh"}},
		{"DELETE /config/{subject}", "DELETE /config/order", "", both("UpdateSchema")},
		{"GET /mode", "GET /mode", "", []string{"GetRegistry " + every}},
		{"PUT /mode", "PUT /mode", `{"mode":"READWRITE"}`, []string{"UpdateRegistry " + every}},
		{"DELETE /mode", "DELETE /mode", "", []string{"UpdateRegistry " + every}},
		{"GET /mode/{subject}", "GET /mode/order", "", both("GetSchema")},
		{"PUT /mode/{subject}", "PUT /mode/order", `{"mode":"READWRITE"}`, both("UpdateSchema")},
		{"DELETE /mode/{subject}", "DELETE /mode/order", "", both("UpdateSchema")},
		{"DELETE /subjects/{subject}/versions/{version}", "DELETE /subjects/order/versions/1", "", both("DeleteSchemaVersions")},
		{"DELETE /subjects/{subject}", "DELETE /subjects/order", "", both("DeleteSchema")},
	} {
		covered[c.pattern], asked = true, nil
		answer := f.do(c.call, c.body)
		var want []string
		for _, q := range c.want {
			want = append(want, "glue:"+q)
		}
		if !slices.Equal(asked, want) {
			t.Errorf("%s asks for %q, not %q: %s", c.call, asked, want, answer)
		}
	}
	for pattern := range New(Config{Engine: f.e}).routes() {
		if !covered[pattern] {
			t.Errorf("it is not held what is asked for %s", pattern)
		}
	}
}

// TestDenied has users do what their policies say; what they may not they get in
// the API's form, and nothing of what is there.
func TestDenied(t *testing.T) {
	only := func(actions, schema string) string {
		return `{"Statement":{"Effect":"Allow","Action":[` + actions + `],"Resource":["` + names + `registry/default-registry","` + names + `schema/default-registry/` + schema + `"]}}`
	}
	as := newGuarded(t, map[string]string{
		"orders": only(`"glue:Get*","glue:List*"`, "order"),
		"writer": only(`"glue:RegisterSchemaVersion"`, "order"),
		"maker":  only(`"glue:RegisterSchemaVersion","glue:CreateSchema"`, "new"),
		"but":    `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*/secret"}]}`,
	}, func(string) {})
	root := as("root")
	other := posting("AVRO", `{"type":"record","name":"Other","fields":[]}`)
	for _, s := range []step{
		{"POST /subjects/order/versions", avro("id"), `200 {"id":1}`},
		{"POST /subjects/secret/versions", avro("id pin"), `200 {"id":2}`},
		{"POST /subjects/secret/versions", avro("id"), `200 {"id":1}`}, // shared with order
	} {
		if got := root.do(s.call, s.body); got != s.want {
			t.Fatalf("%s: %s", s.call, got)
		}
	}
	denied := func(role, action, resource string) string {
		return `403 {"error_code":40301,"message":"User: arn:aws:sts::111111111111:assumed-role/` + role + `/1 is not authorized to perform: glue:` + action + ` on resource: ` + resource + ` because no identity-based policy allows the glue:` + action + ` action"}`
	}
	schema := func(name string) string { return names + "schema/default-registry/" + name }
	for _, c := range []struct {
		role  string
		steps []step
	}{
		{"orders", []step{
			{"GET /subjects/order/versions/latest/schema", "", "200 " + record("id")},
			{"GET /schemas/ids/1/schema", "", "200 " + record("id")},
			{"GET /schemas/ids/1/subjects", "", `200 ["order"]`},
			{"GET /schemas/ids/1/versions", "", `200 [{"subject":"order","version":1}]`},
			{"GET /schemas", "", `200 [{"subject":"order","version":1,"id":1,"schema":` + jsonText(record("id")) + `}]`},
			{"GET /schemas/ids/1?fetchMaxId=true&subject=secret", "", `200 {"schema":` + jsonText(record("id")) + `,"maxId":1}`},
			{"GET /subjects/secret/versions/latest", "", denied("orders", "GetSchemaVersion", schema("secret"))},
			{"GET /subjects/none/versions/latest", "", denied("orders", "GetSchemaVersion", schema("none"))},
			{"GET /schemas/ids/2", "", denied("orders", "GetSchemaVersion", "*")},
			{"GET /schemas/ids/99", "", denied("orders", "GetSchemaVersion", "*")},
			{"GET /config/secret", "", denied("orders", "GetSchema", schema("secret"))},
			{"POST /compatibility/subjects/secret/versions?verbose=true", other, denied("orders", "GetSchemaVersion", schema("secret"))},
			{"PUT /config/order", `{"compatibility":"NONE"}`, denied("orders", "UpdateSchema", names+"registry/default-registry")},
			{"GET /contexts", "", denied("orders", "ListRegistries", "*")},
			{"GET /config", "", denied("orders", "GetRegistry", names+"registry/*")},
		}},
		{"writer", []step{
			{"POST /subjects/order/versions", avro("id note?"), `200 {"id":3}`},
			{"POST /subjects/order/versions", avro("other"), `409 {"error_code":409,"message":"Schema being registered is incompatible with an earlier schema for subject \"order\"; why is told to who may glue:GetSchemaVersion"}`},
			{"POST /subjects/secret/versions", avro("id pin note?"), denied("writer", "RegisterSchemaVersion", schema("secret"))},
			{"POST /subjects/none/versions", other, denied("writer", "RegisterSchemaVersion", schema("none"))},
			{"POST /subjects/order/versions", posting("AVRO", `{"type":"record","name":"O","fields":[{"name":"s","type":"Order"}]}`, reference{"Order", "secret", 1}), denied("writer", "GetSchemaVersion", names+"registry/default-registry")},
			{"GET /subjects/order/versions/1", "", denied("writer", "GetSchemaVersion", names+"registry/default-registry")},
			{"DELETE /subjects/order", "", denied("writer", "DeleteSchema", names+"registry/default-registry")},
		}},
		{"maker", []step{
			{"POST /subjects/new/versions", other, `200 {"id":4}`},
			{"POST /subjects/newer/versions", other, denied("maker", "RegisterSchemaVersion", schema("newer"))},
		}},
		{"but", []step{
			{"GET /schemas/ids/1/subjects", "", `200 ["order"]`},
			{"GET /schemas/ids/2", "", `404 {"error_code":40403,"message":"Schema 2 not found"}`},
			{"GET /schemas/ids/99", "", `404 {"error_code":40403,"message":"Schema 99 not found"}`},
		}},
	} {
		for _, s := range c.steps {
			if got := as(c.role).do(s.call, s.body); got != s.want {
				t.Errorf("%s, %s: %s\nwant %s", c.role, s.call, got, s.want)
			}
		}
	}
	if got := root.do("GET /subjects/secret/versions", ""); got != "200 [1,2]" {
		t.Errorf("secret has the versions %s", got)
	}
	if got := root.do("GET /subjects", ""); got != `200 ["new","order","secret"]` {
		t.Errorf("the subjects are %s", got)
	}
}

func jsonText(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }
