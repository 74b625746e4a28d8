package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/dhowhq/dhow/internal/awsapi"
)

func inOp(service, op string) context.Context {
	return awsapi.WithCall(context.Background(), &awsapi.Call{Service: service, Operation: op, Account: "1", Region: "r"})
}

func TestPage(t *testing.T) {
	ctx := inOp("ecs", "ListClusters")
	var items []string
	for i := range 25 {
		items = append(items, fmt.Sprintf("c%02d", i))
	}
	key := func(s string) string { return s }
	var got []string
	var token *string
	for pages := 1; ; pages++ {
		page, next, err := awsapi.Page(ctx, items, key, token, aws.Int32(7), 100)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if next == nil {
			if pages != 4 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		token = next
		items = slices.DeleteFunc(items, func(s string) bool { return s == page[len(page)-1] }) // the item that the token names goes
	}
	if len(got) != 25 || got[24] != "c24" || !slices.IsSorted(got) {
		t.Errorf("got %q", got)
	}
	if page, next, err := awsapi.Page(ctx, items, key, nil, nil, 10); err != nil || len(page) != 10 || next == nil {
		t.Errorf("without a limit: %d items, %v, %v", len(page), next, err)
	}
	if page, next, err := awsapi.Page(ctx, items[:0], key, aws.String(""), nil, 10); err != nil || len(page) != 0 || next != nil {
		t.Errorf("of nothing: %d items, %v, %v", len(page), next, err)
	}
}

// PageOf gives what Page does, and asks for no row that it does not need.
func TestPageOf(t *testing.T) {
	ctx := inOp("ecs", "ListTasks")
	key := func(s string) string { return s }
	items := []string{"", "a", "b", "c", "d", "e"}
	for _, limit := range []*int32{nil, aws.Int32(0), aws.Int32(1), aws.Int32(4), aws.Int32(5), aws.Int32(99)} {
		var token *string
		for more := true; more; more = token != nil {
			asked := 0
			rows := func(yield func(string) bool) {
				for _, s := range items {
					if asked++; !yield(s) {
						return
					}
				}
			}
			want, wantNext, err1 := awsapi.Page(ctx, items, key, token, limit, 5)
			got, next, err2 := awsapi.PageOf(ctx, rows, key, token, limit, 5)
			if err1 != nil || err2 != nil || !slices.Equal(got, want) || aws.ToString(next) != aws.ToString(wantNext) {
				t.Fatalf("%q, %v, %v; want %q, %v, %v", got, next, err2, want, wantNext, err1)
			}
			if last := slices.Index(items, got[len(got)-1]); asked > last+2 {
				t.Errorf("%d rows were asked for, the page ends at %d", asked, last)
			}
			token = next
		}
	}
}

func TestBadTokens(t *testing.T) {
	good := awsapi.Token(inOp("ecs", "ListTasks"), "x")
	for _, c := range []struct{ service, op, token, code string }{
		{"ecs", "ListClusters", *good, "InvalidParameterException"},
		{"ecs", "ListTasks", *good + "!", "InvalidParameterException"},
		{"ecs", "ListTasks", "AA", "InvalidParameterException"},
		{"stepfunctions", "ListExecutions", "AA", "InvalidToken"},
		{"elbv2", "DescribeRules", "AA", "ValidationError"},
		{"", "", "AA", "ValidationException"},
	} {
		_, err := awsapi.ParseToken(inOp(c.service, c.op), &c.token)
		var e *awsapi.Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s.%s: %v, want %s", c.service, c.op, err, c.code)
		}
	}
	if got, err := awsapi.ParseToken(inOp("ecs", "ListTasks"), good); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzToken(f *testing.F) {
	f.Add("AAAA", "x")
	ctx := inOp("ecs", "ListTasks")
	f.Fuzz(func(t *testing.T, token, position string) {
		awsapi.ParseToken(ctx, &token)
		if got, err := awsapi.ParseToken(ctx, awsapi.Token(ctx, position)); err != nil || got != position {
			t.Errorf("%q comes back as %q, %v", position, got, err)
		}
	})
}
