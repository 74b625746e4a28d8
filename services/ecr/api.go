// Package ecr serves the Amazon ECR API over the embedded registry of package
// image: what docker push puts there is what DescribeImages shows.
package ecr

import (
	"context"
	"encoding/base64"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/image"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// API is the service: its exported methods are the operations.
type API struct {
	images *image.Store
}

// Config is what the platform tells the service.
type Config struct {
	Images *image.Store
}

// New returns the API over the images.
func New(c Config) *API { return &API{images: c.Images} }

// scope is the region of the call and the account of registryId, the caller's
// where it is nil. Where accounts are proven, no other may be named.
func (a *API) scope(ctx context.Context, registryID *string) (cluster.Scope, error) {
	c := awsapi.CallFrom(ctx)
	s := cluster.Scope{Account: c.Account, Region: c.Region}
	if registryID == nil || *registryID == "" || *registryID == s.Account {
		return s, nil
	}
	if a.images.Enforced() {
		return s, &awsapi.Error{Code: "AccessDeniedException", Message: "registry " + *registryID + " is of another account than the caller's, " + s.Account}
	}
	s.Account = *registryID
	return s, nil
}

// GetAuthorizationToken returns a password for the user AWS for each registry
// named, the caller's own if none is.
func (a *API) GetAuthorizationToken(ctx context.Context, in *ecr.GetAuthorizationTokenInput) (*ecr.GetAuthorizationTokenOutput, error) {
	ids := in.RegistryIds
	if len(ids) == 0 {
		ids = []string{""}
	}
	out := &ecr.GetAuthorizationTokenOutput{}
	for _, id := range ids {
		s, err := a.scope(ctx, &id)
		if err != nil {
			return nil, err
		}
		password, expires := a.images.Token(s)
		out.AuthorizationData = append(out.AuthorizationData, types.AuthorizationData{
			AuthorizationToken: ptr(base64.StdEncoding.EncodeToString([]byte("AWS:" + password))),
			ExpiresAt:          &expires,
			ProxyEndpoint:      ptr("https://" + image.Host(s)),
		})
	}
	return out, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }
