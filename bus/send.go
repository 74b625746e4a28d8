package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/bus/input"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
)

// The codes of dead letters (user guide, "Using dead-letter queues").
const (
	CodeNoPermissions = "NO_PERMISSIONS"
	CodeNoResource    = "NO_RESOURCE"
	CodeClientError   = "SDK_CLIENT_ERROR"
	CodeThrottling    = "THROTTLING"
	CodeTimeout       = "TIMEOUT"
	CodeThirdParty    = "THIRD_ACCOUNT_HOP_DETECTED"
	CodeRemote        = "REMOTE_ERROR"
	CodeInput         = "INVALID_INPUT"
)

// insideConcurrent is how many deliveries to a target of the platform's own are
// under way at a time.
const insideConcurrent = 256

// find returns what a lane stands for.
func (e *Engine) find(lane string) (r Rule, t types.Target, ok bool) {
	ruleARN, id := splitLane(lane)
	key, ok := ruleKey(ruleARN)
	if !ok {
		return r, t, false
	}
	e.cfg.DB.View(func(rd store.Reader) error {
		if r, ok = Rules.Get(rd, key); ok {
			t, ok = r.Target(id)
		}
		return nil
	})
	return r, t, ok
}

// ruleKey is the key of the rule that an ARN names: ParseRuleARN for what is
// asked many thousand times a second.
func ruleKey(ruleARN string) (string, bool) {
	rest, ok := strings.CutPrefix(ruleARN, "arn:aws:events:")
	region, rest, ok1 := strings.Cut(rest, ":")
	account, rest, ok2 := strings.Cut(rest, ":rule/")
	if !ok || !ok1 || !ok2 {
		return "", false
	}
	if strings.IndexByte(rest, '/') < 0 {
		rest = DefaultName + "/" + rest
	}
	return account + "/" + region + "/" + rest, true
}

// policy is delivery.Config.Policy.
func (e *Engine) policy(lane string) (delivery.Policy, bool) {
	p := delivery.EventBridge
	p.Backoff = e.backoff
	if isArchive(lane) {
		s, name, ok := parseArchiveARN(lane)
		e.cfg.DB.View(func(r store.Reader) error { _, ok = Archives.Get(r, s.Key(name)); return nil })
		return p, ok
	}
	if isReplay(lane) {
		ok := false
		e.cfg.DB.View(func(r store.Reader) error { _, ok = replayOf(r, lane); return nil })
		return delivery.Marks, ok
	}
	_, t, ok := e.find(lane)
	if !ok {
		return p, false
	}
	if r := t.RetryPolicy; r != nil {
		if r.MaximumEventAgeInSeconds != nil {
			p.MaxAge = time.Duration(*r.MaximumEventAgeInSeconds) * time.Second
		}
		if r.MaximumRetryAttempts != nil {
			p.MaxRetries = int(*r.MaximumRetryAttempts)
		}
	}
	if strings.Contains(*t.Arn, ":api-destination/") {
		e.pace(&p, *t.Arn)
	} else if !strings.HasPrefix(*t.Arn, "arn:aws:lambda:") {
		p.Concurrent = insideConcurrent // syncs of the journal are shared
	}
	return p, true
}

// send is delivery.Config.Send.
func (e *Engine) send(ctx context.Context, m delivery.Message) error {
	if isReplay(m.Lane) {
		return e.sendMark(ctx, m)
	}
	v, err := decode(m.Body)
	if err != nil {
		return &delivery.Error{Permanent: true, Err: err}
	}
	if isArchive(m.Lane) {
		return e.archiveEvent(ctx, m.Lane, v.ingested, v.event)
	}
	r, t, ok := e.find(m.Lane)
	if !ok {
		return &delivery.Error{Permanent: true, Code: CodeNoResource, Err: errors.New("the target was removed from its rule")}
	}
	in, err := specOf(t).Apply(input.Event{JSON: v.event, RuleARN: r.ARN(), RuleName: r.Name, Ingested: v.ingested})
	if err != nil {
		return &delivery.Error{Permanent: true, Code: CodeInput, Err: err}
	}
	if t, err = dynamic(t, v.event); err != nil {
		return &delivery.Error{Permanent: true, Code: CodeInput, Err: err}
	}
	d := Delivery{Scope: r.Scope, RuleARN: r.ARN(), Target: t, Input: in, Event: v.event, Attempts: m.Attempts, Hops: v.hops, Trace: v.trace}
	d.EventID, d.Time = head(v.event)
	target, err := e.targetOf(*t.Arn)
	if err != nil {
		return &delivery.Error{Permanent: true, Code: CodeNoResource, Err: err}
	}
	return target.Send(ctx, d)
}

