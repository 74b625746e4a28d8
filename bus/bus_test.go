package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "111122223333", Region: "eu-west-1"}

func ptr[T any](v T) *T { return &v }

// receiver is a kind of targets that keeps what it gets.
type receiver struct {
	mu   sync.Mutex
	fail error
	got  []Delivery
	more chan struct{}
}

func newReceiver() *receiver { return &receiver{more: make(chan struct{}, 1)} }

func (*receiver) Check(cluster.Scope, types.Target) error { return nil }

func (r *receiver) Send(_ context.Context, d Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.got = append(r.got, d)
	select {
	case r.more <- struct{}{}:
	default:
	}
	return nil
}

func (r *receiver) wait(t testing.TB, n int) []Delivery {
	t.Helper()
	for end := time.After(10 * time.Second); ; {
		r.mu.Lock()
		got := r.got
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-r.more:
		case <-end:
			t.Fatalf("%d deliveries, not %d", len(got), n)
		}
	}
}

// start runs an engine until the returned function is called.
func start(t testing.TB, db *store.DB, j *mem.Journal, r *receiver) (*Engine, func()) {
	t.Helper()
	e, err := New(Config{DB: db, Journal: j, Targets: map[string]Target{"sqs": r}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx) })
	return e, sync.OnceFunc(func() { cancel(); work.Wait(); e.Close() })
}

// fataler is a testing.TB, or a rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
}

