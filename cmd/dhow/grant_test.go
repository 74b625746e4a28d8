package main

import (
	"fmt"
	"testing"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/queue"
)

// TestRefused asks a queue's policy about deliveries of other accounts, as it is
// written for AWS.
func TestRefused(t *testing.T) {
	const topic, rule = "arn:aws:sns:us-east-1:111111111111:t", "arn:aws:events:us-east-1:111111111111:rule/b/r"
	d := queue.Definition{Scope: cluster.Scope{Account: "222222222222", Region: "us-east-1"}, Name: "q"}
	grant := func(effect, principal, condition string) string {
		return fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:us-east-1:222222222222:q","Condition":{%s}}`, effect, principal, condition)
	}
	const sns, events, all = `{"Service":"sns.amazonaws.com"}`, `{"Service":"events.amazonaws.com"}`, `"*"`
	topics := messenger{service: "sns.amazonaws.com", source: topic}
	rules := messenger{service: eventsService, source: rule}
	roles := messenger{service: eventsService, source: rule, role: "arn:aws:iam::111111111111:role/carrier"}
	const carrier = `{"AWS":"arn:aws:iam::111111111111:role/carrier"}`
	for _, tt := range []struct {
		name, policy string
		by           messenger
		want         bool
	}{
		{"the account's own", "", messenger{service: "sns.amazonaws.com", source: "arn:aws:sns:us-east-1:222222222222:t"}, true},
		{"no policy", "", topics, false},
		{"the service", grant("Allow", sns, ""), topics, true},
		{"another service", grant("Allow", events, ""), topics, false},
		{"everybody, from the topic", grant("Allow", all, `"ArnEquals":{"aws:SourceArn":"`+topic+`"}`), topics, true},
		{"everybody, from another topic", grant("Allow", all, `"ArnEquals":{"aws:SourceArn":"`+topic+`2"}`), topics, false},
		{"everybody by another name, from the topic", grant("Allow", `{"AWS":"*"}`, `"ArnLike":{"aws:SourceArn":"`+topic+`"}`), topics, true},
		{"from the account", grant("Allow", sns, `"StringEquals":{"aws:SourceAccount":"111111111111"}`), topics, true},
		{"from another account", grant("Allow", sns, `"StringEquals":{"aws:SourceAccount":"333333333333"}`), topics, false},
		{"denied as well", grant("Allow", sns, "") + "," + grant("Deny", all, `"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:t"}`), topics, false},
		{"the rule", grant("Allow", events, `"ArnLike":{"aws:SourceArn":"arn:aws:events:us-east-1:111111111111:rule/b/*"}`), rules, true},
		{"the target's role", grant("Allow", carrier, ""), roles, true},
		{"a role that the target does not name", grant("Allow", carrier, ""), rules, false},
		{"a role of the queue's account", grant("Allow", `{"AWS":"222222222222"}`, ""), messenger{service: eventsService, source: rule, role: "arn:aws:iam::222222222222:role/carrier"}, false},
		{"the role, denied to the service", grant("Allow", carrier, "") + "," + grant("Deny", events, ""), roles, false},
	} {
		d.Policy = ""
		if tt.policy != "" {
			d.Policy = `{"Version":"2012-10-17","Statement":[` + tt.policy + `]}`
		}
		if err := tt.by.refused(queueReceiver(&d)); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
