package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const (
	queueARN = "arn:aws:sqs:eu-west-1:111111111111:q"
	session  = "arn:aws:sts::222222222222:assumed-role/worker/s1"
)

// ask is a request of an account's role, to send to a queue.
func ask() Request {
	return Request{Account: "222222222222", Principal: session, Action: "sqs:SendMessage", Resource: queueARN,
		Facts: map[string][]string{"aws:sourceip": {"10.1.2.3"}, "aws:sourcearn": {"arn:aws:sns:eu-west-1:111111111111:t"}, "aws:tagkeys": {"a", "b"},
			"aws:multifactorauthage": {"300"}, "aws:currenttime": {"2026-03-01T00:00:00Z"}, "aws:securetransport": {"true"}, "aws:star": {"a*b"}}}
}

func TestDecide(t *testing.T) {
	service := ask()
	service.Account, service.Principal, service.Service = "", "", "sns.amazonaws.com"
	account := ask()
	account.Principal = ""
	for _, c := range []struct {
		what      string
		request   Request
		statement string // without Effect
		want      bool   // it is about the request
	}{
		{"everyone", ask(), `"Principal":"*","Action":"*"`, true},
		{"AWS everyone", ask(), `"Principal":{"AWS":"*"},"Action":"*"`, true},
		{"an account by number", ask(), `"Principal":{"AWS":["333333333333","222222222222"]},"Action":"*"`, true},
		{"an account by its root", ask(), `"Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"*"`, true},
		{"another account", ask(), `"Principal":{"AWS":"333333333333"},"Action":"*"`, false},
		{"the session", ask(), `"Principal":{"AWS":"` + session + `"},"Action":"*"`, true},
		{"its role", ask(), `"Principal":{"AWS":"arn:aws:iam::222222222222:role/worker"},"Action":"*"`, true},
		{"another role", ask(), `"Principal":{"AWS":"arn:aws:iam::222222222222:role/boss"},"Action":"*"`, false},
		{"any principal of a known account", account, `"Principal":{"AWS":"arn:aws:iam::222222222222:role/boss"},"Action":"*"`, true},
		{"a service for an account", ask(), `"Principal":{"Service":"sns.amazonaws.com"},"Action":"*"`, false},
		{"a service", service, `"Principal":{"Service":["sns.amazonaws.com"]},"Action":"*"`, true},
		{"another service", service, `"Principal":{"Service":"events.amazonaws.com"},"Action":"*"`, false},
		{"an account for a service", service, `"Principal":{"AWS":"222222222222"},"Action":"*"`, false},
		{"AWS everyone for a service", service, `"Principal":{"AWS":"*"},"Action":"*"`, true},
		{"not a principal", ask(), `"NotPrincipal":{"AWS":"333333333333"},"Action":"*"`, true},
		{"not this principal", ask(), `"NotPrincipal":{"AWS":"222222222222"},"Action":"*"`, false},
		{"action in any case", ask(), `"Principal":"*","Action":"SQS:sendm*"`, true},
		{"another action", ask(), `"Principal":"*","Action":["sqs:ReceiveMessage"]`, false},
		{"not an action", ask(), `"Principal":"*","NotAction":"sqs:ReceiveMessage"`, true},
		{"not this action", ask(), `"Principal":"*","NotAction":"sqs:*"`, false},
		{"the resource", ask(), `"Principal":"*","Action":"*","Resource":"arn:aws:sqs:*:*:?"`, true},
		{"another resource", ask(), `"Principal":"*","Action":"*","Resource":"arn:aws:sqs:*:*:q2"`, false},
		{"not this resource", ask(), `"Principal":"*","Action":"*","NotResource":"arn:aws:sqs:*"`, false},
		{"a variable", ask(), `"Principal":"*","Action":"*","Resource":"arn:aws:sqs:eu-west-1:111111111111:q${aws:None, ''}"`, true},
		{"an unknown variable", ask(), `"Principal":"*","Action":"*","Resource":"arn:aws:sqs:*${aws:None}*"`, false},
	} {
		for _, effect := range []string{"Allow", "Deny"} {
			d, err := Parse(`{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `",` + c.statement + `}}`)
			if err != nil {
				t.Fatal(c.what, err)
			}
			want := map[string]Decision{"Allow": Allow, "Deny": Deny}[effect]
			if !c.want {
				want = Silent
			}
			if got := d.Decide(c.request); got != want {
				t.Errorf("%s: %d, not %d", c.what, got, want)
			}
		}
	}
}

func TestDenyWins(t *testing.T) {
	d, err := Parse(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*"},{"Effect":"Deny","Principal":{"AWS":"222222222222"},"Action":"*"},{"Effect":"Allow","Principal":"*","Action":"*"}]}`)
	if err != nil || d.Decide(ask()) != Deny {
		t.Error(err)
	}
}

func TestConditions(t *testing.T) {
	for condition, want := range map[string]bool{
		`{"StringEquals":{"aws:PrincipalAccount":["1","222222222222"]}}`:                        true,
		`{"StringEquals":{"AWS:PRINCIPALACCOUNT":"1"}}`:                                         false,
		`{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::222222222222:role/worker"}}`:         true,
		`{"StringEquals":{"aws:PrincipalOrgID":"o"}}`:                                           false,
		`{"StringNotEquals":{"aws:PrincipalOrgID":"o"}}`:                                        true,
		`{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o"}}`:                                   true,
		`{"Null":{"aws:PrincipalOrgID":"true"}}`:                                                true,
		`{"Null":{"aws:PrincipalOrgID":false}}`:                                                 false,
		`{"Null":{"aws:SourceIp":"false"}}`:                                                     true,
		`{"StringNotLike":{"aws:PrincipalAccount":["1*","2*"]}}`:                                false,
		`{"StringEqualsIgnoreCase":{"aws:SecureTransport":"TRUE"}}`:                             true,
		`{"Bool":{"aws:SecureTransport":true}}`:                                                 true,
		`{"Bool":{"aws:SecureTransport":"false"}}`:                                              false,
		`{"IpAddress":{"aws:SourceIp":["192.168.0.0/16","10.0.0.0/8"]}}`:                        true,
		`{"IpAddress":{"aws:SourceIp":"10.1.2.3"}}`:                                             true,
		`{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`:                                        false,
		`{"NumericLessThan":{"aws:MultiFactorAuthAge":301}}`:                                    true,
		`{"NumericGreaterThanEquals":{"aws:MultiFactorAuthAge":"301"}}`:                         false,
		`{"NumericNotEquals":{"aws:MultiFactorAuthAge":"300.0"}}`:                               false,
		`{"DateGreaterThan":{"aws:CurrentTime":"2026-02-28"}}`:                                  true,
		`{"DateLessThan":{"aws:CurrentTime":"1700000000"}}`:                                     false,
		`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:111111111111:*"}}`:                          true,
		`{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:*"}}`:                                       false,
		`{"ArnNotEquals":{"aws:SourceArn":"arn:aws:sns:eu-west-1:111111111111:t"}}`:             false,
		`{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}}`:                           true,
		`{"ForAllValues:StringEquals":{"aws:TagKeys":"a"}}`:                                     false,
		`{"ForAllValues:StringEquals":{"aws:None":"a"}}`:                                        true,
		`{"ForAnyValue:StringEquals":{"aws:TagKeys":"b"}}`:                                      true,
		`{"ForAnyValue:StringEquals":{"aws:None":"b"}}`:                                         false,
		`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":"b"}}`:                                   true,
		`{"ForAllValues:StringNotEquals":{"aws:TagKeys":"b"}}`:                                  false,
		`{"StringEquals":{"aws:SourceIp":"10.1.2.3"},"StringLike":{"aws:SourceArn":"*:other"}}`: false,
		`{"StringEquals":{"aws:SourceIp":"10.1.2.3","aws:PrincipalAccount":"222222222222"}}`:    true,
		`{"StringLike":{"aws:SourceArn":"arn:*:t"}}`:                                            true,
		`{"StringLike":{"aws:Star":"${aws:Star}"}}`:                                             true,
		`{"StringLike":{"aws:Star":"a${*}?"}}`:                                                  true,
		`{"StringLike":{"aws:PrincipalAccount":"22222222222${?}"}}`:                             false,
		`{"StringEquals":{"aws:Star":"a${*}b"}}`:                                                true,
		`{"BinaryEquals":{"aws:Star":"YQ=="}}`:                                                  false,
		`{"StringEquals":{"aws:PrincipalIsAWSService":"false"}}`:                                true,
		`{"StringLike":{"aws:SourceIp":"${aws:SourceIp"}}`:                                      false,
	} {
		d, err := Parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Condition":` + condition + `}]}`)
		if err != nil {
			t.Fatal(condition, err)
		}
		if got := d.Decide(ask()) == Allow; got != want {
			t.Errorf("%s: %v", condition, got)
		}
	}
}

func TestRefused(t *testing.T) {
	good := `"Effect":"Allow","Principal":"*","Action":"*"`
	for text, want := range map[string]string{
		``:                                  "not JSON",
		`{}`:                                "no Statement",
		`{"Version":"1","Statement":[]}`:    "Version is",
		`{"Statement":[{` + good + `}]} {}`: "not JSON",
		`{"Statement":[{` + good + `,"Sids":"x"}]}`:                                   "Sids",
		`{"Statement":[{"Effect":"Perhaps","Principal":"*","Action":"*"}]}`:           `Allow or Deny, not "Perhaps"`,
		`{"Statement":[{` + good + `},{"Effect":"Allow","Action":"*"}]}`:              "statement 2: it needs a Principal",
		`{"Statement":[{"Effect":"Allow","Principal":"*"}]}`:                          "it needs an Action",
		`{"Statement":[{"Effect":"Allow","Principal":"1","Action":"*"}]}`:             `principal "1"`,
		`{"Statement":[{"Effect":"Allow","Principal":{"Any":"1"},"Action":"*"}]}`:     `kind "Any"`,
		`{"Statement":[{` + good + `,"Action":{"a":1}}]}`:                             "is not a string",
		`{"Statement":[{` + good + `,"NotAction":"*"}]}`:                              "it needs an Action",
		`{"Statement":[{` + good + `,"Condition":{"StringIs":{"a":"b"}}}]}`:           `no condition operator "StringIs"`,
		`{"Statement":[{` + good + `,"Condition":{"StringEquals":{"a":[]}}}]}`:        "has no values",
		`{"Statement":[{` + good + `,"Resource":"*","NotResource":"arn:aws:s3:::"}]}`: "both",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", text, err, want)
		}
	}
}

func TestLike(t *testing.T) {
	long := strings.Repeat("a", 10_000)
	start := time.Now()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"?", "", false}, {"a*b?c", "axxbyc", true}, {"a*b?c", "axxbc", false}, {"a/*", "a/b/c", true},
		{"[a]", "a", false}, {"**a", "bca", true}, {strings.Repeat("*a", 50) + "b", long, false},
	} {
		if got := Like(c.pattern, c.s); got != c.want {
			t.Errorf("Like(%.20q, %.20q) is %v", c.pattern, c.s, got)
		}
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("a pattern of many stars took %v", d)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["1"]},"Action":"*","Resource":"*","Condition":{"StringLike":{"aws:x":"${aws:y,'z'}*"}}}]}`)
	f.Add(`{"Id":"i","Statement":{"Effect":"Deny","NotPrincipal":"*","NotAction":["kinesis:*"],"NotResource":["*"]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil || len(d.Statement) == 0 {
			return
		}
		again, err := Parse(d.Text())
		if err != nil {
			t.Fatalf("%s becomes %s: %v", text, d.Text(), err)
		}
		if d.Decide(ask()) != again.Decide(ask()) {
			t.Errorf("%s and %s decide differently", text, d.Text())
		}
		a, _ := json.Marshal(d)
		if b, _ := json.Marshal(again); string(a) != string(b) {
			t.Errorf("%s becomes %s", a, b)
		}
	})
}