// head returns an event's id and time. Those that Render writes have them at
// known places.
func head(event []byte) (id string, at time.Time) {
	var h struct {
		ID   string    `json:"id"`
		Time time.Time `json:"time"`
	}
	const before, within = `{"version":"0","id":"`, `,"time":"`
	if rest, ok := bytes.CutPrefix(event, []byte(before)); ok {
		// Within a string the quotes would be escaped.
		id, _, ok1 := bytes.Cut(rest, []byte(`"`))
		_, rest, ok2 := bytes.Cut(rest, []byte(within))
		text, _, ok3 := bytes.Cut(rest, []byte(`"`))
		if at, err := time.Parse(time.RFC3339, string(text)); ok1 && ok2 && ok3 && err == nil && bytes.IndexByte(id, '\\') < 0 {
			return string(id), at
		}
	}
	if err := json.Unmarshal(event, &h); err != nil {
		return "", at
	}
	return h.ID, h.Time
}

// specOf is what a target says of its input.
func specOf(t types.Target) input.Spec {
	s := input.Spec{Constant: t.Input, Path: t.InputPath}
	if t.InputTransformer != nil {
		s.Template, s.Paths = t.InputTransformer.InputTemplate, t.InputTransformer.InputPathsMap
	}
	return s
}

// CheckInput says, in AWS's words where they are known, what is wrong with the
// input of a target.
func (*Engine) CheckInput(t types.Target) error { return specOf(t).Check(*t.Id) }

// CheckTarget says in words why a target of the scope's rules cannot be served.
func (e *Engine) CheckTarget(s cluster.Scope, t types.Target) error {
	target, err := e.targetOf(*t.Arn)
	if err != nil {
		return err
	}
	return target.Check(s, t)
}

// targetOf returns the kind of a target.
func (e *Engine) targetOf(s string) (Target, error) {
	a, err := arn.Parse(s)
	if err != nil {
		return nil, err
	}
	switch kind, _ := a.Type(); a.Service + ":" + kind {
	case "events:event-bus":
		return busTarget{e}, nil
	case "events:api-destination":
		return destinationTarget{e}, nil
	case "lambda:function":
		return functionTarget{e}, nil
	}
	if t := e.cfg.Targets[a.Service]; t != nil && a.Service != "events" {
		return t, nil
	}
	return nil, errors.New("targets of " + a.Service + " are not served: " + s)
}

// bury is delivery.Config.Dead: it sends what was given up to the target's
// dead-letter queue, with AWS's attributes.
func (e *Engine) bury(ctx context.Context, m delivery.Message, f delivery.Failure) error {
	if isReplay(m.Lane) {
		e.log.Warn("how far a replay is was not noted: should it be cut short, some events come again", "replay", m.Lane, "err", f.Message)
		return nil
	}
	r, t, ok := e.find(m.Lane)
	v, err := decode(m.Body)
	if !ok || err != nil {
		e.log.Warn("an event is lost: its archive, or its rule's target, does not take it", "lane", m.Lane, "err", f.Message)
		return nil
	}
	if t.DeadLetterConfig == nil || t.DeadLetterConfig.Arn == nil {
		e.log.Warn("an event was given up, its target has no dead-letter queue", "rule", r.ARN(), "target", *t.Arn, "retries", f.Retries, "err", f.Message)
		return nil
	}
	if e.cfg.DeadLetter == nil {
		return delivery.Permanent(CodeNoResource, "there are no queues")
	}
	attributes := map[string]string{"RULE_ARN": r.ARN(), "TARGET_ARN": *t.Arn, "ERROR_CODE": f.Code, "ERROR_MESSAGE": f.Message, "RETRY_ATTEMPTS": strconv.Itoa(f.Retries)}
	if f.Exhausted != "" {
		attributes["EXHAUSTED_RETRY_CONDITION"] = f.Exhausted
	}
	if f.Code == "" {
		attributes["ERROR_CODE"] = CodeRemote
	}
	return e.cfg.DeadLetter(ctx, *t.DeadLetterConfig.Arn, v.event, attributes)
}
