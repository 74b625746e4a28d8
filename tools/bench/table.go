package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// table is what is printed at the end.
type table struct{ lines [][6]string }

const (
	verdictNone = ""
	verdictMet  = "met"
	verdictMiss = "MISSED"
)

// verdict says whether a bar is met.
func verdict(met bool) string {
	if met {
		return verdictMet
	}
	return verdictMiss
}

// add adds a row: what was measured, ours, the floor or the peer, what is
// compared with the bar, the bar, and the verdict.
func (t *table) add(what, ours, other, value, bar, verdict string) {
	t.lines = append(t.lines, [6]string{what, ours, other, value, bar, verdict})
}

func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WHAT\tDHOW\tFLOOR, PEERS\tVALUE\tBAR\t")
	for _, l := range t.lines {
		for _, c := range l {
			fmt.Fprint(tw, c, "\t")
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

// quantile of values, which it sorts; q is between 0 and 1.
func quantile[T float64 | time.Duration](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

func median[T float64 | time.Duration](values []T) T { return quantile(values, 0.5) }

// ms prints a duration in milliseconds.
func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
}

// ratios divides pairwise: each turn against the floor's of the same moment.
func ratios[T float64 | time.Duration](ours, floor []T) (out []float64) {
	for i := range ours {
		out = append(out, float64(ours[i])/float64(floor[i]))
	}
	return out
}
