package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
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
	lie    func(*Schema)
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
	answer := Schema{ID: "u-u-i-d", Registry: "shop", Name: "order", Number: 1, Version: "1.0.0", Format: "AVRO", Text: text + path}
	if id, ok := strings.CutPrefix(path, "/ids/"); ok {
		answer.ID = id
	}
	if r.lie != nil {
		r.lie(&answer)
	}
	body, _ := json.Marshal(answer)
	return 200, body, nil
}

func (r *registryFake) is(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

var schemaTask = schemaCaller{account: "1", region: "r", role: "arn:r", keys: aws.Credentials{AccessKeyID: "AK"}}

func inSchemas(t *testing.T, f func(t *testing.T, s *schemas, r *registryFake)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, r := schemasIn(t, dir)
		f(t, s, r)
		s.work.Wait()
	})
}

// schemasIn is what an agent with this data directory begins with.
func schemasIn(t *testing.T, dir string) (*schemas, *registryFake) {
	e := &engine{ctx: t.Context(), cfg: Config{Endpoint: "http://none", DataDir: dir}, log: slog.New(slog.DiscardHandler)}
	s, r := newSchemas(e), &registryFake{text: "one"}
	s.ask = r.ask
	return s, r
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
				if got := s.try("/ids/a"); got != "one/ids/a" {
					t.Error(got)
				}
			})
		}
		all.Wait()
		want("", "", 1)
		r.is(func() { r.delay, r.text = 0, "two" })
		want(s.try("/ids/a"), "one/ids/a", 1)
		time.Sleep(schemaRanged)
		want(s.try("/ids/a"), "two/ids/a", 2)

		// The control plane is gone: what was last good, and it is asked again
		// only after a pause.
		r.is(func() { r.err = errors.New("connection refused") })
		time.Sleep(schemaRanged)
		want(s.try("/ids/a"), "stale two/ids/a", 3)
		want(s.try("/ids/a"), "stale two/ids/a", 3)
		time.Sleep(schemaPause)
		want(s.try("/ids/a"), "stale two/ids/a", 4)
		time.Sleep(240 * time.Hour)
		want(s.try("/ids/a"), "stale two/ids/a", 5)
		want(s.try("/ids/b"), "error: connection refused", 6)
		// It is slow: nobody waits long for what is here.
		r.is(func() { r.err, r.delay = nil, time.Hour })
		time.Sleep(schemaPause)
		began := time.Now()
		want(s.try("/ids/a"), "stale two/ids/a", 7)
		if took := time.Since(began); took != schemaPatience {
			t.Errorf("it took %v", took)
		}
		began = time.Now()
		if got := s.try("/ids/b"); !strings.Contains(got, "deadline") || time.Since(began) != schemaAsk {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		// It is back, and says other things.
		r.is(func() { r.delay, r.text, r.asks = 0, "three", 0 })
		time.Sleep(schemaPause)
		want(s.try("/ids/a"), "three/ids/a", 1)
		time.Sleep(schemaRanged)
		r.is(func() { r.status = 503 })
		want(s.try("/ids/a"), "stale three/ids/a", 2)
		r.is(func() { r.status = 401 }) // the role's keys are old
		time.Sleep(schemaPause)
		want(s.try("/ids/a"), "stale three/ids/a", 3)
		// What is gone is not given out any more, outage or not.
		r.is(func() { r.status = 404 })
		time.Sleep(schemaPause)
		want(s.try("/ids/a"), "error: no such thing", 4)
		r.is(func() { r.status = 500 })
		want(s.try("/ids/a"), "error: the control plane answers 500", 5)
	})
}