// TestIdentity has policies of a role, which name no principal, decide together.
func TestIdentity(t *testing.T) {
	good := `"Effect":"Allow","Action":"sqs:*","Resource":"*"`
	for text, want := range map[string]string{
		`{"Statement":[{` + good + `}]}`:                                      "",
		`{"Statement":{"Effect":"Deny","NotAction":"*","NotResource":"*"}}`:   "",
		`{"Statement":[{` + good + `,"Principal":"*"}]}`:                      "it has a Principal",
		`{"Statement":[{` + good + `,"NotPrincipal":{"AWS":"1"}}]}`:           "it has a Principal",
		`{"Statement":[{` + good + `},{"Effect":"Allow","Action":"*"}]}`:      "statement 2: it needs a Resource",
		`{"Statement":[{"Effect":"Allow","Resource":"*"}]}`:                   "it needs an Action",
		`{"Statement":[{` + good + `,"Condition":{"StringIs":{"a":["b"]}}}]}`: `no condition operator "StringIs"`,
		`{"Statement":[{` + good + `,"NotResource":"arn:aws:sqs:::q"}]}`:      "both",
		`{"Version":"2013-10-17","Statement":[{` + good + `}]}`:               "Version is",
	} {
		_, err := ParseIdentity(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, not %q", text, err, want)
		}
	}
	read := func(statement string) Document {
		d, err := ParseIdentity(`{"Version":"2012-10-17","Statement":[` + statement + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	own := read(`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:*:${aws:PrincipalAccount}:q"}`)
	any := read(`{` + good + `}`)
	never := read(`{"Effect":"Deny","Action":"*","Resource":"` + queueARN + `"}`)
	for _, c := range []struct {
		what string
		docs Documents
		want Decision
	}{
		{"none", nil, Silent},
		{"another's queue", Documents{own}, Silent},
		{"any queue", Documents{own, any}, Allow},
		{"denied first", Documents{never, any}, Deny},
		{"denied last", Documents{any, never, own}, Deny},
	} {
		if got := c.docs.Decide(ask()); got != c.want {
			t.Errorf("%s: %d, not %d", c.what, got, c.want)
		}
	}
}
