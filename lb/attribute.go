package lb

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrNoAttribute is what Check returns for a key that is no attribute.
var ErrNoAttribute = errors.New("attribute is not recognized")

// Attribute is a setting of a load balancer, a listener or a target group that
// has a name and a value.
type Attribute struct {
	Key, Default string
	rule
}

// rule says which values an attribute takes.
type rule struct {
	invalid  func(value string) string // why AWS would not take value, "" if it would
	unserved func(value string) string // why dhow does not take a value that AWS would, "" if it does; nil takes all
}

// AttributeSet is the attributes of one kind of resource, in the order that
// Describe calls give.
type AttributeSet []Attribute

// AttributeError says why a value is not taken for an attribute.
type AttributeError struct {
	Key, Why string
	Unserved bool // AWS would take it
}

func (e *AttributeError) Error() string { return e.Key + ": " + e.Why }

// Check returns an *AttributeError where value is none for key, or
// ErrNoAttribute.
func (s AttributeSet) Check(key, value string) error {
	for _, a := range s {
		if a.Key != key {
			continue
		}
		if value == a.Default {
			return nil
		}
		if why := a.invalid(value); why != "" {
			return &AttributeError{Key: key, Why: why}
		}
		if a.unserved != nil {
			if why := a.unserved(value); why != "" {
				return &AttributeError{key, why, true}
			}
		}
		return nil
	}
	return ErrNoAttribute
}

func (s AttributeSet) value(set map[string]string, key string) string {
	if v, ok := set[key]; ok {
		return v
	}
	for _, a := range s {
		if a.Key == key {
			return a.Default
		}
	}
	return ""
}

// Values are the attributes in order, defaults filled in.
func (s AttributeSet) Values(set map[string]string) []Tag {
	all := make([]Tag, len(s))
	for i, a := range s {
		all[i] = Tag{Key: a.Key, Value: s.value(set, a.Key)}
	}
	return all
}

// fixed is r where only the default is served, for the reason given.
func (r rule) fixed(why string) rule {
	r.unserved = func(string) string { return why }
	return r
}

// except is r where one value is not served.
func (r rule) except(value, why string) rule {
	r.unserved = func(v string) string {
		if v == value {
			return why
		}
		return ""
	}
	return r
}

func anyOf(values ...string) rule {
	return rule{invalid: func(v string) string {
		if slices.Contains(values, v) {
			return ""
		}
		return "the value '" + v + "' is not one of " + strings.Join(values, ", ")
	}}
}

func between(least, most int) rule { return orBetween("", least, most) }

// orBetween takes numbers, and the default besides, which other names.
func orBetween(other string, least, most int) rule {
	return rule{invalid: func(v string) string {
		if n, err := strconv.Atoi(v); err == nil && least <= n && n <= most {
			return ""
		}
		return fmt.Sprintf("the value '%s' is not %sa number from %d to %d", v, other, least, most)
	}}
}

var (
	boolean = anyOf("true", "false")

	// text takes what may stand in a header field.
	text = rule{invalid: func(v string) string {
		if len(v) > 1024 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "the value is longer than 1024 bytes or holds control characters"
		}
		return ""
	}}
)

const (
	notStored = "logs to S3 are not written by dhow; leave it at its default"
	noZones   = "a load balancer of dhow has one address in all zones; leave it at its default"
	noTLS     = "dhow serves HTTP listeners only; leave it at its default"
)

// Names of the attributes that the engine acts on.
const (
	attrProtect     = "deletion_protection.enabled"
	attrIdle        = "idle_timeout.timeout_seconds"
	attrKeepAlive   = "client_keep_alive.seconds"
	attrDropHeaders = "routing.http.drop_invalid_header_fields.enabled"
	attrKeepHost    = "routing.http.preserve_host_header.enabled"
	attrXFFMode     = "routing.http.xff_header_processing.mode"
	attrXFFPort     = "routing.http.xff_client_port.enabled"
	attrDenyIGW     = "ipv6.deny_all_igw_traffic"

	attrDelay      = "deregistration_delay.timeout_seconds"
	attrAlgorithm  = "load_balancing.algorithm.type"
	attrMinCount   = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
	attrMinPercent = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"

	attrServer = "routing.http.response.server.enabled"
)