func TestSchemaCallers(t *testing.T) {
	inSchemas(t, func(t *testing.T, s *schemas, r *registryFake) {
		s.try("/ids/a")
		r.is(func() { r.status = 403 })
		for _, who := range []schemaCaller{
			{account: "1", region: "r", role: "arn:other", keys: schemaTask.keys},
			{account: "1", region: "s", role: "arn:r", keys: schemaTask.keys},
			{account: "2", region: "r", role: "arn:r", keys: schemaTask.keys},
			{account: "1", region: "r", keys: schemaTask.keys},
		} {
			if _, _, err := s.get(t.Context(), who, "/ids/a", schemaRanged); err == nil {
				t.Errorf("%+v has what another one was given", who)
			}
		}
		none := schemaTask
		none.keys = aws.Credentials{}
		if _, _, err := s.get(t.Context(), none, "/ids/b", schemaRanged); !errors.Is(err, errNoKeys) {
			t.Errorf("a role without keys: %v", err)
		}
		if _, stale, err := s.get(t.Context(), none, "/ids/a", schemaRanged); err != nil || stale {
			t.Errorf("what is fresh needs no keys: %v, %v", stale, err)
		}
	})
}

func TestSchemaMemory(t *testing.T) {
	inSchemas(t, func(t *testing.T, s *schemas, r *registryFake) {
		r.is(func() { r.text = strings.Repeat("x", 1<<20) })
		for i := range 40 {
			s.try(fmt.Sprint("/ids/", i))
			s.try("/ids/0")
		}
		if s.bytes > schemaBytes || s.recent.Len() != len(s.entries) || len(s.entries) > 16 {
			t.Errorf("%d bytes in %d, %d", s.bytes, s.recent.Len(), len(s.entries))
		}
		asks := r.asks
		if s.try("/ids/0"); r.asks != asks {
			t.Error("what is used most was let go")
		}
		r.is(func() { r.text = "x" })
		for i := range 3 * schemaEntries {
			s.try(fmt.Sprint("/ids/small", i))
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
		for _, path := range []string{base + "/ids/%2e%2e", base + "/schemas/%2e%2e/impact/versions/1", base + "/schemas/shop/order/versions/%2e"} {
			if got := ask(x.id, path); got.code != 400 {
				t.Errorf("%s: %d", path, got.code)
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

// What was last good outlives the agent, in the bounds that memory has.
func TestSchemaDisk(t *testing.T) {
	dir := t.TempDir()
	files := func() []string {
		list, err := filepath.Glob(filepath.Join(dir, "schemas", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	// begin is an agent with this data directory; its control plane is gone unless
	// how says otherwise.
	begin := func(how func(t *testing.T, s *schemas, r *registryFake)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, r := schemasIn(t, dir)
			r.err = errors.New("gone")
			how(t, s, r)
			s.work.Wait()
		})
	}
	begin(func(t *testing.T, s *schemas, r *registryFake) {
		r.is(func() { r.err = nil })
		s.try("/ids/a")
		s.try("/ids/b")
	})
	if len(files()) != 2 {
		t.Fatalf("%q", files())
	}
	begin(func(t *testing.T, s *schemas, r *registryFake) {
		time.Sleep(time.Minute)
		e, stale, err := s.get(t.Context(), schemaTask, "/ids/a", schemaPinned)
		if err != nil || !stale || e.schema.Text != "one/ids/a" || s.now().Sub(e.at) != time.Minute {
			t.Errorf("after a restart: %+v, %v, %v", e, stale, err)
		}
		other := schemaTask
		other.role = "arn:other"
		if _, _, err := s.get(t.Context(), other, "/ids/a", schemaPinned); err == nil {
			t.Error("another role has it after a restart")
		}
		time.Sleep(schemaPause)
		r.is(func() { r.err, r.text = nil, "two" })
		if got := s.try("/ids/a"); got != "two/ids/a" {
			t.Errorf("the control plane is back: %s", got)
		}
	})
	begin(func(t *testing.T, s *schemas, r *registryFake) {
		if got := s.try("/ids/a"); got != "stale two/ids/a" {
			t.Error(got)
		}
		r.is(func() { r.err, r.status = nil, 403 })
		time.Sleep(schemaPause)
		s.try("/ids/a")
	})
	begin(func(t *testing.T, s *schemas, r *registryFake) {
		if got := s.try("/ids/a"); !strings.Contains(got, "gone") {
			t.Errorf("what was refused: %s", got)
		}
	})

	// Damage, and what is of no schema, is let go of.
	for _, f := range files() {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(strings.Replace(string(b), "one/ids", "bad/ids", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"x.schema", "y.schema.new"} {
			if err := os.WriteFile(filepath.Join(dir, "schemas", name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin(func(t *testing.T, s *schemas, r *registryFake) {
		if got := s.try("/ids/b"); !strings.Contains(got, "gone") {
			t.Errorf("what is damaged: %s", got)
		}
		if len(files()) != 0 {
			t.Errorf("left: %q", files())
		}
		r.is(func() { r.err, r.text = nil, strings.Repeat("x", 1<<20) })
		for i := range 40 {
			s.try(fmt.Sprint("/ids/", i))
		}
	})
	if n := len(files()); n < 10 || n > 16 {
		t.Errorf("%d files of 1 MiB", n)
	}
	begin(func(t *testing.T, s *schemas, r *registryFake) {
		if got := s.try("/ids/39"); !strings.HasPrefix(got, "stale xxx") || s.bytes > schemaBytes || len(s.entries) != len(files()) {
			t.Errorf("%.80s, %d bytes, %d entries, %d files", got, s.bytes, len(s.entries), len(files()))
		}
	})
}

// What the control plane was not asked for is not believed.
func TestSchemaLies(t *testing.T) {
	inSchemas(t, func(t *testing.T, s *schemas, r *registryFake) {
		for _, c := range []struct {
			path string
			lie  func(*Schema)
		}{
			{"/ids/a", func(s *Schema) { s.ID = "b" }},
			{"/ids/a", func(s *Schema) { s.Text = "" }},
			{"/schemas/shop/order/versions/%5E1", func(s *Schema) { s.Name = "customer" }},
			{"/schemas/shop/order/versions/latest", func(s *Schema) { s.Registry = "other" }},
			{"/schemas/shop/order/versions/1.0.0", func(s *Schema) { s.Version = "1.1.0" }},
		} {
			r.is(func() { r.lie = nil })
			truth := s.try(c.path)
			r.is(func() { r.lie = c.lie })
			time.Sleep(schemaRanged)
			if got := s.try(c.path); got != "stale "+truth {
				t.Errorf("%s: %s, want what was last good, %s", c.path, got, truth)
			}
			time.Sleep(schemaPause)
		}
		r.is(func() { r.status = 301 })
		if got := s.try("/ids/z"); got != "error: the control plane answers 301" {
			t.Error(got)
		}
	})
}

// A task that asks for ever other things does not push out what others have.
func TestSchemaShares(t *testing.T) {
	inSchemas(t, func(t *testing.T, s *schemas, r *registryFake) {
		s.try("/ids/a")
		flood := schemaTask
		flood.role = "arn:flood"
		for i := range schemaEntries + 100 {
			s.get(t.Context(), flood, fmt.Sprint("/ids/", i), schemaPinned)
		}
		r.is(func() { r.text = strings.Repeat("x", 1<<20) })
		for i := range 20 {
			s.get(t.Context(), flood, fmt.Sprint("/ids/big", i), schemaPinned)
		}
		r.is(func() { r.err = errors.New("gone") })
		if got := s.try("/ids/a"); !strings.HasSuffix(got, "one/ids/a") {
			t.Errorf("a small share: %s", got)
		}
		entries, bytes := 0, 0
		for _, share := range s.shares {
			entries, bytes = entries+share.entries, bytes+share.bytes
		}
		if entries != len(s.entries) || bytes != s.bytes || s.bytes > schemaBytes || entries > schemaEntries {
			t.Errorf("%d entries of %d, %d bytes of %d", entries, len(s.entries), bytes, s.bytes)
		}
	})
}
