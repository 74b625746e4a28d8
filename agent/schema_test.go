package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/dhowhq/dhow/cluster"
)

// registryFake answers as the control plane does; err, status and delay say how.
type registryFake struct {
	mu     sync.Mutex
	asks   int
	text   string
	err    error
	status int
	delay  time.Duration
}

func (r *registryFake) ask(ctx context.Context, who schemaCaller, path string) (int, []byte, error) {
	r.mu.Lock()
	r.asks++
	text, err, status, delay := r.text, r.err, r.status, r.delay
	r.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	switch {
	case err != nil:
		return 0, nil, err
	case status != 0:
		return status, []byte("no such thing"), nil
	}
	body, _ := json.Marshal(Schema{ID: "u-u-i-d", Registry: "shop", Name: "order", Number: 1, Version: "1.0.0", Format: "AVRO", Text: text + path})
	return 200, body, nil
}

func (r *registryFake) is(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

var schemaTask = schemaCaller{account: "1", region: "r", role: "arn:r", keys: aws.Credentials{AccessKeyID: "AK"}}

func inSchemas(t *testing.T, f func(t *testing.T, s *schemas, r *registryFake)) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{ctx: t.Context(), cfg: Config{Endpoint: "http://none"}}
		s, r := newSchemas(e), &registryFake{text: "one"}
		s.ask = r.ask
		f(t, s, r)
		s.work.Wait()
	})
}

func (s *schemas) try(path string) string {
	e, stale, err := s.get(context.Background(), schemaTask, path, schemaRanged)
	if err != nil {
		return "error: " + err.Error()
	}
	if stale {
		return "stale " + e.schema.Text
	}
	return e.schema.Text
}

func TestSchemaCache(t *testing.T) {
	inSchemas(t, func(t *testing.T, s *schemas, r *registryFake) {
		want := func(got, want string, asks int) {
			t.Helper()
			if got != want || r.asks != asks {
				t.Errorf("%q after %d asks, want %q after %d", got, r.asks, want, asks)
			}
		}
		// Many want the same at once: one ask.
		r.is(func() { r.delay = 100 * time.Millisecond })
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if got := s.try("/a"); got != "one/a" {
					t.Error(got)
				}
			})
		}
		all.Wait()
		want("", "", 1)
		r.is(func() { r.delay, r.text = 0, "two" })
		want(s.try("/a"), "one/a", 1)
		time.Sleep(schemaRanged)
		want(s.try("/a"), "two/a", 2)

		// The control plane is gone: what was last good, and it is asked again
		// only after a pause.
		r.is(func() { r.err = errors.New("connection refused") })
		time.Sleep(schemaRanged)
		want(s.try("/a"), "stale two/a", 3)
		want(s.try("/a"), "stale two/a", 3)
		time.Sleep(schemaPause)
		want(s.try("/a"), "stale two/a", 4)
		time.Sleep(240 * time.Hour)
		want(s.try("/a"), "stale two/a", 5)
		want(s.try("/b"), "error: connection refused", 6)
		// It is slow: nobody waits long for what is here.
		r.is(func() { r.err, r.delay = nil, time.Hour })
		time.Sleep(schemaPause)
		began := time.Now()
		want(s.try("/a"), "stale two/a", 7)
		if took := time.Since(began); took != schemaPatience {
			t.Errorf("it took %v", took)
		}
		began = time.Now()
		if got := s.try("/b"); !strings.Contains(got, "deadline") || time.Since(began) != schemaAsk {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		// It is back, and says other things.
		r.is(func() { r.delay, r.text, r.asks = 0, "three", 0 })
		time.Sleep(schemaPause)
		want(s.try("/a"), "three/a", 1)
		time.Sleep(schemaRanged)
		r.is(func() { r.status = 503 })
		want(s.try("/a"), "stale three/a", 2)
		r.is(func() { r.status = 401 }) // the role's keys are old
		time.Sleep(schemaPause)
		want(s.try("/a"), "stale three/a", 3)
		// What is gone is not given out any more, outage or not.
		r.is(func() { r.status = 404 })
		time.Sleep(schemaPause)
		want(s.try("/a"), "error: no such thing", 4)
		r.is(func() { r.status = 500 })
		want(s.try("/a"), "error: the control plane answers 500", 5)
	})
}

func TestSchemaCallers(t *testing.T) {
	inSchemas(t, func(t *testing.T, s *schemas, r *registryFake) {
		s.try("/a")
		r.is(func() { r.status = 403 })
		for _, who := range []schemaCaller{
			{account: "1", region: "r", role: "arn:other", keys: schemaTask.keys},
			{account: "1", region: "s", role: "arn:r", keys: schemaTask.keys},
			{account: "2", region: "r", role: "arn:r", keys: schemaTask.keys},
			{account: "1", region: "r", keys: schemaTask.keys},
		} {
			if _, _, err := s.get(t.Context(), who, "/a", schemaRanged); err == nil {
				t.Errorf("%+v has what another one was given", who)
			}
		}
		none := schemaTask
		none.keys = aws.Credentials{}
		if _, _, err := s.get(t.Context(), none, "/b", schemaRanged); !errors.Is(err, errNoKeys) {
			t.Errorf("a role without keys: %v", err)
		}
		if _, stale, err := s.get(t.Context(), none, "/a", schemaRanged); err != nil || stale {
			t.Errorf("what is fresh needs no keys: %v, %v", stale, err)
		}
	})
}

