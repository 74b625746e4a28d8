package events

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// partners refuses what only AWS's partners can do.
func partners(what string) error {
	return &types.OperationDisabledException{Message: ptr(what + " are not supported: no partner of AWS sends events here.")}
}

func noSource(name *string) error { return notFound("Event source %s does not exist.", deref(name)) }

// endpoints refuses global endpoints, which fail over between AWS's regions.
func endpoints() error {
	return &awsapi.Error{Code: awsapi.CodeNotServed, Status: http.StatusNotImplemented,
		Message: "Global endpoints are not supported: all regions are served by the same servers here. Put events on a bus."}
}

func noEndpoint(name *string) error { return notFound("Endpoint %s does not exist.", deref(name)) }

// ActivateEventSource finds no partner's source: there are none.
func (a *API) ActivateEventSource(_ context.Context, in *eventbridge.ActivateEventSourceInput) (*eventbridge.ActivateEventSourceOutput, error) {
	return nil, noSource(in.Name)
}

// DeactivateEventSource finds no partner's source: there are none.
func (a *API) DeactivateEventSource(_ context.Context, in *eventbridge.DeactivateEventSourceInput) (*eventbridge.DeactivateEventSourceOutput, error) {
	return nil, noSource(in.Name)
}

// DescribeEventSource finds no partner's source: there are none.
func (a *API) DescribeEventSource(_ context.Context, in *eventbridge.DescribeEventSourceInput) (*eventbridge.DescribeEventSourceOutput, error) {
	return nil, noSource(in.Name)
}

// ListEventSources lists none.
func (a *API) ListEventSources(context.Context, *eventbridge.ListEventSourcesInput) (*eventbridge.ListEventSourcesOutput, error) {
	return &eventbridge.ListEventSourcesOutput{EventSources: []types.EventSource{}}, nil
}

// CreatePartnerEventSource is for AWS's partners.
func (a *API) CreatePartnerEventSource(context.Context, *eventbridge.CreatePartnerEventSourceInput) (*eventbridge.CreatePartnerEventSourceOutput, error) {
	return nil, partners("Partner event sources")
}

// DeletePartnerEventSource has nothing to delete; AWS tells of that no error.
func (a *API) DeletePartnerEventSource(context.Context, *eventbridge.DeletePartnerEventSourceInput) (*eventbridge.DeletePartnerEventSourceOutput, error) {
	return &eventbridge.DeletePartnerEventSourceOutput{}, nil
}

// DescribePartnerEventSource finds none.
func (a *API) DescribePartnerEventSource(_ context.Context, in *eventbridge.DescribePartnerEventSourceInput) (*eventbridge.DescribePartnerEventSourceOutput, error) {
	return nil, noSource(in.Name)
}

// ListPartnerEventSources lists none.
func (a *API) ListPartnerEventSources(context.Context, *eventbridge.ListPartnerEventSourcesInput) (*eventbridge.ListPartnerEventSourcesOutput, error) {
	return &eventbridge.ListPartnerEventSourcesOutput{PartnerEventSources: []types.PartnerEventSource{}}, nil
}

// ListPartnerEventSourceAccounts finds no source.
func (a *API) ListPartnerEventSourceAccounts(_ context.Context, in *eventbridge.ListPartnerEventSourceAccountsInput) (*eventbridge.ListPartnerEventSourceAccountsOutput, error) {
	return nil, noSource(in.EventSourceName)
}

// PutPartnerEvents is for AWS's partners.
func (a *API) PutPartnerEvents(context.Context, *eventbridge.PutPartnerEventsInput) (*eventbridge.PutPartnerEventsOutput, error) {
	return nil, partners("Events of partners")
}

// CreateEndpoint is refused.
func (a *API) CreateEndpoint(context.Context, *eventbridge.CreateEndpointInput) (*eventbridge.CreateEndpointOutput, error) {
	return nil, endpoints()
}

// UpdateEndpoint finds none.
func (a *API) UpdateEndpoint(_ context.Context, in *eventbridge.UpdateEndpointInput) (*eventbridge.UpdateEndpointOutput, error) {
	return nil, noEndpoint(in.Name)
}

// DeleteEndpoint finds none.
func (a *API) DeleteEndpoint(_ context.Context, in *eventbridge.DeleteEndpointInput) (*eventbridge.DeleteEndpointOutput, error) {
	return nil, noEndpoint(in.Name)
}

// DescribeEndpoint finds none.
func (a *API) DescribeEndpoint(_ context.Context, in *eventbridge.DescribeEndpointInput) (*eventbridge.DescribeEndpointOutput, error) {
	return nil, noEndpoint(in.Name)
}

// ListEndpoints lists none.
func (a *API) ListEndpoints(context.Context, *eventbridge.ListEndpointsInput) (*eventbridge.ListEndpointsOutput, error) {
	return &eventbridge.ListEndpointsOutput{Endpoints: []types.Endpoint{}}, nil
}
