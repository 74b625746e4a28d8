package events

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/queue"
)

// destination makes a connection and an API destination, and a rule that sends
// to it.
func (f *fixture) destination(endpoint string, rate *int32, auth types.CreateConnectionAuthRequestParameters, typ types.ConnectionAuthorizationType, change func(*types.Target)) {
	f.t.Helper()
	c, err := f.client.CreateConnection(f.ctx, &eventbridge.CreateConnectionInput{Name: ptr("c"), AuthorizationType: typ, AuthParameters: &auth})
	must(f.t, err)
	d, err := f.client.CreateApiDestination(f.ctx, &eventbridge.CreateApiDestinationInput{Name: ptr("d"), ConnectionArn: c.ConnectionArn, HttpMethod: types.ApiDestinationHttpMethodPost,
		InvocationEndpoint: &endpoint, InvocationRateLimitPerSecond: rate})
	must(f.t, err)
	f.rule("r", "", updates, func(t *types.Target) {
		t.Arn = d.ApiDestinationArn
		t.DeadLetterConfig = &types.DeadLetterConfig{Arn: ptr(queueARN("dlq"))}
		t.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: ptr(int32(1))}
		if change != nil {
			change(t)
		}
	})
}

func TestAPIDestination(t *testing.T) {
	f := newFixture(t)
	got := make(chan *http.Request, 10)
	bodies := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r
		bodies <- string(b)
	}))
	defer srv.Close()
	f.destination(srv.URL+"/x/*/y", nil, types.CreateConnectionAuthRequestParameters{BasicAuthParameters: &types.CreateConnectionBasicAuthRequestParameters{Username: ptr("u"), Password: ptr("p")},
		InvocationHttpParameters: &types.ConnectionHttpParameters{HeaderParameters: []types.ConnectionHeaderParameter{{Key: ptr("X-C"), Value: ptr("connection"), IsValueSecret: true}},
			BodyParameters: []types.ConnectionBodyParameter{{Key: ptr("extra"), Value: ptr("yes")}}}}, types.ConnectionAuthorizationTypeBasic, func(t *types.Target) {
		t.HttpParameters = &types.HttpParameters{PathParameterValues: []string{"a b"}, HeaderParameters: map[string]string{"X-T": "target", "X-C": "target"}, QueryStringParameters: map[string]string{"q": "1", "from": "$.source"}}
	})
	e := entry("", update)
	e.TraceHeader = ptr("Root=1-5759e988-bd862e3fe1be46a994272793")
	_, err := f.client.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
	must(t, err)
	r := <-got
	u, p, _ := r.BasicAuth()
	if r.Header.Get("X-Amzn-Trace-Id") != *e.TraceHeader {
		t.Errorf("the trace is %q", r.Header.Get("X-Amzn-Trace-Id"))
	}
	if r.URL.String() != "/x/a%20b/y?from=core.update-account-command&q=1" || u != "u" || p != "p" || r.Header.Get("X-C") != "connection" || r.Header.Get("X-T") != "target" || r.Method != "POST" {
		t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
	}
	if b := decode(t, <-bodies); b["extra"] != "yes" || b["source"] != "core.update-account-command" {
		t.Errorf("%v", b)
	}
	d, err := f.client.DescribeConnection(f.ctx, &eventbridge.DescribeConnectionInput{Name: ptr("c")})
	must(t, err)
	text, err := json.Marshal(d)
	must(t, err)
	if strings.Contains(string(text), `"connection"`) || d.AuthParameters.BasicAuthParameters.Username == nil || d.ConnectionState != types.ConnectionStateAuthorized {
		t.Errorf("%s", text)
	}
}

func TestOAuth(t *testing.T) {
	f := newFixture(t)
	var mu sync.Mutex
	issued, calls := 0, []string{}
	done := make(chan struct{}, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/token" {
			r.ParseForm()
			if r.Form.Get("client_id") != "id" || r.Form.Get("client_secret") != "secret" || r.Form.Get("grant_type") != "client_credentials" || r.Form.Get("audience") != "all" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			issued++
			fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":3600}`, issued)
			return
		}
		calls = append(calls, r.Header.Get("Authorization"))
		if len(calls) == 3 {
			w.WriteHeader(http.StatusUnauthorized) // a token that was withdrawn
			return
		}
		done <- struct{}{}
	}))
	defer srv.Close()
	f.destination(srv.URL, nil, types.CreateConnectionAuthRequestParameters{OAuthParameters: &types.CreateConnectionOAuthRequestParameters{AuthorizationEndpoint: ptr(srv.URL + "/token"), HttpMethod: types.ConnectionOAuthHttpMethodPost,
		ClientParameters:    &types.CreateConnectionOAuthClientRequestParameters{ClientID: ptr("id"), ClientSecret: ptr("secret")},
		OAuthHttpParameters: &types.ConnectionHttpParameters{BodyParameters: []types.ConnectionBodyParameter{{Key: ptr("audience"), Value: ptr("all")}}}}}, types.ConnectionAuthorizationTypeOauthClientCredentials, nil)
	for range 3 {
		f.put("", update)
		<-done
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(calls, ","); got != "Bearer t1,Bearer t1,Bearer t1,Bearer t2" || issued != 2 {
		t.Errorf("%s, %d tokens", got, issued)
	}
	d, err := f.client.DescribeApiDestination(f.ctx, &eventbridge.DescribeApiDestinationInput{Name: ptr("d")})
	must(t, err)
	if d.ApiDestinationState != types.ApiDestinationStateActive {
		t.Errorf("the destination is %s", d.ApiDestinationState)
	}
}

