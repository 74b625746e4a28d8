package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTree compares the tree and its snapshots with plain maps.
func TestTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type snapshot struct {
			tree tree[int]
			want map[string]int
		}
		var (
			tr    tree[int]
			e     = new(edit)
			model = map[string]int{}
			taken []snapshot
			space = rapid.SampledFrom([]int{20, 200, 3000}).Draw(t, "space")
			seed  = rapid.Uint64().Draw(t, "seed")
			rnd   = rand.New(rand.NewPCG(seed, 1))
			steps = rapid.IntRange(1, 3000).Draw(t, "steps")
			begun = rapid.IntRange(0, space).Draw(t, "begun") // so many keys are there from the beginning
			bias  = rapid.IntRange(3, 7).Draw(t, "bias")      // of ten steps, so many put
		)
		for i := range begun {
			model[fmt.Sprintf("%04d", i*space/begun)] = i
		}
		tr = grow(sorted(model))
		for i := range steps {
			if i == steps/2 {
				bias = 10 - bias // grow then shrink, or the other way round
			}
			key := fmt.Sprintf("%04d", rnd.IntN(space))
			switch {
			case rnd.IntN(100) == 0:
				taken = append(taken, snapshot{tr, maps.Clone(model)})
				e = new(edit)
			case rnd.IntN(10) < bias:
				tr.set(e, key, i)
				model[key] = i
			default:
				_, had := model[key]
				if got := tr.delete(e, key); got != had {
					t.Fatalf("delete %s = %v, want %v", key, got, had)
				}
				delete(model, key)
			}
		}
		for _, s := range append(taken, snapshot{tr, model}) {
			checkTree(t, s.tree, s.want)
		}
	})
}

// sorted lists keys in order, and their values.
func sorted(m map[string]int) (keys []string, vals []int) {
	keys = slices.Sorted(maps.Keys(m))
	for _, k := range keys {
		vals = append(vals, m[k])
	}
	return keys, vals
}

// checkTree fails if tr and want differ, by Get, by count or by ranges.
func checkTree(t *rapid.T, tr tree[int], want map[string]int) {
	if tr.n != len(want) {
		t.Fatalf("%d entries, want %d", tr.n, len(want))
	}
	for k, v := range want {
		if got, ok := tr.get(k); !ok || got != v {
			t.Fatalf("get %s = %d %v, want %d", k, got, ok, v)
		}
	}
	keys := slices.Sorted(maps.Keys(want))
	for _, prefix := range []string{"", "0", "00", "01", "012", "0123", "2", "9"} {
		var got, with []string
		tr.ascend(prefix, func(k string, v int) bool {
			if want[k] != v {
				t.Fatalf("ascend %s = %d, want %d", k, v, want[k])
			}
			got = append(got, k)
			return true
		})
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) {
				with = append(with, k)
			}
		}
		if !slices.Equal(got, with) {
			t.Fatalf("ascend %q = %v, want %v", prefix, got, with)
		}
	}
	if _, ok := tr.get("absent"); ok {
		t.Fatal("get of an absent key found one")
	}
}

func TestTreeKeepsNodesFull(t *testing.T) {
	var tr tree[int]
	e := new(edit)
	for i := range 10000 {
		tr.set(e, fmt.Sprintf("%06d", i), i)
	}
	for i := range 9900 {
		tr.delete(e, fmt.Sprintf("%06d", i))
	}
	if nodes := countNodes(tr.root); nodes > 20 {
		t.Errorf("100 keys in %d nodes", nodes)
	}
}

func countNodes(n *node[int]) int {
	sum := 1
	for _, k := range n.kids {
		sum += countNodes(k)
	}
	return sum
}

func BenchmarkTreeSet(b *testing.B) {
	for _, perEdit := range []int{1, 64} {
		b.Run(fmt.Sprintf("edit=%d", perEdit), func(b *testing.B) {
			var tr tree[int]
			e := new(edit)
			keys := make([]string, 100000)
			for i := range keys {
				keys[i] = fmt.Sprintf("000000000000/us-east-1/default/%032x", rand.Uint64())
				tr.set(e, keys[i], i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%perEdit == 0 {
					e = new(edit)
				}
				tr.set(e, keys[rand.IntN(len(keys))], i)
			}
		})
	}
}
