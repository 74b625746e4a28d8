// Package sts serves the Security Token Service: who a caller is.
package sts

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/dhowhq/dhow/identity"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// API is the service: its exported methods are the operations.
type API struct{}

// New returns the API. It keeps no state.
func New() *API { return &API{} }

// GetCallerIdentity names the account and the principal that the call's
// credentials stand for.
func (*API) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	c := awsapi.CallFrom(ctx)
	user := identity.UserID(c.Account, c.Principal)
	return &sts.GetCallerIdentityOutput{Account: &c.Account, Arn: &c.Principal, UserId: &user}, nil
}
