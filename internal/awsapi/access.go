package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// Allow asks whether the caller that ctx belongs to may do an action
// (SERVICE:OPERATION, in AWS's words) with each of these resources: ARNs, "*" for
// what is about none. Where policies do not count, or nobody calls, the answer is
// yes. The error is a *Denied, or why it cannot be told.
func Allow(ctx context.Context, action string, resources ...string) error {
	c := CallFrom(ctx)
	if c.Allow == nil {
		return nil
	}
	if len(resources) == 0 {
		resources = everything
	}
	for _, r := range resources {
		if err := c.Allow(action, r); err != nil {
			return err
		}
	}
	return nil
}

var everything = []string{"*"}

// AllowFound is Allow for what a call names by an id alone: resources are those
// that the id was found to stand for, none where nobody knows it. Where known is
// false the caller is to be told that there is no such id, be it so or not. Either
// answer depends on what the caller may do with everything: nobody learns from it
// which ids there are, or whose.
func AllowFound(ctx context.Context, action string, resources ...string) (known bool, err error) {
	if len(resources) > 0 {
		err := Allow(ctx, action, resources...)
		if d := (*Denied)(nil); !errors.As(err, &d) {
			return err == nil, err
		}
	}
	return false, Allow(ctx, action)
}

// Denied says that the policies of a caller do not let it do something. The
// services have codes of their own for it; its sentence is IAM's ("Troubleshoot
// access denied error messages", IAM User Guide).
type Denied struct {
	Principal string // ARN of the caller
	Action    string
	Resource  string
	Explicit  bool // a policy denies it, rather than none allowing it
}

func (d *Denied) Error() string {
	who := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s ", d.Principal, d.Action, d.Resource)
	if d.Explicit {
		return who + "with an explicit deny in an identity-based policy"
	}
	return who + "because no identity-based policy allows the " + d.Action + " action"
}

// permit asks whether the caller may make the call. A service that does not say
// what its calls are about is asked for as a whole, so that nothing is open which
// nobody has thought of.
func (svc *service) permit(ctx context.Context, operation string, in any) error {
	if svc.asks != nil {
		return svc.asks(ctx, in)
	}
	return Allow(ctx, svc.info.SigningName+":"+operation)
}

// deniedFault is a refusal in the words of the service: "Common Errors" and
// "Error codes" of the API references.
func deniedFault(m *model.Model, info *model.Info, d *Denied) *fault {
	e := &Error{Code: "AccessDeniedException", Message: d.Error(), Status: http.StatusForbidden}
	switch {
	case info == nil:
	case info.Name == "sns":
		e.Code = "AuthorizationError"
	case info.Protocols[0] == "ec2":
		e.Code, e.Message = "UnauthorizedOperation", "You are not authorized to perform this operation. "+e.Message
	case info.Protocols[0] == "query", info.Protocols[0] == "rest-xml":
		e.Code = "AccessDenied"
	case info.Protocols[0] == "rest-json", info.QueryCompatible:
	default:
		e.Status = http.StatusBadRequest
	}
	return plainFault(m, e)
}