// What an endpoint must not do is refused: leading to where credentials are, to
// other hosts, or answering without end.
func TestBadEndpoints(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"link-local addresses are not called": nil,
		"redirects to another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
		},
		"the answer is larger than 1048576 bytes": func(w http.ResponseWriter, r *http.Request) {
			for chunk := make([]byte, 1<<16); r.Context().Err() == nil; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"the endpoint answered 400 Bad Request": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			url := "http://169.254.169.254/latest"
			if handler != nil {
				srv := httptest.NewServer(handler)
				defer srv.Close()
				url = srv.URL
			}
			f.destination(url, nil, types.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: ptr("X-Key"), ApiKeyValue: ptr("v")}}, types.ConnectionAuthorizationTypeApiKey, nil)
			f.put("", update)
			if got := f.queues.waitDead(t, queueARN("dlq")); !strings.Contains(got["ERROR_MESSAGE"], name) || got["RETRY_ATTEMPTS"] != "0" {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestInvocationRate(t *testing.T) {
	f := newFixture(t)
	times := make(chan time.Time, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { times <- time.Now() }))
	defer srv.Close()
	f.destination(srv.URL, ptr(int32(10)), types.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: ptr("X-Key"), ApiKeyValue: ptr("v")}}, types.ConnectionAuthorizationTypeApiKey, nil)
	for range 4 {
		f.put("", update)
	}
	first := <-times
	var last time.Time
	for range 3 {
		last = <-times
	}
	if d := last.Sub(first); d < 250*time.Millisecond {
		t.Errorf("4 invocations within %v", d)
	}
}

// TestOthersConnections has another account try what holds the first one's
// secrets: a connection, and an API destination over it.
func TestOthersConnections(t *testing.T) {
	f := newFixture(t)
	f.destination("http://127.0.0.1:1/", nil, types.CreateConnectionAuthRequestParameters{BasicAuthParameters: &types.CreateConnectionBasicAuthRequestParameters{Username: ptr("u"), Password: ptr("p")}},
		types.ConnectionAuthorizationTypeBasic, nil)
	c, err := f.client.DescribeConnection(f.ctx, &eventbridge.DescribeConnectionInput{Name: ptr("c")})
	must(t, err)
	d, err := f.client.DescribeApiDestination(f.ctx, &eventbridge.DescribeApiDestinationInput{Name: ptr("d")})
	must(t, err)
	for what, them := range map[string]*eventbridge.Client{"another account": f.caller("222222222222", region), "another region": f.caller(account, "us-east-1")} {
		_, err = them.CreateApiDestination(f.ctx, &eventbridge.CreateApiDestinationInput{Name: ptr("mine"), ConnectionArn: c.ConnectionArn, HttpMethod: types.ApiDestinationHttpMethodPost,
			InvocationEndpoint: ptr("http://127.0.0.1:1/")})
		refused(t, err, "ResourceNotFoundException", "Connection 'c' does not exist.")
		_, err = them.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("r"), EventPattern: ptr(updates)})
		must(t, err)
		for _, arn := range []string{*d.ApiDestinationArn, "arn:aws:lambda:" + region + ":" + account + ":function:f"} {
			out, err := them.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: []types.Target{{Id: ptr("t"), Arn: &arn}}})
			must(t, err)
			if out.FailedEntryCount != 1 {
				t.Errorf("%s has %s as a target", what, arn)
			}
		}
	}
}

// TestHostileStatus has an endpoint answer with what no queue takes: the dead
// letter goes there all the same.
func TestHostileStatus(t *testing.T) {
	f := newFixture(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 400 no\x01\xff\uffffway "+strings.Repeat("x", 3000)+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	}()
	f.destination("http://"+l.Addr().String()+"/", nil, types.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: ptr("k"), ApiKeyValue: ptr("v")}},
		types.ConnectionAuthorizationTypeApiKey, nil)
	f.put("", update)
	said := f.queues.waitDead(t, queueARN("dlq"))["ERROR_MESSAGE"]
	if !queue.Valid(said) || !strings.Contains(said, "way") || len(said) > 1100 {
		t.Errorf("%d bytes: %q", len(said), said)
	}
}

// TestNoncharacters has an event hold characters that JSON may and messages of
// queues may not hold.
func TestNoncharacters(t *testing.T) {
	f := newFixture(t)
	f.rule("all", "", `{"source":[{"prefix":""}]}`)
	f.put("", "{\"a\":\"x\uffffy\ufffe\"}")
	got := f.queues.wait(t, queueARN("all"), 1)[0]
	if !queue.Valid(got) || decode(t, got)["detail"].(map[string]any)["a"] != "x\uffffy\ufffe" {
		t.Errorf("%q", got)
	}
}
