package topic

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
)

// phases is how often and when a delivery is tried again ("Amazon SNS message
// delivery retries"): at once, then Least apart, then backing off from Least to
// Most, then Most apart.
type phases struct {
	Immediate, Before, Backoff, After int
	Least, Most                       time.Duration
	Function                          string
}

// The phases of the protocols whose policy AWS sets.
var (
	managed = phases{Immediate: 3, Before: 2, Backoff: 10, After: 100_000, Least: time.Second, Most: 20 * time.Second, Function: "exponential"}
	outside = phases{Before: 2, Backoff: 10, After: 38, Least: 10 * time.Second, Most: 600 * time.Second, Function: "exponential"}
)

func (p phases) retries() int { return p.Immediate + p.Before + p.Backoff + p.After }

// wait is the wait before retry n, 1 for the first, without jitter.
func (p phases) wait(n int) time.Duration {
	switch {
	case n <= p.Immediate:
		return 0
	case n <= p.Immediate+p.Before:
		return p.Least
	case n > p.Immediate+p.Before+p.Backoff:
		return p.Most
	}
	return p.curve(n-p.Immediate-p.Before, p.Backoff)
}

// curve is the wait before retry i of n of the backoff phase.
func (p phases) curve(i, n int) time.Duration {
	if n < 2 {
		return p.Least
	}
	x := float64(i-1) / float64(n-1) // 0 to 1
	least, span := float64(p.Least), float64(p.Most-p.Least)
	switch p.Function {
	case "exponential":
		x = (math.Exp2(float64(i-1)) - 1) / (math.Exp2(float64(n-1)) - 1)
	case "geometric":
		if least > 0 {
			return time.Duration(least * math.Pow(float64(p.Most)/least, x))
		}
	case "arithmetic":
		x = float64(i*(i-1)) / float64(n*(n-1))
	}
	return time.Duration(least + span*x)
}

// total is the time that all retries take.
func (p phases) total() (d time.Duration) {
	for n := 1; n <= p.retries(); n++ {
		d += p.wait(n)
	}
	return d
}

// jitter shortens a wait by up to a tenth.
func (p phases) backoff(n int, chance float64) time.Duration {
	d := p.wait(n)
	return d - time.Duration(chance*float64(d)/10)
}

func (p phases) policy(age time.Duration) delivery.Policy {
	return delivery.Policy{MaxAge: age, MaxRetries: p.retries(), Backoff: p.backoff}
}

// HTTPPolicy is what an HTTP endpoint's delivery policy says.
type HTTPPolicy struct {
	Retry       RetryPolicy
	PerSecond   int    // 0 is not limited
	ContentType string // "" is the default
}

// RetryPolicy is a healthyRetryPolicy; times are seconds.
type RetryPolicy struct {
	MinDelayTarget     int    `json:"minDelayTarget"`
	MaxDelayTarget     int    `json:"maxDelayTarget"`
	NumRetries         int    `json:"numRetries"`
	NumMaxDelayRetries int    `json:"numMaxDelayRetries"`
	NumNoDelayRetries  int    `json:"numNoDelayRetries"`
	NumMinDelayRetries int    `json:"numMinDelayRetries"`
	BackoffFunction    string `json:"backoffFunction"`
}

func defaultRetry() RetryPolicy {
	return RetryPolicy{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3, BackoffFunction: "linear"}
}

func (r RetryPolicy) phases() phases {
	return phases{Immediate: r.NumNoDelayRetries, Before: r.NumMinDelayRetries, After: r.NumMaxDelayRetries,
		Backoff: max(0, r.NumRetries-r.NumNoDelayRetries-r.NumMinDelayRetries-r.NumMaxDelayRetries),
		Least:   time.Duration(r.MinDelayTarget) * time.Second, Most: time.Duration(r.MaxDelayTarget) * time.Second, Function: r.BackoffFunction}
}

