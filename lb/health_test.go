package lb

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNote(t *testing.T) {
	check := Check{Interval: 30, Timeout: 5, Healthy: 3, Unhealthy: 2}
	ok := outcome{ok: true}
	bad := outcome{why: wrongCode, code: 503}
	late := outcome{why: timedOut}
	start := record{Health: checking, quick: true}
	up := record{Health: healthy}
	down := record{Health: late.health()}
	type step struct {
		outcome
		counts bool
	}
	for _, tc := range []struct {
		name  string
		from  record
		steps []step
		want  Health
	}{
		{"the first success makes a new target healthy", start, []step{{ok, true}}, healthy},
		{"a quick one as well", start, []step{{bad, true}, {ok, false}}, healthy},
		{"failures between the intervals do not count", start, []step{{bad, true}, {bad, false}, {bad, false}, {bad, false}}, checking},
		{"failures at the intervals do", start, []step{{bad, true}, {bad, false}, {bad, true}}, bad.health()},
		{"one failure is forgiven", up, []step{{bad, true}}, healthy},
		{"two in a row are not", up, []step{{bad, true}, {late, true}}, late.health()},
		{"two with a success between are", up, []step{{bad, true}, {ok, true}, {bad, true}}, healthy},
		{"an unhealthy target needs all its successes", down, []step{{ok, true}, {ok, true}}, late.health()},
		{"and is healthy with the last", down, []step{{ok, true}, {ok, true}, {ok, true}}, healthy},
		{"which a failure takes back", down, []step{{ok, true}, {ok, true}, {bad, true}, {ok, true}}, bad.health()},
		{"the reason is the newest failure's", down, []step{{bad, true}}, bad.health()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := tc.from
			for _, s := range tc.steps {
				r = r.note(check, s.outcome, s.counts)
			}
			if r.Health != tc.want {
				t.Errorf("got %+v, want %+v", r.Health, tc.want)
			}
		})
	}
	if got, want := bad.health().Description, "Health checks failed with these codes: [503]"; got != want {
		t.Errorf("description is %q, want %q", got, want)
	}
}

func TestNextIsNeverLaterThanTheInterval(t *testing.T) {
	begin := time.Unix(1000, 0)
	r := record{Health: checking, since: begin, quick: true, counted: begin.Add(30 * time.Second)}
	now, checks := begin, 0
	for now.Before(r.counted) {
		next := r.next(now)
		if !next.After(now) || next.After(r.counted) {
			t.Fatalf("after %v the next check is at %v", now.Sub(begin), next.Sub(begin))
		}
		now, checks = next, checks+1
	}
	if checks < 20 || checks > 100 {
		t.Errorf("%d checks of a target that does not start in 30 s", checks)
	}
}

func TestParseMatcher(t *testing.T) {
	for m, want := range map[string]map[int]bool{
		"200":           {200: true, 201: false},
		"200-299":       {200: true, 299: true, 300: false, 199: false},
		"200, 301-302":  {200: true, 301: true, 302: true, 303: false},
		"404":           {404: true, 200: false},
		"200,204,400":   {204: true, 400: true, 401: false},
		"200-299,418":   {250: true, 418: true},
		"200-200":       {200: true, 201: false},
		"499":           {499: true},
		"200,200-204 ":  {204: true},
		" 302 , 303   ": {303: true},
	} {
		matches, err := ParseMatcher(m)
		if err != nil {
			t.Errorf("%q: %v", m, err)
			continue
		}
		for code, ok := range want {
			if matches(code) != ok {
				t.Errorf("%q: %d matches is %v", m, code, !ok)
			}
		}
	}
	for _, m := range []string{"", "500", "199", "200-", "-200", "299-200", "abc", "200;201", "0200", "200-299-300", "+200", "200,,201"} {
		if _, err := ParseMatcher(m); err == nil {
			t.Errorf("%q is taken", m)
		}
	}
}

// TestAgenda runs one timer for many targets: each is called when it is due,
// not earlier, and not once it is dropped.
func TestAgenda(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		called := map[*target]time.Duration{}
		var mu sync.Mutex // for the race detector; synctest.Wait orders all
		a := newAgenda(func(t *target) {
			mu.Lock()
			defer mu.Unlock()
			called[t] = time.Since(begin)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go a.run(ctx)

		var all []*target
		for i := range 100 {
			at := &target{slot: -1}
			all = append(all, at)
			a.set(at, begin.Add(time.Duration((i*37)%100)*time.Second))
		}
		a.set(all[1], begin.Add(5*time.Second)) // sooner: was 37 s
		a.set(all[2], begin.Add(time.Hour))     // later: was 74 s
		a.drop(all[3])

		time.Sleep(101 * time.Second)
		synctest.Wait()
		mu.Lock()
		for i, at := range all {
			want := time.Duration((i*37)%100) * time.Second
			when, ok := called[at]
			switch i {
			case 1:
				want = 5 * time.Second
			case 2, 3:
				if ok {
					t.Errorf("target %d was called after %v", i, when)
				}
				continue
			}
			if !ok || when != want {
				t.Errorf("target %d was called after %v (%v), want %v", i, when, ok, want)
			}
		}
		mu.Unlock()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if called[all[2]] != time.Hour {
			t.Errorf("the late target was called after %v", called[all[2]])
		}
		cancel()
	})
}

func TestShares(t *testing.T) {
	for _, weights := range [][]int32{{1}, {1, 1}, {9, 1}, {90, 10}, {1, 2, 3}, {0, 5}, {999, 1}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			var in []WeightedGroup
			total := 0
			for i, w := range weights {
				in = append(in, WeightedGroup{fmt.Sprint(i), w})
				total += int(w)
			}
			s := newShares(in, func(arn string) *group { return &group{key: arn} })
			const n = 10_000
			got := map[string]int{}
			for range n {
				got[s.choose().key]++
			}
			for i, w := range weights {
				want := n * int(w) / total
				if d := got[fmt.Sprint(i)] - want; d < -3 || d > 3 {
					t.Errorf("group %d got %d of %d requests, want %d", i, got[fmt.Sprint(i)], n, want)
				}
			}
		})
	}
	if g := newShares([]WeightedGroup{{"a", 0}, {"b", 0}}, func(string) *group { return &group{} }).choose(); g != nil {
		t.Error("groups without weight were chosen")
	}
}
