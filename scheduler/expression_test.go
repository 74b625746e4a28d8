package scheduler

import (
	"strings"
	"testing"
)

var testFacts = func(subject string) []string {
	return map[string][]string{
		"attribute:ecs.instance-type":     {"t3.micro"},
		"attribute:ecs.availability-zone": {"us-east-1a"},
		"attribute:empty":                 {""},
		"attribute:size":                  {"10"},
		"agentConnected":                  {"true"},
		"agentVersion":                    {"1.105.0"},
		"runningTasksCount":               {"3"},
		"task:group":                      {"service:web", "family:job"},
		"registeredAt":                    {"2024-05-01T00:00:00Z"},
	}[subject]
}

func TestExpression(t *testing.T) {
	for text, want := range map[string]bool{
		"attribute:ecs.instance-type == t3.micro":                                     true,
		"attribute:ecs.instance-type==t3.micro":                                       true,
		"attribute:ecs.instance-type equals 't3.micro'":                               true,
		"attribute:ecs.instance-type != t3.micro":                                     false,
		"attribute:ecs.instance-type =~ t3.*":                                         true,
		"attribute:ecs.instance-type =~ t3":                                           false,
		"attribute:ecs.instance-type !~ (t2|t3).*":                                    false,
		"(attribute:ecs.instance-type =~ (t2|t3).*)":                                  true,
		"attribute:ecs.availability-zone in [us-east-1a, us-east-1b]":                 true,
		"attribute:ecs.availability-zone !in [us-east-1a]":                            false,
		"attribute:ecs.availability-zone not_in [us-east-1c]":                         true,
		"attribute:absent exists":                                                     false,
		"attribute:absent !exists":                                                    true,
		"attribute:empty exists":                                                      true,
		"attribute:absent == x":                                                       false,
		"attribute:absent != x":                                                       true,
		"attribute:size > 9":                                                          true,
		"attribute:size <= 9":                                                         false,
		"runningTasksCount < 5 and runningTasksCount >= 3":                            true,
		"runningTasksCount > 5 or agentConnected == true":                             true,
		"not runningTasksCount > 5":                                                   true,
		"!(runningTasksCount == 3 && agentConnected == true)":                         false,
		"runningTasksCount == 1 || runningTasksCount == 3 && agentConnected == false": false,
		"task:group == service:web":                                                   true,
		"task:group == service:api":                                                   false,
		"task:group != service:web":                                                   false,
		"agentVersion >= 1.9.0":                                                       true,
		"registeredAt > 2024-01-01T00:00:00Z":                                         true,
		"agentConnected == true AND attribute:size == 10":                             true,
	} {
		e, err := ParseExpression(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := e.Match(testFacts); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestExpressionErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "is no subject",
		"colour == red":                     `"colour" is no subject`,
		"attribute: == red":                 "is no subject",
		"attribute:x":                       "no operator",
		"attribute:x ==":                    "lacks a value",
		"attribute:x in red":                "takes a list",
		"attribute:x in [a,":                "lacks a value",
		"attribute:x in [a b]":              "not closed",
		"(attribute:x == 1":                 "not closed",
		"attribute:x == 1 extra":            "more than one",
		"attribute:x =~ [":                  "no pattern",
		"attribute:x == 1 and":              "is no subject",
		strings.Repeat("x", 2001):           "longer than",
		strings.Repeat("(", 2000):           "no subject",
		"attribute:x =~ " + "a{1000}{1000}": "no pattern",
	} {
		_, err := ParseExpression(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %q", text, err, want)
		}
	}
}

func FuzzParseExpression(f *testing.F) {
	for _, s := range []string{"attribute:a == b", "(!attribute:a exists) or task:group in [x,y]", "attribute:x =~ (a|b).* && runningTasksCount<2", "not not agentConnected == 'x y'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if e, err := ParseExpression(s); err == nil {
			e.Match(testFacts)
		}
	})
}