// BalancerAttributes are those of an application load balancer, with AWS's
// defaults. HTTP/2 needs TLS on AWS's side, so that its switch changes nothing
// for listeners of HTTP.
var BalancerAttributes = AttributeSet{
	{"access_logs.s3.enabled", "false", boolean.fixed(notStored)},
	{"access_logs.s3.bucket", "", text.fixed(notStored)},
	{"access_logs.s3.prefix", "", text.fixed(notStored)},
	{attrIdle, "60", between(1, 4000)},
	{attrProtect, "false", boolean},
	{"routing.http2.enabled", "true", boolean},
	{attrDropHeaders, "false", boolean},
	{attrXFFPort, "false", boolean},
	{attrKeepHost, "false", boolean},
	{attrXFFMode, "append", anyOf("append", "preserve", "remove")},
	{"load_balancing.cross_zone.enabled", "true", boolean.fixed("cross-zone load balancing is always on for application load balancers")},
	{"routing.http.desync_mitigation_mode", "defensive", anyOf("monitor", "defensive", "strictest").fixed("requests that are ambiguous are always refused; leave it at 'defensive'")},
	{attrKeepAlive, "3600", between(60, 604800)},
	{"waf.fail_open.enabled", "false", boolean.fixed("there is no web application firewall; leave it at 'false'")},
	{"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", boolean.fixed(noTLS)},
	{"zonal_shift.config.enabled", "false", boolean.fixed(noZones)},
	{"connection_logs.s3.enabled", "false", boolean.fixed(notStored)},
	{"connection_logs.s3.bucket", "", text.fixed(notStored)},
	{"connection_logs.s3.prefix", "", text.fixed(notStored)},
	{"health_check_logs.s3.enabled", "false", boolean.fixed(notStored)},
	{"health_check_logs.s3.bucket", "", text.fixed(notStored)},
	{"health_check_logs.s3.prefix", "", text.fixed(notStored)},
	{attrDenyIGW, "false", boolean}, // of IPv6 traffic, which there is none of
}

// GroupAttributes are those of a target group of type ip or instance.
var GroupAttributes = AttributeSet{
	{"stickiness.enabled", "false", boolean.fixed("sticky sessions are not served yet; leave it at 'false'")},
	{"stickiness.type", "lb_cookie", anyOf("lb_cookie", "app_cookie")},
	{"stickiness.lb_cookie.duration_seconds", "86400", between(1, 604800)},
	{"stickiness.app_cookie.cookie_name", "", text},
	{"stickiness.app_cookie.duration_seconds", "86400", between(1, 604800)},
	{attrDelay, "300", between(0, 3600)},
	{"slow_start.duration_seconds", "0", orBetween("0 or ", 30, 900).fixed("slow start is not served yet; leave it at '0'")},
	{attrAlgorithm, "round_robin", anyOf("round_robin", "least_outstanding_requests", "weighted_random").
		except("weighted_random", "the algorithm weighted_random is not served yet; use round_robin or least_outstanding_requests")},
	{"load_balancing.algorithm.anomaly_mitigation", "off", anyOf("on", "off").fixed("it needs the algorithm weighted_random, which is not served; leave it at 'off'")},
	{"load_balancing.cross_zone.enabled", "use_load_balancer_configuration", anyOf("true", "false", "use_load_balancer_configuration").except("false", noZones)},
	{"target_group_health.dns_failover.minimum_healthy_targets.count", "1", orBetween("'off' or ", 1, 1000).fixed(noZones)},
	{"target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", orBetween("'off' or ", 1, 100).fixed(noZones)},
	{attrMinCount, "1", between(1, 1000)},
	{attrMinPercent, "off", orBetween("'off' or ", 1, 100)},
}

// ListenerAttributes are those of an HTTP listener. A header value that is not
// empty is set on every response.
var ListenerAttributes = AttributeSet{
	{attrServer, "true", boolean},
	{responseHeader + "strict_transport_security.header_value", "", text},
	{responseHeader + "access_control_allow_origin.header_value", "", text},
	{responseHeader + "access_control_allow_methods.header_value", "", text},
	{responseHeader + "access_control_allow_headers.header_value", "", text},
	{responseHeader + "access_control_allow_credentials.header_value", "", text},
	{responseHeader + "access_control_expose_headers.header_value", "", text},
	{responseHeader + "access_control_max_age.header_value", "", text},
	{responseHeader + "content_security_policy.header_value", "", text},
	{responseHeader + "x_content_type_options.header_value", "", text},
	{responseHeader + "x_frame_options.header_value", "", text},
}

const responseHeader = "routing.http.response."

// ResponseHeader is the header field that a listener attribute sets, "" if it
// sets none.
func ResponseHeader(key string) string {
	name, ok := strings.CutPrefix(key, responseHeader)
	if name, isValue := strings.CutSuffix(name, ".header_value"); ok && isValue {
		return strings.ReplaceAll(name, "_", "-")
	}
	return ""
}
