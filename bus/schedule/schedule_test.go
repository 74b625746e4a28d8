package schedule

import (
	"testing"
	"time"
)

const form = "2006-01-02 15:04 Mon"

func TestNext(t *testing.T) {
	for _, c := range []struct {
		expression, after string
		want              []string
	}{
		{"rate(1 minute)", "2024-02-28 23:59 Wed", []string{"2024-02-29 00:00 Thu", "2024-02-29 00:01 Thu"}},
		{"rate(5 hours)", "2024-01-01 00:00 Mon", []string{"2024-01-01 05:00 Mon"}},
		{"rate(7 days)", "2024-01-01 00:00 Mon", []string{"2024-01-08 00:00 Mon"}},
		{"cron(0 10 * * ? *)", "2024-01-01 10:00 Mon", []string{"2024-01-02 10:00 Tue"}},
		{"cron(15 12 * * ? *)", "2024-01-01 12:14 Mon", []string{"2024-01-01 12:15 Mon", "2024-01-02 12:15 Tue"}},
		{"cron(0 18 ? * MON-FRI *)", "2024-01-05 17:00 Fri", []string{"2024-01-05 18:00 Fri", "2024-01-08 18:00 Mon"}},
		{"cron(0 8 1 * ? *)", "2024-01-15 00:00 Mon", []string{"2024-02-01 08:00 Thu", "2024-03-01 08:00 Fri"}},
		{"cron(0/10 * ? * MON-FRI *)", "2024-01-05 23:50 Fri", []string{"2024-01-08 00:00 Mon", "2024-01-08 00:10 Mon"}},
		{"cron(0/5 8-17 ? * MON-FRI *)", "2024-01-05 17:50 Fri", []string{"2024-01-05 17:55 Fri", "2024-01-08 08:00 Mon"}},
		{"cron(15 10 ? * 6L 2002-2005)", "2001-06-01 00:00 Fri", []string{"2002-01-25 10:15 Fri", "2002-02-22 10:15 Fri"}},
		{"cron(15 10 ? * 6L 2002-2005)", "2005-12-30 10:15 Fri", []string{""}},
		{"cron(0 0 L * ? *)", "2024-02-01 00:00 Thu", []string{"2024-02-29 00:00 Thu", "2024-03-31 00:00 Sun"}},
		{"cron(0 0 LW * ? *)", "2024-03-01 00:00 Fri", []string{"2024-03-29 00:00 Fri"}},
		{"cron(0 0 3W * ? *)", "2024-02-01 00:00 Thu", []string{"2024-02-02 00:00 Fri", "2024-03-04 00:00 Mon"}},
		{"cron(0 0 1W * ? *)", "2024-05-30 00:00 Thu", []string{"2024-06-03 00:00 Mon"}},
		{"cron(0 0 31W * ? *)", "2024-03-01 00:00 Fri", []string{"2024-03-29 00:00 Fri", "2024-05-31 00:00 Fri"}},
		{"cron(0 0 ? * 3#2 *)", "2024-01-01 00:00 Mon", []string{"2024-01-09 00:00 Tue", "2024-02-13 00:00 Tue"}},
		{"cron(0 0 ? * 2#5 *)", "2024-01-30 00:00 Tue", []string{"2024-04-29 00:00 Mon"}},
		{"cron(0 0 ? * L *)", "2024-01-01 00:00 Mon", []string{"2024-01-06 00:00 Sat"}},
		{"cron(0 0 29 FEB ? *)", "2024-03-01 00:00 Fri", []string{"2028-02-29 00:00 Tue"}},
		{"cron(0 0 30 2 ? *)", "2024-03-01 00:00 Fri", []string{""}},
		{"cron(0 0 ? * FRI-MON *)", "2024-01-01 00:00 Mon", []string{"2024-01-05 00:00 Fri", "2024-01-06 00:00 Sat"}},
		{"cron(10,20-22 0 1,L JAN,dec ? 2024/2)", "2024-12-31 00:10 Tue", []string{"2024-12-31 00:20 Tue", "2024-12-31 00:21 Tue", "2024-12-31 00:22 Tue", "2026-01-01 00:10 Thu"}},
		{"cron(* * * * ? 2199)", "2199-12-31 23:59 Tue", []string{""}},
		{"cron(* * * * ? *)", "1960-12-31 23:59 Sat", []string{"1970-01-01 00:00 Thu"}},
	} {
		s, err := Parse(c.expression)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		at, err := time.Parse(form, c.after)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			at = s.Next(at)
			got := ""
			if !at.IsZero() {
				got = at.Format(form)
			}
			if got != want {
				t.Errorf("%s after %s: %q, want %q", c.expression, c.after, got, want)
			}
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, s := range []string{"", "rate", "rate()", "rate(1)", "rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(+5 minutes)", "rate(-1 minutes)", "rate(5 weeks)",
		"rate(5  minutes)", "rate(1 minute) ", "Rate(1 minute)", "rate(99999999999 days)", "cron()",
		"cron(0 1 * * * *)", "cron(0 dummy ? * MON-FRI *)", "cron(7 20 * * NOT *)", "cron(71 8 1 * ? *)", "cron(INVALID)",
		"cron(0 10 ? * ? *)", "cron(60 * * * ? *)", "cron(* 24 * * ? *)", "cron(* * 0 * ? *)", "cron(* * 32 * ? *)", "cron(* * * 13 ? *)", "cron(* * ? * 8 *)", "cron(* * ? * 0 *)",
		"cron(* * * * ? 1969)", "cron(* * * * ? 2200)", "cron(*/0 * * * ? *)", "cron(5-1 * * * ? *)", "cron(? * * * ? *)", "cron(* * ? * 2#6 *)", "cron(* * ? * #1 *)", "cron(* * W * ? *)",
		"cron(* * * * ?)", "cron(* * * * ? * *)", "cron(1, * * * ? *)", "cron(* * ? * MON#+1 *)", "at(2024-01-01T00:00:00)"} {
		if got, err := Parse(s); err == nil {
			t.Errorf("%q is taken: %v", s, got)
		}
	}
}

// A local time that is left out does not come; one that is repeated comes once.
func TestClockChanges(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	s, err := Parse("cron(30 2 * * ? *)")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 3, 30, 12, 0, 0, 0, berlin)
	if at = s.Next(at); at.Format(form) != "2024-04-01 02:30 Mon" {
		t.Errorf("in spring: %v", at)
	}
	at = time.Date(2024, 10, 26, 12, 0, 0, 0, berlin)
	if at = s.Next(at); at.Format(form) != "2024-10-27 02:30 Sun" {
		t.Errorf("in autumn: %v", at)
	}
	if at = s.Next(at); at.Format(form) != "2024-10-28 02:30 Mon" {
		t.Errorf("after it: %v", at)
	}
}

