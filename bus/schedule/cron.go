package schedule

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// cron is a cron expression of AWS: minutes, hours, days of month, months, days
// of week, years. One of the two kinds of days is "?".
type cron struct {
	minutes, hours set
	months         set
	days           days // nil: ?
	weekdays       days // nil: ?
	years          set
}

// set is the values of a field that come, by bits.
type set [4]uint64

func (s *set) add(n int)      { s[n/64] |= 1 << (n % 64) }
func (s *set) has(n int) bool { return s[n/64]&(1<<(n%64)) != 0 }

// days are rules of which a day must meet one.
type days []func(day time.Time) bool

func (ds days) has(day time.Time) bool {
	return slices.ContainsFunc(ds, func(d func(time.Time) bool) bool { return d(day) })
}

// field is the range of a field and its names, by their values.
type field struct {
	low, high int
	names     []string // the first is low
	wraps     bool     // a range may go over the end
}

const firstYear, lastYear = 1970, 2199

var (
	minuteField  = field{low: 0, high: 59}
	hourField    = field{low: 0, high: 23}
	dayField     = field{low: 1, high: 31}
	monthField   = field{low: 1, high: 12, wraps: true, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	weekdayField = field{low: 1, high: 7, wraps: true, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
	yearField    = field{low: 0, high: lastYear - firstYear} // shifted by firstYear
)

func parseCron(s string) (Schedule, error) {
	parts := strings.Fields(s)
	if len(parts) != 6 {
		return nil, ErrInvalid
	}
	c := &cron{}
	ok := minuteField.parse(parts[0], &c.minutes) && hourField.parse(parts[1], &c.hours) && monthField.parse(parts[3], &c.months) && parseYears(parts[5], &c.years)
	if !ok || (parts[2] == "?") == (parts[4] == "?") {
		return nil, ErrInvalid
	}
	if parts[2] != "?" {
		c.days = parseDays(parts[2])
	} else {
		c.weekdays = parseWeekdays(parts[4])
	}
	if c.days == nil && c.weekdays == nil {
		return nil, ErrInvalid
	}
	return c, nil
}

// parse reads a list of values, ranges and steps.
func (f field) parse(s string, into *set) bool {
	for _, part := range strings.Split(s, ",") {
		if !f.parsePart(part, into) {
			return false
		}
	}
	return true
}

func (f field) parsePart(part string, into *set) bool {
	part, step, stepped := strings.Cut(part, "/")
	by := 1
	if stepped {
		n, err := strconv.Atoi(step)
		if err != nil || n < 1 || n > f.high+1 || !digits(step) {
			return false
		}
		by = n
	}
	low, high := f.low, f.high
	if part != "*" {
		from, to, ranged := strings.Cut(part, "-")
		var ok bool
		if low, ok = f.value(from); !ok {
			return false
		}
		switch {
		case ranged:
			if high, ok = f.value(to); !ok {
				return false
			}
		case !stepped:
			high = low
		}
	}
	if low > high {
		if !f.wraps {
			return false
		}
		high += f.high - f.low + 1
	}
	for n := low; n <= high; n += by {
		into.add((n-f.low)%(f.high-f.low+1) + f.low)
	}
	return true
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (f field) value(s string) (int, bool) {
	if i := slices.Index(f.names, strings.ToUpper(s)); i >= 0 {
		return f.low + i, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && digits(s) && n >= f.low && n <= f.high
}

func parseYears(s string, into *set) bool {
	var b strings.Builder // with years counted from firstYear
	for number, rest := "", s; ; rest = rest[1:] {
		if rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			number += rest[:1]
			continue
		}
		if number != "" {
			n, err := strconv.Atoi(number)
			if err != nil {
				return false
			}
			if !strings.HasSuffix(b.String(), "/") {
				n -= firstYear
			}
			if n < 0 {
				return false
			}
			b.WriteString(strconv.Itoa(n))
			number = ""
		}
		if rest == "" {
			return yearField.parse(b.String(), into)
		}
		b.WriteByte(rest[0])
	}
}

// parseDays reads days of the month: values, L for the last, nW for the weekday
// nearest to n, LW for the last weekday.
func parseDays(s string) (out days) {
	var plain set
	for _, part := range strings.Split(s, ",") {
		switch n, isW := strings.CutSuffix(strings.ToUpper(part), "W"); {
		case strings.EqualFold(part, "L"):
			out = append(out, func(day time.Time) bool { return day.AddDate(0, 0, 1).Day() == 1 })
		case isW && n == "L":
			out = append(out, func(day time.Time) bool { return day.Day() == nearestWeekday(day, lastDay(day)) })
		case isW:
			d, ok := dayField.value(n)
			if !ok {
				return nil
			}
			out = append(out, func(day time.Time) bool { return d <= lastDay(day) && day.Day() == nearestWeekday(day, d) })
		default:
			if !dayField.parsePart(part, &plain) {
				return nil
			}
		}
	}
	if plain != (set{}) {
		out = append(out, func(day time.Time) bool { return plain.has(day.Day()) })
	}
	return out
}

// parseWeekdays reads days of the week: values, nL for the last n of a month, L
// for Saturday, n#k for the kth n of a month.
func parseWeekdays(s string) (out days) {
	var plain set
	for _, part := range strings.Split(s, ",") {
		name, nth, isNth := strings.Cut(part, "#")
		last, isLast := strings.CutSuffix(strings.ToUpper(part), "L")
		switch {
		case strings.EqualFold(part, "L"):
			plain.add(7)
		case isNth:
			d, ok := weekdayField.value(name)
			k, err := strconv.Atoi(nth)
			if !ok || err != nil || !digits(nth) || k < 1 || k > 5 {
				return nil
			}
			out = append(out, func(day time.Time) bool { return weekday(day) == d && (day.Day()-1)/7+1 == k })
		case isLast:
			d, ok := weekdayField.value(last)
			if !ok {
				return nil
			}
			out = append(out, func(day time.Time) bool { return weekday(day) == d && day.Day()+7 > lastDay(day) })
		default:
			if !weekdayField.parsePart(part, &plain) {
				return nil
			}
		}
	}
	if plain != (set{}) {
		out = append(out, func(day time.Time) bool { return plain.has(weekday(day)) })
	}
	return out
}

// weekday is AWS's number of the day, 1 for Sunday.
func weekday(day time.Time) int { return int(day.Weekday()) + 1 }

func lastDay(day time.Time) int {
	return time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// nearestWeekday is the day from Monday to Friday that is nearest to d in day's
// month.
func nearestWeekday(day time.Time, d int) int {
	switch time.Date(day.Year(), day.Month(), d, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if d == 1 {
			return 3
		}
		return d - 1
	case time.Sunday:
		if d == lastDay(day) {
			return d - 2
		}
		return d + 1
	}
	return d
}

// Next implements Schedule.
func (c *cron) Next(after time.Time) time.Time {
	loc := after.Location()
	day := time.Date(after.Year(), after.Month(), after.Day(), 0, 0, 0, 0, time.UTC)
	for day.Year() <= lastYear {
		switch {
		case day.Year() < firstYear || !c.years.has(day.Year()-firstYear):
			day = time.Date(max(day.Year()+1, firstYear), 1, 1, 0, 0, 0, 0, time.UTC)
			continue
		case !c.months.has(int(day.Month())):
			day = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if c.days.has(day) || c.weekdays.has(day) {
			if t := c.within(day, after, loc); !t.IsZero() {
				return t
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}
}

// within is the first time of a day that is after the given one.
func (c *cron) within(day, after time.Time, loc *time.Location) time.Time {
	for h := range 24 {
		if !c.hours.has(h) {
			continue
		}
		for m := range 60 {
			if !c.minutes.has(m) {
				continue
			}
			t := time.Date(day.Year(), day.Month(), day.Day(), h, m, 0, 0, loc)
			if t.Hour() == h && t.Minute() == m && t.After(after) {
				return t
			}
		}
	}
	return time.Time{}
}
