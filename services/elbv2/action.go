package elbv2

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/lb"
)

// badAction is an InvalidLoadBalancerAction.
func badAction(text string) error {
	return &types.InvalidLoadBalancerActionException{Message: ptr(text)}
}

// actionOf checks a listener's default actions.
func actionOf(list []types.Action) (lb.Action, error) {
	if len(list) == 0 {
		return lb.Action{}, invalid("You must specify a default action for a listener")
	}
	for _, in := range list {
		switch in.Type {
		case types.ActionTypeEnumAuthenticateCognito, types.ActionTypeEnumAuthenticateOidc, types.ActionTypeEnumJwtValidation:
			return lb.Action{}, badAction("Actions of type '" + string(in.Type) + "' are supported only on HTTPS listeners, which are not served yet")
		case types.ActionTypeEnumForward, types.ActionTypeEnumFixedResponse, types.ActionTypeEnumRedirect:
		default:
			return lb.Action{}, badAction("Actions of type '" + string(in.Type) + "' are not known")
		}
	}
	if len(list) > 1 {
		return lb.Action{}, badAction("A listener has one default action of type 'forward', 'redirect' or 'fixed-response'")
	}
	in := list[0]
	a := lb.Action{Order: deref(in.Order)}
	var err error
	switch in.Type {
	case types.ActionTypeEnumForward:
		if a.Forward, err = forwardOf(in); err == nil {
			a.StickySeconds, err = stickyOf(in.ForwardConfig)
		}
	case types.ActionTypeEnumFixedResponse:
		a.Fixed, err = fixedOf(in.FixedResponseConfig)
	case types.ActionTypeEnumRedirect:
		a.Redirect, err = redirectOf(in.RedirectConfig)
	}
	if err == nil && (in.Type != types.ActionTypeEnumForward && (in.TargetGroupArn != nil || in.ForwardConfig != nil) ||
		in.Type != types.ActionTypeEnumFixedResponse && in.FixedResponseConfig != nil ||
		in.Type != types.ActionTypeEnumRedirect && in.RedirectConfig != nil ||
		in.AuthenticateCognitoConfig != nil || in.AuthenticateOidcConfig != nil || in.JwtValidationConfig != nil) {
		err = badAction("The action has a configuration that does not belong to its type '" + string(in.Type) + "'")
	}
	return a, err
}

func forwardOf(in types.Action) (groups []lb.WeightedGroup, err error) {
	arn, config := deref(in.TargetGroupArn), in.ForwardConfig
	if config == nil || len(config.TargetGroups) == 0 {
		if arn == "" {
			return nil, badAction("You must specify a target group for an action of type 'forward'")
		}
		return []lb.WeightedGroup{{Group: arn, Weight: 1}}, nil
	}
	if len(config.TargetGroups) > maxGroupsPerAction {
		return nil, badAction("An action can forward to at most 5 target groups")
	}
	total := int32(0)
	for _, g := range config.TargetGroups {
		weight := int32(1)
		set(&weight, g.Weight)
		if weight < 0 || weight > 999 {
			return nil, badAction("Target group weights must be from 0 to 999")
		}
		for _, o := range groups {
			if o.Group == deref(g.TargetGroupArn) {
				return nil, badAction("The target group '" + o.Group + "' is listed twice")
			}
		}
		total += weight
		groups = append(groups, lb.WeightedGroup{Group: deref(g.TargetGroupArn), Weight: weight})
	}
	if arn != "" && (len(groups) != 1 || groups[0].Group != arn) {
		return nil, badAction("You can specify both a target group ARN and a forward configuration only if they name the same, single target group")
	}
	if total == 0 && len(groups) == 1 {
		return nil, badAction("The weight of a single target group cannot be 0")
	}
	return groups, nil
}

// stickyOf is how long clients would stay with a target group if stickiness
// were on; 0 where that is not said.
func stickyOf(c *types.ForwardActionConfig) (int32, error) {
	if c == nil || c.TargetGroupStickinessConfig == nil {
		return 0, nil
	}
	s := c.TargetGroupStickinessConfig
	if n := s.DurationSeconds; n != nil && (*n < 1 || *n > 604800) {
		return 0, invalid("Target group stickiness duration must be between 1 and 604800 seconds")
	}
	if deref(s.Enabled) {
		return 0, refused("target group stickiness is not served yet; leave it disabled")
	}
	return deref(s.DurationSeconds), nil
}

func fixedOf(c *types.FixedResponseActionConfig) (*lb.FixedResponse, error) {
	if c == nil {
		return nil, badAction("You must specify a fixed response configuration for an action of type 'fixed-response'")
	}
	f := &lb.FixedResponse{ContentType: deref(c.ContentType), Body: deref(c.MessageBody)}
	n, err := strconv.Atoi(deref(c.StatusCode))
	if err != nil || n < 200 || n > 599 || n/100 == 3 {
		return nil, invalid("The status code '%s' of a fixed response must be of the form 2XX, 4XX or 5XX", deref(c.StatusCode))
	}
	f.Status = n
	switch f.ContentType {
	case "", "text/plain", "text/css", "text/html", "application/javascript", "application/json":
	default:
		return nil, invalid("The content type '%s' of a fixed response must be one of text/plain, text/css, text/html, application/javascript, application/json", f.ContentType)
	}
	if len(f.Body) > 1024 {
		return nil, invalid("The message body of a fixed response cannot be longer than 1024 characters")
	}
	if f.ContentType == "" && f.Body != "" {
		f.ContentType = "text/plain"
	}
	return f, nil
}

func redirectOf(c *types.RedirectActionConfig) (*lb.Redirect, error) {
	if c == nil {
		return nil, badAction("You must specify a redirect configuration for an action of type 'redirect'")
	}
	d := &lb.Redirect{Protocol: "#{protocol}", Host: "#{host}", Port: "#{port}", Path: "/#{path}", Query: "#{query}"}
	set(&d.Protocol, c.Protocol)
	set(&d.Host, c.Host)
	set(&d.Port, c.Port)
	set(&d.Path, c.Path)
	set(&d.Query, c.Query)
	switch c.StatusCode {
	case types.RedirectActionStatusCodeEnumHttp301:
		d.Status = 301
	case types.RedirectActionStatusCodeEnumHttp302:
		d.Status = 302
	default:
		return nil, invalid("The status code '%s' of a redirect must be HTTP_301 or HTTP_302", c.StatusCode)
	}
	port, err := strconv.Atoi(d.Port)
	switch {
	case d.Protocol != "HTTP" && d.Protocol != "HTTPS" && d.Protocol != "#{protocol}":
		return nil, invalid("The protocol '%s' of a redirect must be HTTP, HTTPS or #{protocol}", d.Protocol)
	case d.Port != "#{port}" && (err != nil || port < 1 || port > 65535):
		return nil, invalid("The port '%s' of a redirect must be from 1 to 65535, or #{port}", d.Port)
	case !strings.HasPrefix(d.Path, "/") || len(d.Path) > 128:
		return nil, invalid("The path '%s' of a redirect must begin with '/' and have at most 128 characters", d.Path)
	case d.Host == "" || len(d.Host) > 128 || len(d.Query) > 128 || strings.HasPrefix(d.Query, "?") ||
		strings.ContainsFunc(d.Host+d.Path+d.Query, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, invalid("The host and the query of a redirect must have at most 128 characters, no spaces, and the query no leading '?'")
	}
	if d.Protocol == "#{protocol}" && d.Host == "#{host}" && d.Port == "#{port}" && d.Path == "/#{path}" {
		return nil, badAction("A redirect must change at least one of protocol, host, port and path: it would be a loop")
	}
	return d, nil
}

func wireActions(a lb.Action) []types.Action {
	var w types.Action
	if a.Order != 0 {
		w.Order = ptr(a.Order)
	}
	switch {
	case a.Fixed != nil:
		w.Type = types.ActionTypeEnumFixedResponse
		c := &types.FixedResponseActionConfig{StatusCode: ptr(strconv.Itoa(a.Fixed.Status))}
		if a.Fixed.ContentType != "" {
			c.ContentType = ptr(a.Fixed.ContentType)
		}
		if a.Fixed.Body != "" {
			c.MessageBody = ptr(a.Fixed.Body)
		}
		w.FixedResponseConfig = c
	case a.Redirect != nil:
		w.Type = types.ActionTypeEnumRedirect
		w.RedirectConfig = &types.RedirectActionConfig{
			StatusCode: types.RedirectActionStatusCodeEnum("HTTP_" + strconv.Itoa(a.Redirect.Status)),
			Protocol:   ptr(a.Redirect.Protocol), Host: ptr(a.Redirect.Host), Port: ptr(a.Redirect.Port),
			Path: ptr(a.Redirect.Path), Query: ptr(a.Redirect.Query)}
	default:
		w.Type = types.ActionTypeEnumForward
		c := &types.ForwardActionConfig{TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: ptr(false)}}
		if a.StickySeconds != 0 {
			c.TargetGroupStickinessConfig.DurationSeconds = ptr(a.StickySeconds)
		}
		for _, g := range a.Forward {
			c.TargetGroups = append(c.TargetGroups, types.TargetGroupTuple{TargetGroupArn: ptr(g.Group), Weight: ptr(g.Weight)})
		}
		w.ForwardConfig = c
		if len(a.Forward) == 1 {
			w.TargetGroupArn = ptr(a.Forward[0].Group)
		}
	}
	return []types.Action{w}
}