// FuzzNext: no expression panics; what comes next comes later, and by the plain
// reading of the minute that it says.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"rate(5 minutes)", "cron(0/5 8-17 ? * MON-FRI *)", "cron(1 2 LW,3W * ? 2002-2005)", "cron(0 0 ? JAN 3#2,6L *)"} {
		f.Add(s, int64(1700000000))
	}
	f.Fuzz(func(t *testing.T, expression string, unix int64) {
		s, err := Parse(expression)
		if err != nil {
			return
		}
		after := time.Unix(unix%(1<<33), 0).UTC()
		next := s.Next(after)
		if next.IsZero() {
			return
		}
		if !next.After(after) {
			t.Fatalf("%s after %v: %v", expression, after, next)
		}
		c, ok := s.(*cron)
		if !ok {
			return
		}
		day := next.Truncate(24 * time.Hour)
		if !c.minutes.has(next.Minute()) || !c.hours.has(next.Hour()) || !c.months.has(int(next.Month())) || !c.years.has(next.Year()-firstYear) || !c.days.has(day) && !c.weekdays.has(day) {
			t.Fatalf("%s after %v: %v is none of its times", expression, after, next)
		}
		for m := next.Add(-time.Minute); m.After(after) && next.Sub(m) < 48*time.Hour; m = m.Add(-time.Minute) {
			day := m.Truncate(24 * time.Hour)
			if c.minutes.has(m.Minute()) && c.hours.has(m.Hour()) && c.months.has(int(m.Month())) && m.Year() >= firstYear && c.years.has(m.Year()-firstYear) && (c.days.has(day) || c.weekdays.has(day)) {
				t.Fatalf("%s after %v: %v is left out", expression, after, m)
			}
		}
	})
}
