package topic

import (
	"context"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
)

// PlatformApplication is an app at a push service. Nothing is pushed: what its
// endpoints get lands in the outbox.
type PlatformApplication struct {
	cluster.Scope
	Platform   string // ADM, APNS, GCM, …
	Name       string
	Attributes map[string]string // secrets among them, which are never shown
	Created    time.Time
}

// RowKey is the row's key.
func (a PlatformApplication) RowKey() string { return a.Scope.Key(a.Platform, a.Name) }

// ARN names the application.
func (a PlatformApplication) ARN() string { return a.Scope.ARN("sns", "app/"+a.Platform+"/"+a.Name) }

// PlatformApplications is the table of applications.
var PlatformApplications = store.NewTable("topic.applications", PlatformApplication.RowKey)

// PlatformEndpoint is an app on a device.
type PlatformEndpoint struct {
	cluster.Scope
	Platform, Application, ID string
	Token                     string
	UserData                  string
	Enabled                   bool
	Created                   time.Time
}

// RowKey is the row's key.
func (p PlatformEndpoint) RowKey() string { return p.Scope.Key(p.Platform, p.Application, p.ID) }

// ARN names the endpoint.
func (p PlatformEndpoint) ARN() string {
	return p.Scope.ARN("sns", "endpoint/"+p.Platform+"/"+p.Application+"/"+p.ID)
}

// PlatformEndpoints is the table of endpoints, with the index "token" of
// Scope.Key(platform, application, token).
var PlatformEndpoints = store.NewTable("topic.endpoints", PlatformEndpoint.RowKey,
	store.Index[PlatformEndpoint]{Name: "token", Values: func(p PlatformEndpoint) []string {
		return []string{p.Scope.Key(p.Platform, p.Application, p.Token)}
	}})

// mobileSegments are the parts behind app/ or endpoint/ of an ARN.
func mobileSegments(s, kind string, n int) (scope cluster.Scope, parts []string, ok bool) {
	a, err := arn.Parse(s)
	if err != nil || a.Service != "sns" {
		return scope, nil, false
	}
	parts = a.Segments()
	if len(parts) != n || parts[0] != kind {
		return scope, nil, false
	}
	return cluster.Scope{Account: a.Account, Region: a.Region}, parts[1:], true
}

// FindApplication returns the application of an ARN.
func FindApplication(r store.Reader, s string) (app PlatformApplication, ok bool) {
	scope, p, ok := mobileSegments(s, "app", 3)
	if !ok {
		return app, false
	}
	return PlatformApplications.Get(r, scope.Key(p...))
}

// FindEndpoint returns the endpoint of an ARN.
func FindEndpoint(r store.Reader, s string) (end PlatformEndpoint, ok bool) {
	scope, p, ok := mobileSegments(s, "endpoint", 4)
	if !ok {
		return end, false
	}
	return PlatformEndpoints.Get(r, scope.Key(p...))
}

// IsEndpoint reports whether s has the form of an endpoint's ARN.
func IsEndpoint(s string) bool {
	_, _, ok := mobileSegments(s, "endpoint", 4)
	return ok
}

// What an application's events are about, and the attributes that name the
// topics which get them ("Mobile app events").
const (
	EndpointCreated = "EventEndpointCreated"
	EndpointUpdated = "EventEndpointUpdated"
	EndpointDeleted = "EventEndpointDeleted"
	DeliveryFailed  = "EventDeliveryFailure"
)

var eventTypes = map[string]string{EndpointCreated: "EndpointCreated", EndpointUpdated: "EndpointUpdated", EndpointDeleted: "EndpointDeleted", DeliveryFailed: "DeliveryFailure"}

// Tell publishes an event of an application's to the topic that its attribute
// names, if there is one. It is no more than a notice: one that cannot be
// published is logged.
func (e *Engine) Tell(ctx context.Context, app PlatformApplication, event string, end PlatformEndpoint) {
	to := app.Attributes[event]
	if to == "" {
		return
	}
	body := marshal(map[string]string{"Resource": app.ARN(), "EventType": eventTypes[event], "EndpointArn": end.ARN(), "Service": "SNS"})
	if _, err := e.Publish(ctx, to, Message{Body: string(body)}); err != nil {
		e.log.Warn("an event of a platform application is not published", "application", app.ARN(), "topic", to, "err", err)
	}
}

// DropEndpoints removes the endpoints of an application.
func (e *Engine) DropEndpoints(ctx context.Context, app PlatformApplication) error {
	return PlatformEndpoints.Clear(ctx, e.cfg.DB, app.Scope.Prefix(app.Platform, app.Name))
}
