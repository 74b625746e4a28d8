package sns

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

var platforms = []string{"ADM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX", "MACOS", "MACOS_SANDBOX", "BAIDU", "FCM", "GCM", "MPNS", "WNS"}

var applicationName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`)

// applicationAttributes are those that can be set; secrets are never shown.
var (
	secretAttributes      = []string{"PlatformCredential", "PlatformPrincipal"}
	applicationAttributes = []string{"SuccessFeedbackRoleArn", "FailureFeedbackRoleArn", "SuccessFeedbackSampleRate", "ApplePlatformTeamID", "ApplePlatformBundleID", "AuthenticationMethod"}
	eventAttributes       = []string{"EventEndpointCreated", "EventEndpointDeleted", "EventEndpointUpdated", "EventDeliveryFailure"}
)

func checkApplication(attributes map[string]string) error {
	for name, v := range attributes {
		switch {
		case slices.Contains(secretAttributes, name), slices.Contains(applicationAttributes, name):
		case slices.Contains(eventAttributes, name):
			if v != "" && checkARN(name, v) != nil {
				return invalid("Attributes Reason: %s: it is not the ARN of a topic", name)
			}
		default:
			return invalid("Attributes Reason: Invalid attribute name: %s", name)
		}
	}
	return nil
}

// CreatePlatformApplication keeps an application. Credentials are not tried: no
// push service is called.
func (a *API) CreatePlatformApplication(ctx context.Context, in *sns.CreatePlatformApplicationInput) (*sns.CreatePlatformApplicationOutput, error) {
	switch {
	case !slices.Contains(platforms, *in.Platform):
		return nil, invalid("Platform Reason: %s is not supported", *in.Platform)
	case !applicationName.MatchString(*in.Name):
		return nil, invalid("Name Reason: must contain only characters 'a'-'z', 'A'-'Z', '0'-'9', '_', '-', and '.' and be at most 256 long")
	}
	if err := checkApplication(in.Attributes); err != nil {
		return nil, err
	}
	app := topic.PlatformApplication{Scope: scope(ctx), Platform: *in.Platform, Name: *in.Name, Attributes: in.Attributes, Created: time.Now().UTC()}
	if app.Attributes["PlatformCredential"] == "" {
		return nil, invalid("Attributes Reason: PlatformCredential is required")
	}
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		if have, ok := topic.PlatformApplications.Get(tx, app.RowKey()); ok {
			if !maps.Equal(have.Attributes, app.Attributes) {
				return invalid("Attributes Reason: An application with the same name but different properties already exists")
			}
			return nil
		}
		return topic.PlatformApplications.Put(tx, app)
	})
	if err != nil {
		return nil, err
	}
	return &sns.CreatePlatformApplicationOutput{PlatformApplicationArn: ptr(app.ARN())}, nil
}

// application returns an application of the caller's.
func (a *API) application(ctx context.Context, r store.Reader, arn string) (app topic.PlatformApplication, err error) {
	if err := checkARN("PlatformApplicationArn", arn); err != nil {
		return app, err
	}
	app, ok := topic.FindApplication(r, arn)
	if !ok || app.Scope != scope(ctx) {
		return app, notFound("PlatformApplication")
	}
	return app, nil
}

// shown are an application's attributes without its secrets.
func shown(app topic.PlatformApplication) map[string]string {
	out := map[string]string{"Enabled": "true"}
	for k, v := range app.Attributes {
		if !slices.Contains(secretAttributes, k) {
			out[k] = v
		}
	}
	return out
}

// GetPlatformApplicationAttributes shows an application.
func (a *API) GetPlatformApplicationAttributes(ctx context.Context, in *sns.GetPlatformApplicationAttributesInput) (out *sns.GetPlatformApplicationAttributesOutput, err error) {
	err = a.db.View(func(r store.Reader) error {
		app, err := a.application(ctx, r, *in.PlatformApplicationArn)
		out = &sns.GetPlatformApplicationAttributesOutput{Attributes: shown(app)}
		return err
	})
	return out, err
}

// SetPlatformApplicationAttributes sets attributes.
func (a *API) SetPlatformApplicationAttributes(ctx context.Context, in *sns.SetPlatformApplicationAttributesInput) (*sns.SetPlatformApplicationAttributesOutput, error) {
	return &sns.SetPlatformApplicationAttributesOutput{}, a.db.Update(ctx, func(tx *store.Tx) error {
		app, err := a.application(ctx, tx, *in.PlatformApplicationArn)
		if err != nil {
			return err
		}
		if err := checkApplication(in.Attributes); err != nil {
			return err
		}
		app.Attributes = maps.Clone(app.Attributes)
		for k, v := range in.Attributes {
			if app.Attributes[k] = v; v == "" {
				delete(app.Attributes, k)
			}
		}
		return topic.PlatformApplications.Put(tx, app)
	})
}

// DeletePlatformApplication removes an application with its endpoints; one that
// is not there is gone already.
func (a *API) DeletePlatformApplication(ctx context.Context, in *sns.DeletePlatformApplicationInput) (*sns.DeletePlatformApplicationOutput, error) {
	var app topic.PlatformApplication
	err := a.db.Update(ctx, func(tx *store.Tx) (err error) {
		app, err = a.application(ctx, tx, *in.PlatformApplicationArn)
		if _, gone := err.(*types.NotFoundException); gone {
			return nil
		}
		topic.PlatformApplications.Delete(tx, app.RowKey())
		return err
	})
	if err != nil || app.Name == "" {
		return &sns.DeletePlatformApplicationOutput{}, err
	}
	return &sns.DeletePlatformApplicationOutput{}, a.engine.DropEndpoints(ctx, app)
}

// ListPlatformApplications lists applications.
func (a *API) ListPlatformApplications(ctx context.Context, in *sns.ListPlatformApplicationsInput) (*sns.ListPlatformApplicationsOutput, error) {
	var rows []topic.PlatformApplication
	a.db.View(func(r store.Reader) error {
		for app := range topic.PlatformApplications.List(r, scope(ctx).Prefix()) {
			rows = append(rows, app)
		}
		return nil
	})
	some, next, err := awsapi.Page(ctx, rows, topic.PlatformApplication.RowKey, in.NextToken, nil, page)
	if err != nil {
		return nil, err
	}
	out := &sns.ListPlatformApplicationsOutput{PlatformApplications: []types.PlatformApplication{}, NextToken: next}
	for _, app := range some {
		out.PlatformApplications = append(out.PlatformApplications, types.PlatformApplication{PlatformApplicationArn: ptr(app.ARN()), Attributes: shown(app)})
	}
	return out, nil
}

// setEndpoint sets attributes of an endpoint.
func setEndpoint(end *topic.PlatformEndpoint, attributes map[string]string) error {
	for name, v := range attributes {
		switch name {
		case "CustomUserData":
			if len(v) > 2048 {
				return invalid("Attributes Reason: Invalid value for attribute: CustomUserData: must be at most 2048 bytes long in UTF-8 encoding")
			}
			end.UserData = v
		case "Enabled":
			on, ok := parseBool(v)
			if !ok {
				return invalid("Attributes Reason: Invalid value for attribute: Enabled: must be true or false")
			}
			end.Enabled = on
		case "Token":
			if v == "" || len(v) > 2048 {
				return invalid("Attributes Reason: Invalid value for attribute: Token")
			}
			end.Token = v
		default:
			return invalid("Attributes Reason: Invalid attribute name: %s", name)
		}
	}
	return nil
}

// CreatePlatformEndpoint makes an endpoint, or finds the one of that token.
func (a *API) CreatePlatformEndpoint(ctx context.Context, in *sns.CreatePlatformEndpointInput) (*sns.CreatePlatformEndpointOutput, error) {
	end := topic.PlatformEndpoint{Scope: scope(ctx), ID: cluster.NewUUID(), Enabled: true, Created: time.Now().UTC()}
	made := false
	var app topic.PlatformApplication
	err := a.db.Update(ctx, func(tx *store.Tx) (err error) {
		made = false
		if app, err = a.application(ctx, tx, *in.PlatformApplicationArn); err != nil {
			return err
		}
		end.Platform, end.Application = app.Platform, app.Name
		attributes := map[string]string{}
		if in.CustomUserData != nil {
			attributes["CustomUserData"] = *in.CustomUserData
		}
		maps.Copy(attributes, in.Attributes)
		if err := setEndpoint(&end, attributes); err != nil {
			return err
		}
		if strings.TrimSpace(*in.Token) == "" || len(*in.Token) > 2048 {
			return invalid("Token Reason: it must be 1 to 2048 bytes long")
		}
		end.Token = *in.Token
		for have := range topic.PlatformEndpoints.By(tx, "token", end.Scope.Key(end.Platform, end.Application, end.Token)) {
			if have.UserData != end.UserData || have.Enabled != end.Enabled {
				return invalid("Token Reason: Endpoint %s already exists with the same Token, but different attributes.", have.ARN())
			}
			end = have
			return nil
		}
		made = true
		return topic.PlatformEndpoints.Put(tx, end)
	})
	if err != nil {
		return nil, err
	}
	if made {
		a.engine.Tell(ctx, app, topic.EndpointCreated, end)
	}
	return &sns.CreatePlatformEndpointOutput{EndpointArn: ptr(end.ARN())}, nil
}

// endpoint returns an endpoint of the caller's.
func (a *API) endpoint(ctx context.Context, r store.Reader, arn string) (end topic.PlatformEndpoint, err error) {
	if err := checkARN("EndpointArn", arn); err != nil {
		return end, err
	}
	end, ok := topic.FindEndpoint(r, arn)
	if !ok || end.Scope != scope(ctx) {
		return end, notFound("Endpoint")
	}
	return end, nil
}

func endpointAttributes(end topic.PlatformEndpoint) map[string]string {
	out := map[string]string{"Token": end.Token, "Enabled": strconv.FormatBool(end.Enabled)}
	if end.UserData != "" {
		out["CustomUserData"] = end.UserData
	}
	return out
}

// GetEndpointAttributes shows an endpoint.
func (a *API) GetEndpointAttributes(ctx context.Context, in *sns.GetEndpointAttributesInput) (out *sns.GetEndpointAttributesOutput, err error) {
	err = a.db.View(func(r store.Reader) error {
		end, err := a.endpoint(ctx, r, *in.EndpointArn)
		out = &sns.GetEndpointAttributesOutput{Attributes: endpointAttributes(end)}
		return err
	})
	return out, err
}

// SetEndpointAttributes sets attributes.
func (a *API) SetEndpointAttributes(ctx context.Context, in *sns.SetEndpointAttributesInput) (*sns.SetEndpointAttributesOutput, error) {
	var end topic.PlatformEndpoint
	var app topic.PlatformApplication
	err := a.db.Update(ctx, func(tx *store.Tx) (err error) {
		if end, err = a.endpoint(ctx, tx, *in.EndpointArn); err != nil {
			return err
		}
		if err := setEndpoint(&end, in.Attributes); err != nil {
			return err
		}
		app, _ = topic.PlatformApplications.Get(tx, end.Scope.Key(end.Platform, end.Application))
		return topic.PlatformEndpoints.Put(tx, end)
	})
	if err == nil {
		a.engine.Tell(ctx, app, topic.EndpointUpdated, end)
	}
	return &sns.SetEndpointAttributesOutput{}, err
}

// DeleteEndpoint removes an endpoint; one that is not there is gone already. Its
// subscriptions stay, as on AWS.
func (a *API) DeleteEndpoint(ctx context.Context, in *sns.DeleteEndpointInput) (*sns.DeleteEndpointOutput, error) {
	var end topic.PlatformEndpoint
	var app topic.PlatformApplication
	err := a.db.Update(ctx, func(tx *store.Tx) (err error) {
		end, err = a.endpoint(ctx, tx, *in.EndpointArn)
		if _, gone := err.(*types.NotFoundException); gone {
			return nil
		}
		app, _ = topic.PlatformApplications.Get(tx, end.Scope.Key(end.Platform, end.Application))
		topic.PlatformEndpoints.Delete(tx, end.RowKey())
		return err
	})
	if err == nil && end.ID != "" {
		a.engine.Tell(ctx, app, topic.EndpointDeleted, end)
	}
	return &sns.DeleteEndpointOutput{}, err
}

// ListEndpointsByPlatformApplication lists an application's endpoints.
func (a *API) ListEndpointsByPlatformApplication(ctx context.Context, in *sns.ListEndpointsByPlatformApplicationInput) (*sns.ListEndpointsByPlatformApplicationOutput, error) {
	var rows []topic.PlatformEndpoint
	err := a.db.View(func(r store.Reader) error {
		app, err := a.application(ctx, r, *in.PlatformApplicationArn)
		if err != nil {
			return err
		}
		for end := range topic.PlatformEndpoints.List(r, app.Scope.Prefix(app.Platform, app.Name)) {
			rows = append(rows, end)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	some, next, err := awsapi.Page(ctx, rows, topic.PlatformEndpoint.RowKey, in.NextToken, nil, page)
	if err != nil {
		return nil, err
	}
	out := &sns.ListEndpointsByPlatformApplicationOutput{Endpoints: []types.Endpoint{}, NextToken: next}
	for _, end := range some {
		out.Endpoints = append(out.Endpoints, types.Endpoint{EndpointArn: ptr(end.ARN()), Attributes: endpointAttributes(end)})
	}
	return out, nil
}
