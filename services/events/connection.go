package events

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

func noConnection(what, name string) error {
	return notFound("Failed to %s the connection(s). Connection '%s' does not exist.", what, name)
}

func refuseConnection(key *string, connectivity ...*types.ConnectivityResourceParameters) error {
	if deref(key) != "" {
		return invalid("Parameter KmsKeyIdentifier is not valid. Reason: connections are not encrypted with keys of callers here. Leave it out.")
	}
	for _, c := range connectivity {
		if c != nil {
			return invalid("Parameter InvocationConnectivityParameters is not valid. Reason: there are no resource configurations of VPC Lattice here. Endpoints are called from the host.")
		}
	}
	return nil
}

// CreateConnection makes a connection. One with OAuth is authorized by the
// engine, which asks for a token.
func (a *API) CreateConnection(ctx context.Context, in *eventbridge.CreateConnectionInput) (*eventbridge.CreateConnectionOutput, error) {
	if err := refuseConnection(in.KmsKeyIdentifier, in.InvocationConnectivityParameters, in.AuthParameters.ConnectivityParameters); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	c := bus.Connection{Scope: scope(ctx), Name: *in.Name, ID: newID(), SecretID: newID() + "-" + newID()[:6], Description: deref(in.Description),
		Type: in.AuthorizationType, Auth: *in.AuthParameters, CreatedAt: now}
	if err := authorizeAnew(&c, now); err != nil {
		return nil, err
	}
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		if _, ok := bus.Connections.Get(tx, c.Key()); ok {
			return exists("Connection %s already exists.", c.Name)
		}
		return bus.Connections.Put(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.CreateConnectionOutput{ConnectionArn: ptr(c.ARN()), ConnectionState: c.State, CreationTime: &c.CreatedAt, LastModifiedTime: &c.ModifiedAt}, nil
}

// authorizeAnew holds that c has what its type needs and nothing of others, and
// sets its state.
func authorizeAnew(c *bus.Connection, now time.Time) error {
	var missing bool
	var others bool
	p := c.Auth
	c.State, c.Reason, c.AuthorizedAt = types.ConnectionStateAuthorized, "", now
	switch c.Type {
	case types.ConnectionAuthorizationTypeBasic:
		missing, others = p.BasicAuthParameters == nil, p.ApiKeyAuthParameters != nil || p.OAuthParameters != nil
	case types.ConnectionAuthorizationTypeApiKey:
		missing, others = p.ApiKeyAuthParameters == nil, p.BasicAuthParameters != nil || p.OAuthParameters != nil
	default:
		missing, others = p.OAuthParameters == nil || p.OAuthParameters.ClientParameters == nil, p.BasicAuthParameters != nil || p.ApiKeyAuthParameters != nil
		c.State, c.AuthorizedAt = types.ConnectionStateAuthorizing, time.Time{}
	}
	if missing || others {
		return invalid("Parameter AuthParameters is not valid. Reason: it must hold the parameters of %s, and of no other authorization type.", c.Type)
	}
	c.ModifiedAt = now
	c.Version++
	return nil
}

// UpdateConnection changes what is given, and authorizes the connection anew.
func (a *API) UpdateConnection(ctx context.Context, in *eventbridge.UpdateConnectionInput) (*eventbridge.UpdateConnectionOutput, error) {
	if err := refuseConnection(in.KmsKeyIdentifier, in.InvocationConnectivityParameters); err != nil {
		return nil, err
	}
	if in.AuthParameters != nil && in.AuthParameters.ConnectivityParameters != nil {
		return nil, refuseConnection(nil, in.AuthParameters.ConnectivityParameters)
	}
	var c bus.Connection
	err := a.update(ctx, func(tx *store.Tx) error {
		var ok bool
		if c, ok = bus.Connections.Get(tx, scope(ctx).Key(*in.Name)); !ok {
			return noConnection("update", *in.Name)
		}
		if in.Description != nil {
			c.Description = *in.Description
		}
		if in.AuthorizationType != "" && in.AuthorizationType != c.Type {
			c.Type = in.AuthorizationType
			c.Auth = types.CreateConnectionAuthRequestParameters{InvocationHttpParameters: c.Auth.InvocationHttpParameters}
		}
		if in.AuthParameters != nil {
			if err := mergeAuth(&c.Auth, *in.AuthParameters); err != nil {
				return err
			}
		}
		if err := authorizeAnew(&c, time.Now().UTC()); err != nil {
			return err
		}
		return bus.Connections.Put(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.UpdateConnectionOutput{ConnectionArn: ptr(c.ARN()), ConnectionState: c.State, CreationTime: &c.CreatedAt, LastModifiedTime: &c.ModifiedAt,
		LastAuthorizedTime: wireTime(c.AuthorizedAt)}, nil
}

func or[T any](new, old *T) *T {
	if new != nil {
		return new
	}
	return old
}

// mergeAuth puts what an update gives over what there is. It changes no value
// that the store's rows share.
func mergeAuth(have *types.CreateConnectionAuthRequestParameters, in types.UpdateConnectionAuthRequestParameters) error {
	have.InvocationHttpParameters = or(in.InvocationHttpParameters, have.InvocationHttpParameters)
	if p := in.BasicAuthParameters; p != nil {
		old := deref(have.BasicAuthParameters)
		have.BasicAuthParameters = &types.CreateConnectionBasicAuthRequestParameters{Username: or(p.Username, old.Username), Password: or(p.Password, old.Password)}
		if have.BasicAuthParameters.Username == nil || have.BasicAuthParameters.Password == nil {
			return invalid("Parameter AuthParameters is not valid. Reason: Username and Password are needed.")
		}
	}
	if p := in.ApiKeyAuthParameters; p != nil {
		old := deref(have.ApiKeyAuthParameters)
		have.ApiKeyAuthParameters = &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: or(p.ApiKeyName, old.ApiKeyName), ApiKeyValue: or(p.ApiKeyValue, old.ApiKeyValue)}
		if have.ApiKeyAuthParameters.ApiKeyName == nil || have.ApiKeyAuthParameters.ApiKeyValue == nil {
			return invalid("Parameter AuthParameters is not valid. Reason: ApiKeyName and ApiKeyValue are needed.")
		}
	}
	if in.OAuthParameters != nil {
		return mergeOAuth(have, *in.OAuthParameters)
	}
	return nil
}

func mergeOAuth(have *types.CreateConnectionAuthRequestParameters, p types.UpdateConnectionOAuthRequestParameters) error {
	old := deref(have.OAuthParameters)
	now := types.CreateConnectionOAuthRequestParameters{AuthorizationEndpoint: or(p.AuthorizationEndpoint, old.AuthorizationEndpoint), HttpMethod: old.HttpMethod,
		OAuthHttpParameters: or(p.OAuthHttpParameters, old.OAuthHttpParameters), ClientParameters: old.ClientParameters}
	if p.HttpMethod != "" {
		now.HttpMethod = p.HttpMethod
	}
	if c := p.ClientParameters; c != nil {
		was := deref(old.ClientParameters)
		now.ClientParameters = &types.CreateConnectionOAuthClientRequestParameters{ClientID: or(c.ClientID, was.ClientID), ClientSecret: or(c.ClientSecret, was.ClientSecret)}
	}
	if now.AuthorizationEndpoint == nil || now.HttpMethod == "" || now.ClientParameters == nil || now.ClientParameters.ClientID == nil || now.ClientParameters.ClientSecret == nil {
		return invalid("Parameter AuthParameters is not valid. Reason: AuthorizationEndpoint, HttpMethod, ClientID and ClientSecret are needed.")
	}
	have.OAuthParameters = &now
	return nil
}

// DeauthorizeConnection takes a connection what authorizes it.
func (a *API) DeauthorizeConnection(ctx context.Context, in *eventbridge.DeauthorizeConnectionInput) (*eventbridge.DeauthorizeConnectionOutput, error) {
	var c bus.Connection
	err := a.update(ctx, func(tx *store.Tx) error {
		var ok bool
		if c, ok = bus.Connections.Get(tx, scope(ctx).Key(*in.Name)); !ok {
			return noConnection("deauthorize", *in.Name)
		}
		c.Auth = types.CreateConnectionAuthRequestParameters{InvocationHttpParameters: c.Auth.InvocationHttpParameters}
		c.State, c.AuthorizedAt, c.ModifiedAt = types.ConnectionStateDeauthorized, time.Time{}, time.Now().UTC()
		c.Version++
		return bus.Connections.Put(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.DeauthorizeConnectionOutput{ConnectionArn: ptr(c.ARN()), ConnectionState: c.State, CreationTime: &c.CreatedAt, LastModifiedTime: &c.ModifiedAt}, nil
}

// DeleteConnection removes a connection. API destinations that use it are
// inactive from then on.
func (a *API) DeleteConnection(ctx context.Context, in *eventbridge.DeleteConnectionInput) (*eventbridge.DeleteConnectionOutput, error) {
	var c bus.Connection
	err := a.update(ctx, func(tx *store.Tx) error {
		var ok bool
		if c, ok = bus.Connections.Get(tx, scope(ctx).Key(*in.Name)); !ok {
			return noConnection("delete", *in.Name)
		}
		bus.Connections.Delete(tx, c.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.DeleteConnectionOutput{ConnectionArn: ptr(c.ARN()), ConnectionState: types.ConnectionStateDeleting, CreationTime: &c.CreatedAt,
		LastAuthorizedTime: wireTime(c.AuthorizedAt), LastModifiedTime: &c.ModifiedAt}, nil
}

// DescribeConnection shows a connection without its secrets.
func (a *API) DescribeConnection(ctx context.Context, in *eventbridge.DescribeConnectionInput) (*eventbridge.DescribeConnectionOutput, error) {
	var c bus.Connection
	var ok bool
	a.db.View(func(r store.Reader) error {
		c, ok = bus.Connections.Get(r, scope(ctx).Key(*in.Name))
		return nil
	})
	if !ok {
		return nil, noConnection("describe", *in.Name)
	}
	return &eventbridge.DescribeConnectionOutput{Name: &c.Name, ConnectionArn: ptr(c.ARN()), ConnectionState: c.State, StateReason: given(c.Reason), AuthorizationType: c.Type,
		AuthParameters: wireAuth(c.Auth), Description: given(c.Description), SecretArn: ptr(c.SecretARN()), CreationTime: &c.CreatedAt,
		LastAuthorizedTime: wireTime(c.AuthorizedAt), LastModifiedTime: &c.ModifiedAt}, nil
}

// wireAuth leaves the secrets out.
func wireAuth(p types.CreateConnectionAuthRequestParameters) *types.ConnectionAuthResponseParameters {
	out := &types.ConnectionAuthResponseParameters{InvocationHttpParameters: wireHTTP(p.InvocationHttpParameters)}
	if b := p.BasicAuthParameters; b != nil {
		out.BasicAuthParameters = &types.ConnectionBasicAuthResponseParameters{Username: b.Username}
	}
	if k := p.ApiKeyAuthParameters; k != nil {
		out.ApiKeyAuthParameters = &types.ConnectionApiKeyAuthResponseParameters{ApiKeyName: k.ApiKeyName}
	}
	if o := p.OAuthParameters; o != nil {
		out.OAuthParameters = &types.ConnectionOAuthResponseParameters{AuthorizationEndpoint: o.AuthorizationEndpoint, HttpMethod: o.HttpMethod,
			ClientParameters: &types.ConnectionOAuthClientResponseParameters{ClientID: o.ClientParameters.ClientID}, OAuthHttpParameters: wireHTTP(o.OAuthHttpParameters)}
	}
	return out
}

// wireHTTP leaves the values out that are secret.
func wireHTTP(p *types.ConnectionHttpParameters) *types.ConnectionHttpParameters {
	if p == nil {
		return nil
	}
	out := &types.ConnectionHttpParameters{BodyParameters: slices.Clone(p.BodyParameters), HeaderParameters: slices.Clone(p.HeaderParameters), QueryStringParameters: slices.Clone(p.QueryStringParameters)}
	for i, v := range out.BodyParameters {
		if v.IsValueSecret {
			out.BodyParameters[i].Value = nil
		}
	}
	for i, v := range out.HeaderParameters {
		if v.IsValueSecret {
			out.HeaderParameters[i].Value = nil
		}
	}
	for i, v := range out.QueryStringParameters {
		if v.IsValueSecret {
			out.QueryStringParameters[i].Value = nil
		}
	}
	return out
}

// ListConnections lists connections by name.
func (a *API) ListConnections(ctx context.Context, in *eventbridge.ListConnectionsInput) (*eventbridge.ListConnectionsOutput, error) {
	var rows []bus.Connection
	a.db.View(func(r store.Reader) error {
		for c := range bus.Connections.List(r, scope(ctx).Prefix()+deref(in.NamePrefix)) {
			if in.ConnectionState == "" || c.State == in.ConnectionState {
				rows = append(rows, c)
			}
		}
		return nil
	})
	list, next, err := awsapi.Page(ctx, rows, func(c bus.Connection) string { return c.Name }, in.NextToken, in.Limit, page)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListConnectionsOutput{NextToken: next, Connections: []types.Connection{}}
	for _, c := range list {
		out.Connections = append(out.Connections, types.Connection{Name: ptr(c.Name), ConnectionArn: ptr(c.ARN()), ConnectionState: c.State, StateReason: given(c.Reason),
			AuthorizationType: c.Type, CreationTime: ptr(c.CreatedAt), LastAuthorizedTime: wireTime(c.AuthorizedAt), LastModifiedTime: ptr(c.ModifiedAt)})
	}
	return out, nil
}