func put[T any](t fataler, db *store.DB, table *store.Table[T], rows ...T) {
	t.Helper()
	if err := db.Update(context.Background(), func(tx *store.Tx) error {
		for _, r := range rows {
			if err := table.Put(tx, r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func rule(name string) Rule {
	return Rule{Scope: here, Bus: DefaultName, Name: name, Pattern: `{"source":["s"]}`, State: types.RuleStateEnabled,
		Targets: []types.Target{{Id: ptr("t"), Arn: ptr("arn:aws:sqs:eu-west-1:111122223333:q")}}}
}

func event(n int) Event {
	return Event{Bus: here, Name: DefaultName, Ingested: time.Now(), JSON: Render(Parts{Scope: here, ID: fmt.Sprint(n), Source: "s", DetailType: "d", Time: time.Now(), Detail: fmt.Appendf(nil, `{"n":%d}`, n)})}
}

// What was put survives the end of the engine, and of the process that takes the
// journal from it; it is delivered when its target is there again.
func TestRestart(t *testing.T) {
	db, j, r := storetest.Open(t), mem.New(), newReceiver()
	put(t, db, Rules, rule("r"))
	r.fail = errors.New("away")
	e, stop := start(t, db, j, r)
	for i := range 10 {
		if err := e.Put(context.Background(), event(i)); err != nil {
			t.Fatal(err)
		}
	}
	next := j.Reopen() // as after kill -9: nothing more is written
	stop()
	r.mu.Lock()
	r.fail = nil
	r.mu.Unlock()
	_, stop = start(t, db, next, r)
	defer stop()
	seen := map[string]bool{}
	for _, d := range r.wait(t, 10) {
		seen[d.EventID] = true
		if d.RuleARN != "arn:aws:events:eu-west-1:111122223333:rule/r" || d.Scope != here {
			t.Errorf("%+v", d)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d events arrived", len(seen))
	}
}

// Before this process leads, a call waits; if nobody does, it ends.
func TestUnavailable(t *testing.T) {
	db := storetest.Open(t)
	put(t, db, Rules, rule("r"))
	e, err := New(Config{DB: db, Journal: mem.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := e.Put(ctx, event(1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

// Runs of a schedule that were missed are one, and told of.
func TestMissedSchedule(t *testing.T) {
	db, r := storetest.Open(t), newReceiver()
	ru := rule("tick")
	ru.Pattern, ru.Schedule, ru.Since = "", "rate(1 hour)", time.Now().Add(-150*time.Minute)
	put(t, db, Rules, ru)
	e, stop := start(t, db, mem.New(), r)
	defer stop()
	d := r.wait(t, 1)[0]
	var got struct {
		Source, Time string
		DetailType   string `json:"detail-type"`
		Resources    []string
	}
	if err := json.Unmarshal(d.Input, &got); err != nil {
		t.Fatal(err)
	}
	if due := ru.Since.Add(2 * time.Hour).UTC().Format("2006-01-02T15:04:05Z"); got.Source != "aws.events" || got.DetailType != "Scheduled Event" || got.Time != due || got.Resources[0] != ru.ARN() {
		t.Errorf("%+v, due at %s", got, due)
	}
	if n := e.Stats().MissedRuns; n != 1 {
		t.Errorf("%d runs were missed", n)
	}
	commits, unwatch := db.Watch(Runs)
	defer unwatch()
	for end := time.After(10 * time.Second); ; {
		var last Run
		db.View(func(rd store.Reader) error { last, _ = Runs.Get(rd, here.Key("tick")); return nil })
		if last.Last.Equal(ru.Since.Add(2 * time.Hour)) {
			break
		}
		select {
		case <-commits:
		case <-end:
			t.Fatalf("the run was noted at %v", last.Last)
		}
	}
	if _, err := e.schedulePass(context.Background(), time.Now()); err != nil || len(r.wait(t, 1)) != 1 {
		t.Errorf("it ran again: %v", err)
	}
}

func TestPlan(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v.AddDate(2024, 0, 0)
	}
	hourly, daily := rule("hourly"), rule("daily")
	hourly.Schedule, hourly.Since = "rate(1 hour)", at("01-01 00:30")
	daily.Schedule, daily.Since = "cron(0 9 * * ? *)", at("01-01 00:00")
	bad := rule("bad")
	bad.Schedule = "nonsense"
	never := rule("never")
	never.Schedule, never.Since = "cron(0 0 1 1 ? 2000)", at("01-01 00:00")
	for _, c := range []struct {
		now, last string
		due       string
		next      string
	}{
		{"01-01 01:00", "", "", "01-01 01:30"},
		{"01-01 01:30", "", "hourly@01:30+0", "01-01 02:30"},
		{"01-01 02:29", "01-01 01:30", "", "01-01 02:30"},
		{"01-01 09:00", "01-01 08:30", "daily@09:00+0", "01-01 09:30"},
		{"01-03 10:00", "01-01 08:30", "hourly@09:30+48 daily@09:00+2", "01-03 10:30"},
		{"01-01 10:00", "", "hourly@09:30+8 daily@09:00+0", "01-01 10:30"},
	} {
		due, next := plan(at(c.now), []Rule{hourly, daily, bad, never}, func(Rule) time.Time {
			if c.last == "" {
				return time.Time{}
			}
			return at(c.last)
		})
		var got []string
		for _, f := range due {
			got = append(got, fmt.Sprintf("%s@%s+%d", f.rule.Name, f.at.Format("15:04"), f.missed))
		}
		if strings.Join(got, " ") != c.due || !next.Equal(at(c.next)) {
			t.Errorf("at %s after %s: %s, next %v; want %s, next %s", c.now, c.last, got, next, c.due, c.next)
		}
	}
	// After years there is one run, and an end.
	minutely := rule("minutely")
	minutely.Schedule, minutely.Since = "rate(1 minute)", at("01-01 00:00")
	now := minutely.Since.AddDate(10, 0, 0)
	if due, next := plan(now, []Rule{minutely}, func(Rule) time.Time { return time.Time{} }); len(due) != 1 || !next.After(now) {
		t.Errorf("%v, next %v", due, next)
	}
}

// Events leave an archive when they are older than it keeps, and its log with
// it.
func TestRetention(t *testing.T) {
	db, j, r := storetest.Open(t), mem.New(), newReceiver()
	a := Archive{Scope: here, Name: "a", ID: "id-a", Bus: DefaultName} // keeps everything at first
	put(t, db, Archives, a)
	e, stop := start(t, db, j, r)
	defer stop()
	for i := range 10 {
		ev := event(i)
		if i < 4 {
			ev.Ingested = time.Now().AddDate(0, 0, -2)
		}
		if err := e.Put(context.Background(), ev); err != nil {
			t.Fatal(err)
		}
	}
	size := func() ArchiveSize {
		s, err := e.SizeOf(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for end := time.Now().Add(10 * time.Second); size().Events < 10; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", size())
		}
	}
	a.Days = 1
	put(t, db, Archives, a)
	// Events of one archive are taken side by side: an old one may be behind a new
	// one, and goes when that does.
	if err := e.tendArchives(context.Background(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if s := size(); s.Events < 6 || s.Events > 10 {
		t.Errorf("%+v", s)
	}
	if err := e.tendArchives(context.Background(), time.Now().AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	if s := size(); s.Events != 0 || s.Bytes != 0 {
		t.Errorf("%+v", s)
	}
	if err := db.Update(context.Background(), func(tx *store.Tx) error { Archives.Delete(tx, a.Key()); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := e.tendArchives(context.Background(), time.Now()); err != nil {
		t.Fatal(err)
	}
	names, err := j.Names(context.Background(), archivePrefix)
	if err != nil || len(names) != 0 {
		t.Errorf("logs %v, %v", names, err)
	}
}

// A replay that was cut short goes on where it was.
func TestReplayGoesOn(t *testing.T) {
	db, j, r := storetest.Open(t), mem.New(), newReceiver()
	a := Archive{Scope: here, Name: "a", ID: "id-a", Bus: DefaultName}
	put(t, db, Archives, a)
	log, err := j.Open(context.Background(), archivePrefix+a.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		ev := event(i)
		if _, err := log.Append(context.Background(), 0, envelope{ingested: time.Unix(int64(1000+i), 0), event: ev.JSON}.encode()); err != nil {
			t.Fatal(err)
		}
	}
	put(t, db, Rules, rule("r"))
	put(t, db, Replays, Replay{Scope: here, Name: "p", Archive: "a", ArchiveID: a.ID, Bus: DefaultName, State: types.ReplayStateRunning, Reached: 4,
		From: time.Unix(1001, 0), To: time.Unix(1008, 0)})
	e, stop := start(t, db, j, r)
	defer stop()
	r.wait(t, 5)
	commits, unwatch := db.Watch(Replays)
	defer unwatch()
	for end := time.After(10 * time.Second); ; {
		var p Replay
		db.View(func(rd store.Reader) error { p, _ = Replays.Get(rd, here.Key("p")); return nil })
		if p.State == types.ReplayStateCompleted {
			break
		}
		select {
		case <-commits:
		case <-end:
			t.Fatalf("%+v", p)
		}
	}
	seen := map[string]bool{}
	for _, d := range r.wait(t, 5) {
		seen[d.EventID] = true
		if !strings.HasSuffix(string(d.Input), `,"replay-name":"p"}`) {
			t.Errorf("%s", d.Input)
		}
	}
	if want := "map[3:true 4:true 5:true 6:true 7:true]"; fmt.Sprint(seen) != want {
		t.Errorf("%v, want %s", seen, want)
	}
	if n := e.Stats().Delivery.Waiting; n != 0 {
		t.Errorf("%d wait", n)
	}
}

func TestAdmits(t *testing.T) {
	const other = "222222222222"
	for text, want := range map[string]bool{
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"events:PutEvents"}]}`:                                                                                       true,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":["events:*"],"Resource":"arn:aws:events:*:*:event-bus/b"}}`:                                true,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:role/x"]},"Action":"*"}}`:                                                               true,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":"333333333333"},"Action":"*"}}`:                                                                                     false,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"events:PutRule"}}`:                                                                                           false,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:events:*:*:event-bus/other"}}`:                                                        false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*"},{"Effect":"Deny","Principal":{"AWS":"222222222222"},"Action":"*"}]}`:                                    false,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringEquals":{"events:source":["s","t"]}}}}`:                                               true,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringEquals":{"events:source":"t"}}}}`:                                                     false,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringLike":{"events:detail-type":"d*"}}}}`:                                                 true,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}}`:                                              false,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*"},{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"StringNotEquals":{"events:source":"s"}}}]}`: true,
		`{"Statement":[]}`: false,
	} {
		d, err := policy.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		b := Bus{Scope: here, Name: "b", Policy: d.Statement}
		if got := b.Admits(other, "s", "dt"); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if !b.Admits(here.Account, "s", "dt") {
			t.Errorf("%s refuses its own account", text)
		}
	}
}

func TestForbidden(t *testing.T) {
	for a, want := range map[string]bool{"169.254.169.254": true, "169.254.170.2": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fd00:ec2::254": true, "0.0.0.0": true, "224.0.0.1": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "93.184.216.34": false} {
		if got := forbidden(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

func TestARNs(t *testing.T) {
	for _, bus := range []string{"default", "b", "aws.partner/x/y"} {
		r := Rule{Scope: here, Bus: bus, Name: "n"}
		if key, ok := ruleKey(r.ARN()); !ok || key != r.Key() {
			t.Errorf("%s: %s, %v", r.ARN(), key, ok)
		}
		if s, b, n, ok := ParseRuleARN(r.ARN()); !ok || s != here || b != bus || n != "n" {
			t.Errorf("%s: %v %s %s %v", r.ARN(), s, b, n, ok)
		}
		if s, b, ok := ParseBusARN(Bus{Scope: here, Name: bus}.ARN()); !ok || s != here || b != bus {
			t.Errorf("%v %s %v", s, b, ok)
		}
	}
	for _, bad := range []string{"", "x", "arn:aws:events:r:1:rule", "arn:aws:events:r:1:rule/", "arn:aws:sqs:r:1:rule/x"} {
		if _, _, _, ok := ParseRuleARN(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestHead(t *testing.T) {
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	trap := Render(Parts{Scope: here, ID: "x", Source: `s,"time":"1"`, DetailType: "d", Time: at, Detail: []byte("{}")})
	for event, want := range map[string]string{string(trap): "x", `{"time":"2024-01-02T03:04:05Z","id":"y"}`: "y", `{"version":"0","id":"z\u0021","time":"2024-01-02T03:04:05Z"}`: "z!"} {
		if id, got := head([]byte(event)); id != want || !got.Equal(at) {
			t.Errorf("%s: %q, %v", event, id, got)
		}
	}
	if id, got := head([]byte("x")); id != "" || !got.IsZero() {
		t.Errorf("%q, %v", id, got)
	}
}

// Rules and archives that come and go leave nothing in the routes.
func TestRoutes(t *testing.T) {
	r := newRoutes()
	var was *Rule
	for i := range 100 {
		is := rule("r")
		is.Pattern = fmt.Sprintf(`{"source":["s-%d"]}`, i)
		r.rule(was, &is)
		was = &is
		lanes, err := r.lanes(Event{Bus: here, Name: DefaultName, JSON: fmt.Appendf(nil, `{"source":"s-%d"}`, i)})
		if err != nil || len(lanes) != 1 || lanes[0] != laneOf(is.ARN(), "t") {
			t.Fatalf("%v, %v", lanes, err)
		}
	}
	disabled := *was
	disabled.State = types.RuleStateDisabled
	r.rule(was, &disabled)
	a := Archive{Scope: here, Name: "a", Bus: DefaultName}
	r.archive(nil, &a)
	r.archive(&a, nil)
	r.rule(&disabled, nil)
	if len(r.buses) != 0 {
		t.Errorf("%d buses are left", len(r.buses))
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(envelope{time.Unix(1, 0), 3, "", []byte("{}")}.encode())
	f.Add(envelope{time.Unix(1, 0), 3, "Root=1", []byte("{}")}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		v2, err := decode(v.encode())
		if err != nil || fmt.Sprint(v) != fmt.Sprint(v2) {
			t.Errorf("%v becomes %v, %v", v, v2, err)
		}
	})
}
