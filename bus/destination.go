package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// destinationTarget is an API destination.
type destinationTarget struct{ e *Engine }

// Check implements Target.
func (t destinationTarget) Check(s cluster.Scope, target types.Target) error {
	of, _, ok := resource(*target.Arn, "api-destination")
	switch {
	case !ok:
		return fmt.Errorf("%s is not the ARN of an API destination", *target.Arn)
	case of != s:
		return fmt.Errorf("the API destination %s is not of the rule's account and region", *target.Arn)
	}
	return nil
}

// pace holds the lane of an API destination to its rate. Its attempts may wait
// for others of the same destination.
func (e *Engine) pace(p *delivery.Policy, target string) {
	var d Destination
	var ok bool
	e.cfg.DB.View(func(r store.Reader) error { d, ok = FindDestination(r, target); return nil })
	if !ok {
		return
	}
	p.PerSecond = float64(d.Rate)
	p.Concurrent = min(64, max(1, int(math.Ceil(p.PerSecond))))
	p.Timeout = 5 * time.Minute
}

// Send implements Target.
func (t destinationTarget) Send(ctx context.Context, d Delivery) error {
	var dest Destination
	var c Connection
	var ok, authorized bool
	t.e.cfg.DB.View(func(r store.Reader) error {
		if dest, ok = FindDestination(r, *d.Target.Arn); ok {
			c, authorized = FindConnection(r, dest.ConnectionARN)
		}
		return nil
	})
	switch {
	case !ok:
		return delivery.Permanent(CodeNoResource, "there is no API destination %s", *d.Target.Arn)
	case !authorized || c.State == types.ConnectionStateDeauthorized || c.State == types.ConnectionStateDeauthorizing:
		return delivery.Retryable(CodeNoPermissions, "the connection of %s is not authorized", *d.Target.Arn)
	}
	if err := t.e.pacers.wait(ctx, *d.Target.Arn, float64(dest.Rate)); err != nil {
		return delivery.Retryable(CodeThrottling, "%v", err)
	}
	req, err := request(ctx, dest, c, d)
	if err != nil {
		return &delivery.Error{Permanent: true, Code: CodeClientError, Err: err}
	}
	if c.Type == types.ConnectionAuthorizationTypeOauthClientCredentials {
		token, err := t.e.token(ctx, c)
		if err != nil {
			return delivery.Retryable(CodeNoPermissions, "no token: %v", err)
		}
		req.Header.Set("Authorization", token)
	}
	err = t.e.call(req)
	if told := (*delivery.Error)(nil); errors.As(err, &told) && strings.Contains(told.Err.Error(), " 401 ") {
		t.e.tokens.forget(c)
	}
	return err
}

// request makes an invocation of a destination: its endpoint with the target's
// path parameters, the connection's and the target's headers and query, the
// input with the connection's body parameters.
func request(ctx context.Context, dest Destination, c Connection, d Delivery) (*http.Request, error) {
	var p types.HttpParameters
	if d.Target.HttpParameters != nil {
		p = *d.Target.HttpParameters
	}
	u, err := endpoint(dest.Endpoint, p.PathParameterValues)
	if err != nil {
		return nil, err
	}
	var shared types.ConnectionHttpParameters
	if c.Auth.InvocationHttpParameters != nil {
		shared = *c.Auth.InvocationHttpParameters
	}
	q := u.Query()
	for k, v := range p.QueryStringParameters {
		q.Set(k, v)
	}
	for _, s := range shared.QueryStringParameters { // the connection's go first
		q.Set(*s.Key, *s.Value)
	}
	u.RawQuery = q.Encode()
	body, err := withBody(d.Input, shared.BodyParameters)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, string(dest.Method), u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Amazon/EventBridge/ApiDestinations")
	setTrace(req, d)
	for k, v := range p.HeaderParameters {
		setHeader(req, k, v)
	}
	for _, h := range shared.HeaderParameters {
		setHeader(req, *h.Key, *h.Value)
	}
	switch {
	case c.Auth.BasicAuthParameters != nil:
		req.SetBasicAuth(*c.Auth.BasicAuthParameters.Username, *c.Auth.BasicAuthParameters.Password)
	case c.Auth.ApiKeyAuthParameters != nil:
		req.Header.Set(*c.Auth.ApiKeyAuthParameters.ApiKeyName, *c.Auth.ApiKeyAuthParameters.ApiKeyValue)
	}
	return req, nil
}

// setTrace hands an event's trace on.
func setTrace(req *http.Request, d Delivery) {
	if d.Trace != "" {
		req.Header.Set("X-Amzn-Trace-Id", d.Trace)
	}
}

func setHeader(req *http.Request, k, v string) {
	if strings.EqualFold(k, "Host") {
		req.Host = v
		return
	}
	req.Header.Set(k, v)
}

// endpoint puts values for the asterisks of an endpoint's path.
func endpoint(s string, values []string) (*url.URL, error) {
	var b strings.Builder
	for _, c := range s {
		if c == '*' && len(values) > 0 {
			b.WriteString(url.PathEscape(values[0]))
			values = values[1:]
			continue
		}
		b.WriteRune(c)
	}
	return url.Parse(b.String())
}

// withBody adds a connection's body parameters to an input that is an object.
func withBody(in []byte, ps []types.ConnectionBodyParameter) ([]byte, error) {
	if len(ps) == 0 {
		return in, nil
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(in, &body); err != nil || body == nil {
		return nil, errors.New("the connection has body parameters, but the input is not a JSON object")
	}
	for _, p := range ps {
		v, err := json.Marshal(*p.Value)
		if err != nil {
			return nil, err
		}
		body[*p.Key] = v
	}
	return json.Marshal(body)
}
