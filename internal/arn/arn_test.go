package arn

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want ARN
		typ  string
		rest string
	}{
		{"arn:aws:ecs:us-east-1:123456789012:task/c/0af", ARN{"aws", "ecs", "us-east-1", "123456789012", "task/c/0af"}, "task", "c/0af"},
		{"arn:aws:iam::123456789012:role/a/b", ARN{"aws", "iam", "", "123456789012", "role/a/b"}, "role", "a/b"},
		{"arn:aws:logs:eu-west-1:1:log-group:/x:*", ARN{"aws", "logs", "eu-west-1", "1", "log-group:/x:*"}, "log-group", "/x:*"},
		{"arn:aws:s3:::bucket", ARN{"aws", "s3", "", "", "bucket"}, "", "bucket"},
		{"arn:aws-cn:sqs:cn-north-1:1:q", ARN{"aws-cn", "sqs", "cn-north-1", "1", "q"}, "", "q"},
	} {
		got, err := Parse(c.in)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v", c.in, got, err)
		}
		if got.String() != c.in {
			t.Errorf("%q comes back as %q", c.in, got)
		}
		if typ, rest := got.Type(); typ != c.typ || rest != c.rest {
			t.Errorf("Type of %q = %q, %q", c.in, typ, rest)
		}
	}
	for _, bad := range []string{"", "x", "arn:aws:ecs:us-east-1:1", "arn:::r:a:x", "arn:aws:ecs:r:a:", "ARN:aws:ecs:r:a:x"} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %+v", bad, got)
		}
	}
	if got := New("ecs", "r", "1", "service/c/s").Segments(); !slices.Equal(got, []string{"service", "c", "s"}) {
		t.Errorf("Segments = %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:ecs:us-east-1:123456789012:task/c/0af")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := Parse(s); err == nil && a.String() != s {
			t.Errorf("%q comes back as %q", s, a)
		}
	})
}
