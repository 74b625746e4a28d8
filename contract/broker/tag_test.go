package broker

import (
	"strings"
	"testing"
)

// TestCheckTags says what is wrong with tags.
func TestCheckTags(t *testing.T) {
	const dead, gone = "arn:aws:sqs:eu-west-1:123456789012:dead", "arn:aws:sqs:eu-west-1:123456789012:gone"
	f := newFixture(t, func(c *Config) { c.Queue = func(arn string) bool { return arn != gone } })
	f.schema("empty")
	for _, c := range []struct {
		want string
		tags []string
	}{
		{"", []string{SchemaTag, "shop/order"}},
		{"", []string{SchemaTag, "shop/order@^1", ModeTag, "observe"}},
		{"", []string{SchemaTag, "shop/order@1.x", ModeTag, "dead-letter", DeadLetterTag, dead}},
		{"", []string{SchemaTag, "arn:aws:glue:eu-west-1:123456789012:schema/shop/order@1"}},
		{"another account or region", []string{SchemaTag, "arn:aws:glue:eu-west-2:123456789012:schema/shop/order"}},
		{"must be REGISTRY/NAME", []string{SchemaTag, "order"}},
		{"must be REGISTRY/NAME", []string{SchemaTag, ""}},
		{"must be REGISTRY/NAME", []string{SchemaTag, "shop/order@"}},
		{"must be REGISTRY/NAME", []string{SchemaTag, "a/b/c"}},
		{"not a range of versions", []string{SchemaTag, "shop/order@latest"}},
		{"names shop/none, which is not in the registry", []string{SchemaTag, "shop/none"}},
		{"has no version in that range", []string{SchemaTag, "shop/order@^7"}},
		{"has no version in that range", []string{SchemaTag, "shop/empty"}},
		{"must be reject, dead-letter or observe", []string{SchemaTag, "shop/order", ModeTag, "warn"}},
		{"has no dead-letter queue", []string{SchemaTag, "shop/order", ModeTag, "dead-letter"}},
		{"must be the ARN of an SQS queue", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, "dead"}},
		{"of the same account", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, "arn:aws:sqs:eu-west-1:999999999999:dead"}},
		{"does not exist", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, gone}},
		{"cannot be its own", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, "arn:aws:sqs:eu-west-1:123456789012:orders"}},
		{"there is no tag dhow:schema-moed: did you mean dhow:schema-mode?", []string{SchemaTag, "shop/order", "dhow:schema-moed", "observe"}},
		{"there is no tag dhow:shema: did you mean dhow:schema? Tags that begin with dhow: are dhow's own, and here it knows dhow:schema, dhow:schema-mode, dhow:schema-dead-letter", []string{"dhow:shema", "shop/order"}},
		{"there is no tag DHOW:Schema: did you mean dhow:schema?", []string{"DHOW:Schema", "shop/order"}},
		{"there is no tag dhow:schema-deadletter: did you mean dhow:schema-dead-letter?", []string{"dhow:schema-deadletter", "x"}},
		{"there is no tag dhow:contract-force. Tags that begin", []string{"dhow:contract-force", "because"}},
		{"", []string{"dhow", "x", "dhow.schema", "y", "team:dhow:schema", "z"}},
		{"does nothing without dhow:schema", []string{ModeTag, "observe"}},
	} {
		at := queue(c.tags...)
		err := f.CheckTags(f.ctx, at, at.Tags, Sender{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.tags, err, c.want)
		}
	}
}

// TestUntagged lets versions go of which a resource that is tagged no more took
// messages.
func TestUntagged(t *testing.T) {
	f := newFixture(t, nil)
	at := queue(SchemaTag, "shop/order@1")
	if v := f.check(at, binaryBody(f.glue(0, datum10))); v.Err != nil {
		t.Fatal(v.Err)
	}
	f.tags[at.ARN()] = map[string]string{SchemaTag: "shop/invoice"}
	if err := f.Guard(f.ctx, f.versions[:1]); err != nil {
		t.Errorf("the queue takes another schema: %v", err)
	}
	f.tags[at.ARN()] = at.Tags
	if err := f.Guard(f.ctx, f.versions[:1]); err == nil {
		t.Error("the version is in use")
	}
	if err := f.Guard(f.ctx, f.versions[1:]); err != nil {
		t.Errorf("others than the first are not: %v", err)
	}
	if err := f.Guard(f.ctx, f.versions); err == nil {
		t.Error("one of the versions is in use")
	}
}
