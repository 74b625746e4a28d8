package elbv2

import (
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/lb"
)

// changes are the health check's members in a call: nil or "" where they are
// absent. Their ranges are the model's, checked before a handler runs.
type changes struct {
	enabled   *bool
	interval  *int32
	path      *string
	port      *string
	protocol  types.ProtocolEnum
	timeout   *int32
	healthy   *int32
	matcher   *types.Matcher
	unhealthy *int32
}

// apply changes g's health check and checks what comes out.
func (c changes) apply(g *lb.TargetGroup) error {
	k := &g.Check
	if c.enabled != nil && !*c.enabled {
		return refused("Health check enabled must be true for target groups with target type '%s'", g.Type)
	}
	if c.protocol != "" {
		k.Protocol = string(c.protocol)
	}
	set(&k.Interval, c.interval)
	set(&k.Path, c.path)
	set(&k.Port, c.port)
	set(&k.Timeout, c.timeout)
	set(&k.Healthy, c.healthy)
	set(&k.Unhealthy, c.unhealthy)
	if c.matcher != nil {
		if c.matcher.GrpcCode != nil {
			return refused("GRPC codes are supported only for target groups with protocol version GRPC, which is not served yet")
		}
		set(&k.Matcher, c.matcher.HttpCode)
	}
	if k.Protocol != "HTTP" && k.Protocol != "HTTPS" {
		return refused("Health check protocol '%s' is not supported for target groups with protocol '%s': use HTTP or HTTPS", k.Protocol, g.Protocol)
	}
	if !strings.HasPrefix(k.Path, "/") || strings.ContainsFunc(k.Path, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return invalid("Health check path '%s' must begin with a '/' character and contain no spaces", k.Path)
	}
	if n, err := strconv.Atoi(k.Port); k.Port != "traffic-port" && (err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != k.Port) {
		return invalid("Health check port '%s' must be 'traffic-port' or a number from 1 to 65535", k.Port)
	}
	if k.Timeout >= k.Interval {
		return invalid("Health check timeout '%d' must be smaller than the interval '%d'", k.Timeout, k.Interval)
	}
	if _, err := lb.ParseMatcher(k.Matcher); err != nil {
		return invalid("Health check matcher: %v", err)
	}
	return nil
}

func set[T any](v *T, to *T) {
	if to != nil {
		*v = *to
	}
}
