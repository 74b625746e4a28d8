package lb

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPick holds pick to its rules on groups of any kind.
func TestPick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		states := []Health{healthy, checking, outcome{}.health(), notInUse, draining}
		row := TargetGroup{Scope: home, Name: "g", Attributes: map[string]string{}}
		if rapid.Bool().Draw(t, "fewest") {
			row.Attributes[attrAlgorithm] = "least_outstanding_requests"
		}
		least := rapid.IntRange(1, 3).Draw(t, "least")
		row.Attributes[attrMinCount] = fmt.Sprint(least)
		g := &group{e: New(Config{}), row: &row, targets: map[string]*target{}}
		var usable, good []*target
		for i := range rapid.IntRange(0, 8).Draw(t, "targets") {
			at := &target{g: g, key: fmt.Sprint(i), rec: record{Health: rapid.SampledFrom(states).Draw(t, "state")}}
			at.draining.Store(at.rec.State == Draining)
			at.suspect.Store(rapid.Bool().Draw(t, "suspect"))
			at.inflight.Store(int64(rapid.IntRange(0, 3).Draw(t, "inflight")))
			g.targets[at.key] = at
			if at.rec.State != Unused && at.rec.State != Draining {
				usable = append(usable, at)
			}
			if at.rec.State == Healthy {
				good = append(good, at)
			}
		}
		allowed := good
		if len(good) < least {
			allowed = usable // fails open
		}
		g.refresh()
		var tried []*target
		for range allowed {
			at := g.pick(tried)
			switch {
			case at == nil:
				t.Fatalf("%d of %d targets were tried and none is left", len(tried), len(allowed))
			case slices.Contains(tried, at):
				t.Fatalf("target %s was tried already", at.key)
			case !slices.Contains(allowed, at):
				t.Fatalf("target %s, %s, is not to get requests", at.key, at.rec.State)
			}
			for _, o := range allowed {
				if slices.Contains(tried, o) || o == at {
					continue
				}
				if at.suspect.Load() && !o.suspect.Load() {
					t.Errorf("suspect %s was preferred to %s", at.key, o.key)
				}
				if len(row.Attributes) > 1 && at.suspect.Load() == o.suspect.Load() && at.inflight.Load()-1 > o.inflight.Load() {
					t.Errorf("%s with %d requests was preferred to %s with %d", at.key, at.inflight.Load()-1, o.key, o.inflight.Load())
				}
			}
			at.done()
			tried = append(tried, at)
		}
		if at := g.pick(tried); at != nil {
			t.Errorf("target %s, %s, is not to get requests", at.key, at.rec.State)
		}
	})
}
