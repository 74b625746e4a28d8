package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
)

// maxHops is how many buses an event may pass: rules that send it in a circle
// end here.
const maxHops = 16

// busTarget is another bus.
type busTarget struct{ e *Engine }

// Check implements Target.
func (busTarget) Check(_ cluster.Scope, t types.Target) error {
	if _, _, ok := ParseBusARN(*t.Arn); !ok {
		return fmt.Errorf("%s is not the ARN of a bus", *t.Arn)
	}
	return nil
}

// Send implements Target: the bus gets the event as it is, whatever its input
// says; within the region it keeps its id.
func (b busTarget) Send(ctx context.Context, d Delivery) error {
	to, name, ok := ParseBusARN(*d.Target.Arn)
	if !ok {
		return delivery.Permanent(CodeNoResource, "%s is not the ARN of a bus", *d.Target.Arn)
	}
	if d.Hops+1 >= maxHops {
		return delivery.Permanent(CodeThirdParty, "the event passed %d buses already: rules send it in a circle", d.Hops+1)
	}
	var head struct {
		Account, Source string
		DetailType      string `json:"detail-type"`
	}
	if err := json.Unmarshal(d.Event, &head); err != nil {
		return &delivery.Error{Permanent: true, Code: CodeInput, Err: err}
	}
	if head.Account != d.Account && to.Account != d.Account {
		return delivery.Permanent(CodeThirdParty, "the event came from account %s: it is not sent on to a third one", head.Account)
	}
	var bus Bus
	b.e.cfg.DB.View(func(r store.Reader) error { bus, ok = FindBus(r, to, name); return nil })
	if !ok {
		return delivery.Permanent(CodeNoResource, "Event bus %s does not exist.", name)
	}
	if !bus.Admits(d.Account, head.Source, head.DetailType) {
		return delivery.Permanent(CodeNoPermissions, "the policy of %s does not let account %s put events", *d.Target.Arn, d.Account)
	}
	if admit := b.e.cfg.Admit; admit != nil {
		if taken, err := admit(ctx, &bus, d.Event, d.RuleARN); !taken {
			return err
		}
	}
	ev := Event{Bus: to, Name: name, JSON: d.Event, Ingested: now(), Hops: d.Hops + 1, Trace: d.Trace}
	if to.Region != d.Region {
		ev.JSON = bytes.Replace(d.Event, []byte(`"id":"`+d.EventID+`"`), []byte(`"id":"`+cluster.NewUUID()+`"`), 1)
	}
	return b.e.Put(ctx, ev)
}

// functionTarget is a function: a URL that takes the input.
type functionTarget struct{ e *Engine }

// Check implements Target. Functions have no policies that would let other
// accounts call them.
func (functionTarget) Check(s cluster.Scope, t types.Target) error {
	key, err := functionKey(*t.Arn)
	if err == nil && !strings.HasPrefix(key, s.Prefix()) {
		err = fmt.Errorf("the function %s is not of the rule's account and region", *t.Arn)
	}
	return err
}

// functionKey is the key of the function that an ARN names, with or without a
// version or alias.
func functionKey(s string) (string, error) {
	a, err := arn.Parse(s)
	if err != nil {
		return "", err
	}
	_, rest := a.Type()
	name, _, _ := strings.Cut(rest, ":")
	if name == "" {
		return "", fmt.Errorf("%s names no function", s)
	}
	return cluster.Scope{Account: a.Account, Region: a.Region}.Key(name), nil
}

// Send implements Target.
func (f functionTarget) Send(ctx context.Context, d Delivery) error {
	key, err := functionKey(*d.Target.Arn)
	if err != nil {
		return &delivery.Error{Permanent: true, Code: CodeNoResource, Err: err}
	}
	var fn Function
	var ok bool
	f.e.cfg.DB.View(func(r store.Reader) error { fn, ok = Functions.Get(r, key); return nil })
	if !ok {
		return delivery.Permanent(CodeNoResource, "there is no function %s: dhow function set NAME URL says what stands for it", *d.Target.Arn)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fn.URL, bytes.NewReader(d.Input))
	if err != nil {
		return &delivery.Error{Permanent: true, Code: CodeClientError, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Amz-Invocation-Type", "Event")
	setTrace(req, d)
	return f.e.call(req)
}

// CheckFunctionURL says what is wrong with a function's URL.
func CheckFunctionURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("a function's URL begins with http:// or https:// and a host")
	}
	return nil
}
