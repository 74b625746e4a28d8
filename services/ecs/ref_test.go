package ecs

import (
	"slices"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
)

var refScope = cluster.Scope{Account: "000000000000", Region: "us-east-1"}

func TestClusterName(t *testing.T) {
	for ref, want := range map[string]string{
		"":     "default",
		"prod": "prod",
		"arn:aws:ecs:us-east-1:000000000000:cluster/prod": "prod",
		"a b": "!Cluster must match",
		"arn:aws:ecs:eu-west-1:000000000000:cluster/prod":     "!Invalid Region in ARN",
		"arn:aws:ecs:us-east-1:111111111111:cluster/prod":     "!Invalid account in ARN",
		"arn:aws:ecs:us-east-1:000000000000:service/prod/web": "!no ARN of a cluster",
		"arn:aws:sqs:us-east-1:000000000000:prod":             "!no ARN of an ECS resource",
	} {
		got, err := clusterName(refScope, &ref)
		if text, bad := strings.CutPrefix(want, "!"); bad {
			refused(t, err, "InvalidParameterException", text)
		} else if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", ref, got, err, want)
		}
	}
}

func TestMemberID(t *testing.T) {
	c := cluster.Cluster{Scope: refScope, Name: "prod"}
	arn := refScope.ARN("ecs", "")
	for ref, want := range map[string]string{
		"abc":               "abc",
		arn + "task/abc":    "abc", // the format before 2018
		arn + "task/prod/a": "a",
		arn + "task/dev/a":  "!Identifier is for cluster dev. Your cluster is prod",
		arn + "task/a/b/c":  "!Unexpected number of separators",
		arn + "service/a/b": "!no ARN of a task",
	} {
		got, err := memberID(c, "task", ref)
		if text, bad := strings.CutPrefix(want, "!"); bad {
			refused(t, err, "InvalidParameterException", text)
		} else if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", ref, got, err, want)
		}
	}
}

// Pages neither repeat nor lose rows, also when some go between two calls.
func TestPage(t *testing.T) {
	rows := []string{"a", "b", "c", "d", "e"}
	key := func(s string) string { return s }
	ctx := awsapi.WithCall(t.Context(), &awsapi.Call{Service: "ecs", Operation: "ListTasks"})
	first, next, err := page(ctx, slices.Values(rows), key, ptr(int32(2)), 10, nil)
	if err != nil || !slices.Equal(first, []string{"a", "b"}) || next == nil {
		t.Fatal(first, next, err)
	}
	token := next
	second, next, err := page(ctx, slices.Values([]string{"a", "d", "e"}), key, ptr(int32(2)), 10, next)
	if err != nil || !slices.Equal(second, []string{"d", "e"}) || next != nil {
		t.Fatal(second, next, err)
	}
	other := awsapi.WithCall(t.Context(), &awsapi.Call{Service: "ecs", Operation: "ListServices"})
	_, _, err = page(other, slices.Values(rows), key, nil, 10, token)
	refused(t, err, "InvalidParameterException", "Invalid token in request.")
	for _, n := range []int32{0, -1, 11} {
		_, _, err = page(ctx, slices.Values(rows), key, &n, 10, nil)
		refused(t, err, "InvalidParameterException", "Invalid maxResults")
	}
}

func FuzzRef(f *testing.F) {
	f.Add("arn:aws:ecs:us-east-1:000000000000:task/prod/a")
	f.Add("prod")
	f.Add("0WE")
	c := cluster.Cluster{Scope: refScope, Name: "prod"}
	f.Fuzz(func(t *testing.T, s string) {
		clusterName(refScope, &s)
		if id, err := memberID(c, "task", s); err == nil && strings.HasPrefix(s, "arn:") && strings.Contains(id, "/") {
			t.Errorf("%q has the id %q", s, id)
		}
		page(t.Context(), slices.Values([]string{"a", "b"}), func(s string) string { return s }, nil, 10, &s)
	})
}
