package image

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLifecycleExpired(t *testing.T) {
	now := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	day := func(d string, n int) Manifest {
		return Manifest{Digest: d, PushedAt: now.Add(-time.Duration(n) * 24 * time.Hour)}
	}
	images := []Manifest{day("a", 1), day("b", 5), day("c", 10), day("u", 20), day("part", 30), {Digest: "index", PushedAt: now.Add(-time.Hour), Images: []string{"part"}}}
	tags := map[string][]string{"a": {"prod-1"}, "b": {"prod-2", "beta"}, "c": {"dev-x"}, "index": {"multi"}}
	rule := func(priority, selection string) string {
		return `{"rulePriority":` + priority + `,"selection":{` + selection + `},"action":{"type":"expire"}}`
	}
	for _, c := range []struct{ name, rules, want string }{
		{"count of a prefix", rule("1", `"tagStatus":"tagged","tagPrefixList":["prod-"],"countType":"imageCountMoreThan","countNumber":1`), "b"},
		{"all prefixes must match", rule("1", `"tagStatus":"tagged","tagPrefixList":["prod-","beta"],"countType":"sinceImagePushed","countUnit":"days","countNumber":1`), "b"},
		{"patterns", rule("1", `"tagStatus":"tagged","tagPatternList":["d*x"],"countType":"sinceImagePushed","countUnit":"days","countNumber":9`), "c"},
		{"an index keeps its parts", rule("1", `"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":2`), "u"},
		{"any", rule("1", `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":2`), "b c u"},
		{"a lower priority judges first", rule("2", `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1`) + "," +
			rule("1", `"tagStatus":"tagged","tagPrefixList":["prod-"],"countType":"imageCountMoreThan","countNumber":10`), "c u"},
	} {
		l, err := ParseLifecycle(`{"rules":[` + c.rules + `]}`)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := l.expired(now, images, tags)
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: expired %v, want %s", c.name, got, c.want)
		}
	}
}

func TestLifecycleRefused(t *testing.T) {
	ok := `{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":2},"action":{"type":"expire"}}`
	for _, c := range []struct{ text, want string }{
		{`{}`, "must not be empty"},
		{`{"rules":[` + ok + `]} x`, "more after"},
		{`{"rules":[` + ok + `,` + ok + `]}`, "two rules have the priority 1"},
		{`{"rules":[` + strings.Replace(ok, "any", "some", 1) + `]}`, "tagStatus"},
		{`{"rules":[` + strings.Replace(ok, "any", "tagged", 1) + `]}`, "tagPrefixList"},
		{`{"rules":[` + strings.Replace(ok, "imageCountMoreThan", "sinceImagePushed", 1) + `]}`, "countUnit"},
		{`{"rules":[` + strings.Replace(ok, `:2}`, `:0}`, 1) + `]}`, "countNumber"},
		{`{"rules":[` + strings.Replace(ok, `"action"`, `"nonsense"`, 1) + `]}`, "nonsense"},
	} {
		_, err := ParseLifecycle(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", c.text, err, c.want)
		}
	}
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abb", false},
		{"*b*", "abc", true}, {"a**", "a", true}, {"ab", "abc", false}, {"*ab", "aab", true}, {"*ab", "abx", false},
	} {
		if got := wildcard(c.pattern, c.s); got != c.want {
			t.Errorf("wildcard(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}
