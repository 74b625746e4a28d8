package topic

import (
	"testing"
	"time"
)

// The phases of AWS's own policies ("Amazon SNS message delivery retries"):
// attempts in all, and the waits between them.
func TestPhases(t *testing.T) {
	if n := managed.retries() + 1; n != 100_016 { // the first, and 100,015 tries after it
		t.Errorf("%d attempts at queues and functions", n)
	}
	if d := managed.total(); d < 23*24*time.Hour || d > 24*24*time.Hour {
		t.Errorf("queues and functions are tried for %v, not 23 days", d)
	}
	if n := outside.retries(); n != 50 {
		t.Errorf("%d tries outside", n)
	}
	if d := outside.total(); d < 6*time.Hour || d > 8*time.Hour {
		t.Errorf("mail is tried for %v, not 6 hours", d)
	}
	for n, want := range map[int]time.Duration{1: 0, 3: 0, 4: time.Second, 5: time.Second, 6: time.Second, 15: 20 * time.Second, 16: 20 * time.Second, 100_015: 20 * time.Second} {
		if got := managed.wait(n); got != want {
			t.Errorf("retry %d after %v, want %v", n, got, want)
		}
	}
	for _, f := range []string{"linear", "arithmetic", "geometric", "exponential"} {
		p := phases{Backoff: 10, Least: 10 * time.Second, Most: 100 * time.Second, Function: f}
		last := time.Duration(0)
		for n := 1; n <= 10; n++ {
			d := p.wait(n)
			if d < last || n == 1 && d != p.Least || n == 10 && (d > p.Most || d < p.Most-time.Millisecond) {
				t.Errorf("%s: retry %d after %v", f, n, d)
			}
			last = d
		}
	}
}

func TestDeliveryPolicies(t *testing.T) {
	const hour = `{"healthyRetryPolicy": {"minDelayTarget": 60, "maxDelayTarget": 3600, "numRetries": 10}}`
	for text, want := range map[string]string{
		`{`: "failed to parse JSON: unexpected EOF",
		`{"healthyRetryPolicy": {"numRetries": 101}}`:                                                "numRetries must be between 0 and 100",
		`{"healthyRetryPolicy": {"minDelayTarget": 0}}`:                                              "minDelayTarget must be between 1 and 3600",
		`{"healthyRetryPolicy": {"minDelayTarget": 30}}`:                                             "maxDelayTarget must be between minDelayTarget and 3600",
		`{"healthyRetryPolicy": {"numRetries": 2, "numNoDelayRetries": 2, "numMaxDelayRetries": 1}}`: "numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries are more than numRetries together",
		`{"healthyRetryPolicy": {"backoffFunction": "cubic"}}`:                                       "backoffFunction must be linear, arithmetic, geometric or exponential",
		hour: "the total time of all retries must not exceed 3600 seconds",
		`{"throttlePolicy": {"maxReceivesPerSecond": 0}}`:       "maxReceivesPerSecond must be at least 1",
		`{"requestPolicy": {"headerContentType": "image/png"}}`: `headerContentType "image/png" is not supported`,
		`{"surprise": 1}`: `failed to parse JSON: unknown field "surprise"`,
		`{"healthyRetryPolicy": {"numRetries": 5, "minDelayTarget": 1}}`:                                               "",
		`{"requestPolicy": {"headerContentType": "application/json"}, "throttlePolicy": {"maxReceivesPerSecond": 10}}`: "",
	} {
		_, err := EffectivePolicy("", text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	const top = `{"http": {"defaultHealthyRetryPolicy": {"numRetries": 7}, "defaultThrottlePolicy": {"maxReceivesPerSecond": 3}}}`
	p, err := EffectivePolicy(top, `{"throttlePolicy": {"maxReceivesPerSecond": 9}}`)
	must(t, err)
	if p.Retry.NumRetries != 7 || p.PerSecond != 9 {
		t.Errorf("%+v", p)
	}
	p, err = EffectivePolicy(`{"http": {"defaultHealthyRetryPolicy": {"numRetries": 7}, "disableSubscriptionOverrides": true}}`, `{"healthyRetryPolicy": {"numRetries": 1}}`)
	must(t, err)
	if p.Retry.NumRetries != 7 {
		t.Errorf("an override that is disabled counts: %+v", p)
	}
	if d := p.policy(); d.MaxRetries != 7 || d.Backoff(1, 0) != 20*time.Second || d.Backoff(1, 1) != 18*time.Second {
		t.Errorf("%+v", d)
	}
}

func FuzzPolicies(f *testing.F) {
	f.Add(`{"http": {"defaultHealthyRetryPolicy": {"numRetries": 7}}}`)
	f.Add(`{"healthyRetryPolicy": {"numRetries": 100, "minDelayTarget": 1, "maxDelayTarget": 60, "backoffFunction": "geometric"}}`)
	f.Add(`{"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sns:*"}}`)
	f.Fuzz(func(t *testing.T, s string) {
		if normal, err := NormalTopicPolicy(s); err == nil && normal != "" {
			again, err := NormalTopicPolicy(normal)
			if err != nil || again != normal {
				t.Errorf("%s becomes %s, then %s, %v", s, normal, again, err)
			}
		}
		if p, err := EffectivePolicy("", s); err == nil {
			for n := 1; n <= p.Retry.NumRetries; n++ {
				if d := p.Retry.phases().wait(n); d < 0 || d > time.Hour {
					t.Errorf("%s: retry %d after %v", s, n, d)
				}
			}
		}
		if CheckPolicy(s) == nil {
			top := Topic{Scope: here, Name: "t", Policy: s}
			top.Admits("222222222222", "Publish")
		}
	})
}

func TestAdmits(t *testing.T) {
	const other = "222222222222"
	statement := func(s string) string { return `{"Statement": [` + s + `]}` }
	allow := `{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "SNS:Publish", "Resource": "arn:aws:sns:*:*:t"}`
	for policy, want := range map[string]bool{
		"":               false,
		statement(allow): true,
		statement(`{"Effect": "Allow", "Principal": "*", "Action": ["sns:Pub*"]}`):                                                                  true,
		statement(`{"Effect": "Allow", "Principal": "*", "Action": "sns:Subscribe"}`):                                                               false,
		statement(`{"Effect": "Allow", "Principal": {"AWS": "333333333333"}, "Action": "sns:*"}`):                                                   false,
		statement(`{"Effect": "Allow", "Principal": "*", "Action": "sns:*", "Resource": "arn:aws:sns:eu-west-1:111111111111:other"}`):               false,
		statement(`{"Effect": "Allow", "Principal": "*", "Action": "sns:*", "Condition": {"StringEquals": {"AWS:SourceOwner": "111111111111"}}}`):   false,
		statement(`{"Effect": "Allow", "Principal": "*", "Action": "sns:*", "Condition": {"StringEquals": {"aws:SourceAccount": "222222222222"}}}`): true,
		statement(`{"Effect": "Allow", "Principal": "*", "Action": "sns:*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}`):         false,
		statement(allow + `, {"Effect": "Deny", "Principal": "*", "Action": "*"}`):                                                                  false,
	} {
		top := Topic{Scope: here, Name: "t", Policy: policy}
		if got := top.Admits(other, "Publish"); got != want {
			t.Errorf("%s: %v", policy, got)
		}
		if !top.Admits(here.Account, "Publish") {
			t.Error("the owner is not admitted")
		}
	}
}