func TestSchemaMemory(t *testing.T) {
	inSchemas(t, func(t *testing.T, s *schemas, r *registryFake) {
		r.is(func() { r.text = strings.Repeat("x", 1<<20) })
		for i := range 40 {
			s.try(fmt.Sprint("/", i))
			s.try("/0")
		}
		if s.bytes > schemaBytes || s.recent.Len() != len(s.entries) || len(s.entries) > 16 {
			t.Errorf("%d bytes in %d, %d", s.bytes, s.recent.Len(), len(s.entries))
		}
		asks := r.asks
		if s.try("/0"); r.asks != asks {
			t.Error("what is used most was let go")
		}
		r.is(func() { r.text = "x" })
		for i := range 3 * schemaEntries {
			s.try(fmt.Sprint("/small/", i))
		}
		if len(s.entries) != schemaEntries || s.bytes > schemaBytes {
			t.Errorf("%d entries, %d bytes", len(s.entries), s.bytes)
		}
	})
}

// A task has a schema by one GET, as itself, and no task another one's.
func TestSchemaEndpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		r := &registryFake{text: "text of "}
		var who schemaCaller
		n.a.engine.schemas.ask = func(ctx context.Context, c schemaCaller, path string) (int, []byte, error) {
			r.is(func() { who = c })
			return r.ask(ctx, c, path)
		}
		task := vpcTask("172.31.0.9", of("a", "busybox:1"))
		task.Role = credsOf("AK")
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		x := n.a.engine.get(lastPart(task.ARN))
		id := x.now().Containers[0].ID
		base := "/schema/" + id
		if env := x.env(&x.def.ContainerDefinitions[0], id); !slices.Contains(env, "DHOW_SCHEMA_URI=http://169.254.170.2"+base) {
			t.Errorf("environment %q", env)
		}
		ask := func(from, path string, header ...string) *recorder {
			rec := &recorder{header: make(http.Header)}
			req, _ := http.NewRequestWithContext(context.WithValue(t.Context(), taskKey{}, from), "GET", path, nil)
			for i := 0; i+1 < len(header); i += 2 {
				req.Header.Set(header[i], header[i+1])
			}
			n.a.engine.meta.server.Handler.ServeHTTP(rec, req)
			return rec
		}
		path := base + "/schemas/shop/order/versions/^1"
		got := ask(x.id, path)
		if got.code != 200 || got.b.String() != "text of /schemas/shop/order/versions/%5E1" || got.header.Get("X-Schema-Version") != "1.0.0" ||
			got.header.Get("X-Schema-Version-Id") != "u-u-i-d" || got.header.Get("X-Schema-Name") != "shop/order" ||
			got.header.Get("Content-Type") != "application/json" || got.header.Get("Age") != "0" || got.header.Get("Warning") != "" {
			t.Errorf("%d %s %v", got.code, got.b.String(), got.header)
		}
		if who.keys.AccessKeyID != "AK" || who.keys.SessionToken != "T" || who.role != "arn:r" || who.region != task.Dhow.Region || who.account != task.Dhow.Account {
			t.Errorf("asked as %+v", who)
		}
		if again := ask(x.id, path, "If-None-Match", got.header.Get("ETag")); again.code != 304 || again.b.Len() != 0 {
			t.Errorf("the same again: %d", again.code)
		}
		if j := ask(x.id, path+"?format=json"); !strings.Contains(j.b.String(), `"Text":"text of /schemas`) || !strings.Contains(j.b.String(), `"Fingerprint":"`) || j.header.Get("ETag") == got.header.Get("ETag") {
			t.Errorf("as JSON: %s", j.b.String())
		}
		for path, want := range map[string]int{base + "/ids/7": 200, path + "?format=xml": 400, "/schema/other/ids/7": 404, base + "/nothing": 404} {
			if got := ask(x.id, path); got.code != want {
				t.Errorf("%s: %d, want %d", path, got.code, want)
			}
		}
		if got := ask("another", path); got.code != 404 {
			t.Errorf("another task's: %d", got.code)
		}
		r.is(func() { r.err = errors.New("gone") })
		time.Sleep(time.Minute)
		if got := ask(x.id, path); got.code != 200 || got.header.Get("Age") != "60" || got.header.Get("Warning") != `111 dhow "Revalidation Failed"` {
			t.Errorf("in an outage: %d %v", got.code, got.header)
		}
		if got := ask(x.id, base+"/ids/8"); got.code != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("what is not here in an outage: %d %v", got.code, got.header)
		}
	})
}