// check says what is wrong with a retry policy ("Creating an HTTP/S delivery
// policy" in the developer guide).
func (r RetryPolicy) check() error {
	phased := r.NumNoDelayRetries + r.NumMinDelayRetries + r.NumMaxDelayRetries
	switch {
	case r.NumRetries < 0 || r.NumRetries > 100:
		return fmt.Errorf("numRetries must be between 0 and 100")
	case r.MinDelayTarget < 1 || r.MinDelayTarget > 3600:
		return fmt.Errorf("minDelayTarget must be between 1 and 3600")
	case r.MaxDelayTarget < r.MinDelayTarget || r.MaxDelayTarget > 3600:
		return fmt.Errorf("maxDelayTarget must be between minDelayTarget and 3600")
	case r.NumNoDelayRetries < 0 || r.NumMinDelayRetries < 0 || r.NumMaxDelayRetries < 0:
		return fmt.Errorf("numbers of retries must not be negative")
	case phased > r.NumRetries:
		return fmt.Errorf("numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries are more than numRetries together")
	case r.phases().total() > time.Hour:
		return fmt.Errorf("the total time of all retries must not exceed 3600 seconds")
	}
	switch r.BackoffFunction {
	case "linear", "arithmetic", "geometric", "exponential":
		return nil
	}
	return fmt.Errorf("backoffFunction must be linear, arithmetic, geometric or exponential")
}

// headerTypes are the Content-Types that a requestPolicy may ask for.
var headerTypes = []string{"application/csv", "application/json", "application/octet-stream", "application/pdf", "application/soap+xml", "application/vnd.api+json",
	"application/x-www-form-urlencoded", "application/xml", "application/atom+xml", "application/msgpack", "application/graphql", "multipart/form-data",
	"text/css", "text/csv", "text/html", "text/plain", "text/xml"}

const defaultType = "text/plain; charset=UTF-8"

func checkType(s string) error {
	base, _, _ := strings.Cut(s, ";")
	for _, t := range headerTypes {
		if strings.EqualFold(strings.TrimSpace(base), t) {
			return nil
		}
	}
	return fmt.Errorf("headerContentType %q is not supported", s)
}

type throttle struct {
	MaxReceivesPerSecond *int `json:"maxReceivesPerSecond,omitempty"`
}

type request struct {
	HeaderContentType *string `json:"headerContentType,omitempty"`
}

// topicPolicy is a topic's DeliveryPolicy. Members keep the order in which AWS
// shows them.
type topicPolicy struct {
	HTTP struct {
		Retry    json.RawMessage `json:"defaultHealthyRetryPolicy,omitempty"`
		Disable  bool            `json:"disableSubscriptionOverrides"`
		Throttle *throttle       `json:"defaultThrottlePolicy,omitempty"`
		Request  *request        `json:"defaultRequestPolicy,omitempty"`
	} `json:"http"`
}

// subscriptionPolicy is a subscription's DeliveryPolicy.
type subscriptionPolicy struct {
	Retry      json.RawMessage `json:"healthyRetryPolicy,omitempty"`
	Sicklier   json.RawMessage `json:"sicklyRetryPolicy,omitempty"`
	Throttle   *throttle       `json:"throttlePolicy,omitempty"`
	Request    *request        `json:"requestPolicy,omitempty"`
	Guaranteed *bool           `json:"guaranteed,omitempty"`
}

