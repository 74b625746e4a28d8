package stream

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestEvenRanges(t *testing.T) {
	// As AWS shows them for streams of three shards.
	want := []string{"0", "113427455640312821154458202477256070485", "226854911280625642308916404954512140970"}
	for i, k := range even(3) {
		if k.String() != want[i] {
			t.Errorf("shard %d begins at %s, want %s", i, k, want[i])
		}
	}
	if got := maxHash.String(); got != "340282366920938463463374607431768211455" {
		t.Errorf("the last key is %s", got)
	}
	for _, bad := range []string{"", "-1", "340282366920938463463374607431768211456", "1x", "0000000000000000000000000000000000000000"} {
		if k, err := ParseHashKey(bad); err == nil {
			t.Errorf("%q reads as %s", bad, k)
		}
	}
}

// apply does to the starts what a step does to shards.
func apply(starts []HashKey, s step) []HashKey {
	if s.split != nil {
		return slices.Insert(slices.Clone(starts), s.at+1, *s.split)
	}
	return slices.Delete(slices.Clone(starts), s.at+1, s.at+2)
}

func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.IntRange(1, 40).Draw(t, "from"), rapid.IntRange(1, 40).Draw(t, "to")
		starts, w := even(from), &Work{Count: to}
		steps := 0
		for ; ; steps++ {
			s, ok := w.next(starts, even(w.Count))
			if !ok {
				break
			}
			starts = apply(starts, s)
			if !slices.IsSortedFunc(starts, func(a, b HashKey) int {
				if a.Less(b) {
					return -1
				}
				return 1
			}) || steps > from+to {
				t.Fatalf("after %d steps the shards begin at %v", steps, starts)
			}
		}
		if len(starts) != to {
			t.Fatalf("%d shards, want %d", len(starts), to)
		}
		for i, k := range even(to) {
			if !near(starts[i], k) {
				t.Fatalf("shard %d begins at %s, want %s", i, starts[i], k)
			}
		}
		switch {
		case to == 2*from && steps != from, from == 2*to && steps != to:
			t.Fatalf("%d steps from %d to %d: doubling splits each shard once, halving merges pairs", steps, from, to)
		}
	})
}

func TestSplitAndMergePlans(t *testing.T) {
	starts := even(4)
	k := starts[2].add(5)
	if s, ok := (&Work{Split: &k}).next(starts, nil); !ok || s.at != 2 || *s.split != k {
		t.Errorf("split: %+v %v", s, ok)
	}
	if s, ok := (&Work{Split: &starts[2]}).next(starts, nil); ok {
		t.Errorf("a split that was made is planned again: %+v", s)
	}
	if s, ok := (&Work{Merge: &starts[3]}).next(starts, nil); !ok || s.at != 2 || s.split != nil {
		t.Errorf("merge: %+v %v", s, ok)
	}
	if s, ok := (&Work{Merge: &k}).next(starts, nil); ok {
		t.Errorf("a merge that was made is planned again: %+v", s)
	}
}
