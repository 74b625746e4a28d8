package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func TestMessages(t *testing.T) {
	for n, want := range map[int64]string{0: "0 messages", 1: "1 message", 2: "2 messages"} {
		if got := messages(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestMoved(t *testing.T) {
	for want, n := range map[string][2]int64{
		"moved 1 message out of dead":                                     {1, 1},
		"moved 3 messages out of dead":                                    {3, 2}, // one came meanwhile
		"moved 0 of 1 message out of dead; the others were not taken":     {0, 1},
		"moved 5 of 7 messages out of dead; the others were not taken wh": {5, 7},
	} {
		if got := moved("dead", n[0], n[1]); !strings.HasPrefix(got, want) || strings.Contains(got, ";") != strings.Contains(want, ";") {
			t.Errorf("%v: %s", n, got)
		}
	}
}

// TestRedriveRate holds --rate to what a message move task takes: without it
// there is no limit, and 0 is no way to say so.
func TestRedriveRate(t *testing.T) {
	parse := func(args ...string) (*queueRedriveCmd, error) {
		var c struct {
			Redrive queueRedriveCmd `cmd:""`
		}
		p, err := kong.New(&c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Parse(append([]string{"redrive", "dead"}, args...))
		return &c.Redrive, err
	}
	if c, err := parse(); err != nil || c.Rate != nil {
		t.Errorf("without --rate: %v, %v", c.Rate, err)
	}
	for _, rate := range []string{"1", "500"} {
		if c, err := parse("--rate", rate); err != nil || c.Rate == nil {
			t.Errorf("--rate %s: %v, %v", rate, c.Rate, err)
		}
	}
	for _, rate := range []string{"0", "501", "-1"} {
		if _, err := parse("--rate=" + rate); err == nil || !strings.Contains(err.Error(), "--rate "+rate+": a move takes 1 to 500 messages a second") {
			t.Errorf("--rate %s: %v", rate, err)
		}
	}
}