func strict(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("failed to parse JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// retryOf reads a retry policy over the one that holds without it.
func retryOf(raw json.RawMessage, base RetryPolicy) (RetryPolicy, error) {
	if isNull(raw) {
		return base, nil
	}
	r := defaultRetry()
	if err := strict(string(raw), &r); err != nil {
		return r, err
	}
	return r, r.check()
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func (t *throttle) over(p *HTTPPolicy) error {
	if t == nil || t.MaxReceivesPerSecond == nil {
		return nil
	}
	if *t.MaxReceivesPerSecond < 1 {
		return fmt.Errorf("maxReceivesPerSecond must be at least 1")
	}
	p.PerSecond = *t.MaxReceivesPerSecond
	return nil
}

func (r *request) over(p *HTTPPolicy) error {
	if r == nil || r.HeaderContentType == nil {
		return nil
	}
	p.ContentType = *r.HeaderContentType
	return checkType(p.ContentType)
}

// NormalTopicPolicy checks a topic's DeliveryPolicy and returns it as it is
// shown; "" for one that is empty.
func NormalTopicPolicy(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	var p topicPolicy
	if err := strict(text, &p); err != nil {
		return "", err
	}
	if _, _, err := p.read(); err != nil {
		return "", err
	}
	if isNull(p.HTTP.Retry) {
		p.HTTP.Retry = nil
	}
	if r := p.HTTP.Request; r != nil && r.HeaderContentType == nil {
		p.HTTP.Request = nil
	}
	if t := p.HTTP.Throttle; t != nil && t.MaxReceivesPerSecond == nil {
		p.HTTP.Throttle = nil
	}
	return string(marshal(p)), nil
}

func (p *topicPolicy) read() (out HTTPPolicy, disable bool, err error) {
	if out.Retry, err = retryOf(p.HTTP.Retry, defaultRetry()); err != nil {
		return out, false, err
	}
	if err := p.HTTP.Throttle.over(&out); err != nil {
		return out, false, err
	}
	return out, p.HTTP.Disable, p.HTTP.Request.over(&out)
}

func readTopicPolicy(text string) (HTTPPolicy, bool, error) {
	var p topicPolicy
	if text != "" {
		if err := strict(text, &p); err != nil {
			return HTTPPolicy{Retry: defaultRetry()}, false, err
		}
	}
	return p.read()
}

// EffectivePolicy is the http policy that holds for a subscription of a topic,
// by their DeliveryPolicy attributes. Its error says what is wrong with the
// subscription's.
func EffectivePolicy(topic, subscription string) (HTTPPolicy, error) {
	out, disable, err := readTopicPolicy(topic)
	if err != nil {
		out = HTTPPolicy{Retry: defaultRetry()} // not to be: it was checked
	}
	if subscription == "" {
		return out, nil
	}
	own := out
	var p subscriptionPolicy
	if err := strict(subscription, &p); err != nil {
		return out, err
	}
	if own.Retry, err = retryOf(p.Retry, out.Retry); err != nil {
		return out, err
	}
	switch {
	case !isNull(p.Sicklier):
		return out, fmt.Errorf("sicklyRetryPolicy is not served")
	case p.Guaranteed != nil && *p.Guaranteed:
		return out, fmt.Errorf("guaranteed is not served")
	}
	if err := p.Throttle.over(&own); err != nil {
		return out, err
	}
	if err := p.Request.over(&own); err != nil {
		return out, err
	}
	if disable {
		return out, nil
	}
	return own, nil
}

// EffectiveTopicText is a topic's EffectiveDeliveryPolicy.
func EffectiveTopicText(text string) string {
	p, disable, err := readTopicPolicy(text)
	if err != nil {
		p = HTTPPolicy{Retry: defaultRetry()}
	}
	type effective struct {
		Retry    RetryPolicy `json:"defaultHealthyRetryPolicy"`
		Disable  bool        `json:"disableSubscriptionOverrides"`
		Throttle *throttle   `json:"defaultThrottlePolicy,omitempty"`
		Request  *request    `json:"defaultRequestPolicy"`
	}
	return string(marshal(struct {
		HTTP effective `json:"http"`
	}{effective{p.Retry, disable, p.throttle(), p.request()}}))
}

// Text is the policy as a subscription's EffectiveDeliveryPolicy.
func (p HTTPPolicy) Text() string {
	return string(marshal(struct {
		Retry      RetryPolicy     `json:"healthyRetryPolicy"`
		Sicklier   json.RawMessage `json:"sicklyRetryPolicy"`
		Throttle   *throttle       `json:"throttlePolicy"`
		Request    *request        `json:"requestPolicy"`
		Guaranteed bool            `json:"guaranteed"`
	}{p.Retry, json.RawMessage("null"), p.throttle(), p.request(), false}))
}

func (p HTTPPolicy) throttle() *throttle {
	if p.PerSecond == 0 {
		return nil
	}
	return &throttle{&p.PerSecond}
}

func (p HTTPPolicy) request() *request {
	t := p.ContentType
	if t == "" {
		t = defaultType
	}
	return &request{&t}
}

// httpAge is how long a message waits for an HTTP endpoint at most: the retries
// take an hour, a throttled endpoint's line takes longer.
const httpAge = 24 * time.Hour

func (p HTTPPolicy) policy() delivery.Policy {
	d := p.Retry.phases().policy(httpAge)
	d.PerSecond = float64(p.PerSecond)
	d.Timeout = httpTimeout
	return d
}
