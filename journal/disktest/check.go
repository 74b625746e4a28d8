package disktest

import (
	"flag"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Check holds a property over both kinds of disk, empty in each of the cases, which
// are numbered. Those on files take longer: there are fewer of them.
func Check(t *testing.T, property func(t *rapid.T, d Disk, n int)) {
	cases := 0
	on := func(open func(t *rapid.T, seed uint64) Disk) func(*rapid.T) {
		return func(t *rapid.T) {
			d := open(t, rapid.Uint64().Draw(t, "seed"))
			defer d.Close()
			cases++
			property(t, d, cases)
		}
	}
	t.Run("memory", func(t *testing.T) {
		OneIn(t, 2, on(func(_ *rapid.T, seed uint64) Disk { return Memory(seed) }))
	})
	t.Run("files", func(t *testing.T) {
		OneIn(t, 4, on(func(t *rapid.T, seed uint64) Disk { return Files(t, seed) }))
	})
}

// OneIn is rapid.Check with one in n of the cases that are asked for. No other test
// of the process may run at the same time.
func OneIn(t *testing.T, n int, property func(*rapid.T)) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	all := checks.String()
	asked, err := strconv.Atoi(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := checks.Set(strconv.Itoa(max(asked/n, 1))); err != nil {
		t.Fatal(err)
	}
	defer checks.Set(all)
	rapid.Check(t, property)
}
