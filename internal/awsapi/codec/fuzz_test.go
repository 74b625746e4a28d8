package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/route53"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// plan returns the plan of an operation's input.
func plan[In any](t testing.TB, name, op string, known ...any) *Plan {
	t.Helper()
	m, err := model.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	c := New(m)
	for _, k := range known {
		c.Know(reflect.TypeOf(k))
	}
	p, err := c.Plan(reflect.TypeFor[In](), m.Op(op).Input)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// blame fails unless err is nil or the caller's fault.
func blame(t *testing.T, err error) {
	var syntax *SyntaxError
	if err != nil && !errors.As(err, &syntax) {
		t.Errorf("a %T: %v", err, err)
	}
}

// again writes what was read in every format and reads it back.
func again(t *testing.T, p *Plan, v reflect.Value) {
	p.Validate(v, nil)
	j := p.AppendJSON(nil, v)
	if !json.Valid(j) {
		t.Fatalf("not JSON: %s", j)
	}
	back := reflect.New(v.Type()).Elem()
	if err := p.DecodeJSON(j, back, nil); err != nil {
		t.Fatalf("%v in our own %s", err, j)
	}
	if j2 := p.AppendJSON(nil, back); !bytes.Equal(j, j2) {
		t.Fatalf("%s becomes %s", j, j2)
	}
	c := p.AppendCBOR(nil, EpochSeconds, v)
	back = reflect.New(v.Type()).Elem()
	if err := p.DecodeCBOR(c, EpochSeconds, back, nil); err != nil {
		t.Fatalf("%v in our own CBOR %x", err, c)
	}
	if c2 := p.AppendCBOR(nil, EpochSeconds, back); !bytes.Equal(c, c2) {
		t.Fatalf("%x becomes %x", c, c2)
	}
	x := append(p.AppendXML([]byte("<r>"), v), "</r>"...)
	back = reflect.New(v.Type()).Elem()
	if err := p.DecodeXML(x, back, nil); err != nil {
		t.Fatalf("%v in our own %s", err, x)
	}
}

func FuzzJSON(f *testing.F) {
	ecsPlan := plan[ecs.RegisterTaskDefinitionInput](f, "ecs", "RegisterTaskDefinition")
	ddb := plan[dynamodb.PutItemInput](f, "dynamodb", "PutItem", &dynamodb.GetItemOutput{})
	for _, s := range []string{
		`{"family":"f","containerDefinitions":[{"name":"a","image":"b","cpu":1,"essential":true,"portMappings":[{"containerPort":80}],"environment":[{"name":"A","value":"é\u00e9\ud83d\ude00"}],"dockerLabels":{"a":"b"}}],"x":[1.5e3,null,{"a":[]}]}`,
		`{"TableName":"t","Item":{"a":{"S":"x"},"b":{"L":[{"N":"1"},{"M":{"c":{"BOOL":true}}}]},"d":{"B":"AAE="}}}`,
		`{"Item":{"a":{"S":"x","N":"1"}}}`, `{"family":null}`, ``, ` {} `, `{"cpu":1`, `{"family":"\`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, p := range []*Plan{ecsPlan, ddb} {
			v := reflect.New(p.root.typ).Elem()
			err := p.DecodeJSON(body, v, &Seen{})
			blame(t, err)
			if err != nil {
				continue
			}
			if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && !json.Valid(body) {
				t.Fatalf("%q is not JSON and was read", body)
			}
			again(t, p, v)
		}
	})
}

func FuzzCBOR(f *testing.F) {
	cw := plan[cloudwatch.PutMetricDataInput](f, "cloudwatch", "PutMetricData")
	alarm := plan[cloudwatch.PutMetricAlarmInput](f, "cloudwatch", "PutMetricAlarm", &cloudwatch.DescribeAlarmsOutput{})
	for _, s := range []string{
		"\xa2iNamespaceanjMetricData\x81\xa3jMetricNameameValue\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00iTimestamp\xc1\x1a\x65\x00\x00\x00",
		"\xbfiNamespace\x7faaab\xff\xff", "\xa1iNamespace\xf6", "\xa0", "\xa1aa\xf9\x7c\x00", "\xa1jMetricData\x9f\xff",
		"\xa1pEvaluationWindow\xa1mSlidingWindow\xa0",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, p := range []*Plan{cw, alarm} {
			v := reflect.New(p.root.typ).Elem()
			err := p.DecodeCBOR(body, EpochSeconds, v, &Seen{})
			blame(t, err)
			if err == nil {
				again(t, p, v)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	lb := plan[elbv2.CreateRuleInput](f, "elbv2", "CreateRule")
	role := plan[iam.CreateRoleInput](f, "iam", "CreateRole")
	for _, s := range []string{
		"Action=CreateRule&Version=2015-12-01&ListenerArn=a&Priority=3&Conditions.member.1.Field=host-header&Conditions.member.1.Values.member.1=a&Actions.member.2.Type=forward&Actions.member.10.Order=1",
		"RoleName=a&Tags.member.1.Key=a&Tags.member.1.Value=b&MaxSessionDuration=3600", "Actions=&Tags=", "Actions.member.1-x=1&Actions.member.1=2&Actions.member.1.Type=x",
		"a.b.c=d&%41=%zz", "Tags.1.Key=a&Tag.1.Key=b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, form string) {
		ps, err := ParseParams(form)
		blame(t, err)
		for _, p := range []*Plan{lb, role} {
			for _, ec2 := range []bool{false, true} {
				v := reflect.New(p.root.typ).Elem()
				err := p.DecodeQuery(ps, ec2, v, &Seen{})
				blame(t, err)
				if err == nil {
					again(t, p, v)
				}
			}
		}
	})
}

func FuzzXML(f *testing.F) {
	p := plan[route53.ChangeResourceRecordSetsInput](f, "route53", "ChangeResourceRecordSets")
	f.Add([]byte(`<?xml version="1.0"?><ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Comment>a&amp;b</Comment><Changes><Change><Action>CREATE</Action><ResourceRecordSet><Name>a.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>1.2.3.4</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>`))
	f.Add([]byte(`<a><ChangeBatch/></a>`))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY a "b">]><a>&a;</a>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v := reflect.New(p.root.typ).Elem()
		err := p.DecodeXML(body, v, &Seen{})
		blame(t, err)
		if err == nil {
			again(t, p, v)
		}
	})
}

func FuzzRESTJSON(f *testing.F) {
	p := plan[lambda.ListFunctionsInput](f, "lambda", "ListFunctions")
	tags := plan[lambda.UntagResourceInput](f, "lambda", "UntagResource")
	f.Add("FunctionVersion=ALL&Marker=m&MaxItems=5", "arn")
	f.Add("tagKeys=a&tagKeys=b&MaxItems=x", "")
	f.Fuzz(func(t *testing.T, query, label string) {
		q, _ := parseQuery(query)
		parts := Parts{Label: func(string) (string, bool) { return label, true }, Query: q}
		for _, p := range []*Plan{p, tags} {
			v := reflect.New(p.root.typ).Elem()
			err := p.DecodeBound(parts, v, &Seen{})
			blame(t, err)
			if err == nil {
				p.Validate(v, nil)
			}
		}
	})
}
