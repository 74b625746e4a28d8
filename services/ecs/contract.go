package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Contracts knows what services write and read of each other's messages, as the
// Docker labels of task definitions declare it.
type Contracts interface {
	// Read returns an error, for users to read, where a definition's labels
	// cannot be read.
	Read(d types.TaskDefinition) error
	// Deploy lists in sentences what speaks against service s running definition
	// d beside all that runs; none: nothing does. The error is not the caller's
	// fault, or that the caller may not read what is declared.
	Deploy(ctx context.Context, tx *store.Tx, s cluster.Service, d cluster.TaskDefinition) (reasons []string, err error)
}

// forceTag on a service lets a deployment in that contracts speak against. Its
// value is the reason, and a reason is good for one revision: what was forced
// once must not force by itself what comes later.
const forceTag = "dhow:contract-force"

// checkContracts refuses a revision that some running service could not read, or
// that could not read what some running service writes; s has the tags that
// count. It returns a line for the service's events where it was forced.
func (a *API) checkContracts(ctx context.Context, tx *store.Tx, s *cluster.Service, d cluster.TaskDefinition) (event string, err error) {
	if a.cfg.Contracts == nil {
		return "", nil
	}
	reasons, err := a.cfg.Contracts.Deploy(ctx, tx, *s, d)
	if err != nil || len(reasons) == 0 {
		return "", err
	}
	revision := fmt.Sprintf("%s:%d", d.Family, d.Revision)
	why := strings.Join(reasons, "\n")
	i := slices.IndexFunc(s.Tags, func(t types.Tag) bool { return deref(t.Key) == forceTag })
	hint := fmt.Sprintf("To deploy all the same, tag the service %s=REASON.", forceTag)
	if i >= 0 {
		reason := strings.TrimSpace(deref(s.Tags[i].Value))
		use := cluster.ContractForce{Reason: reason, Revision: revision}
		switch used := s.Forced; {
		case reason == "":
			hint = fmt.Sprintf("The service's tag %s has no value: give it the reason for which to deploy all the same.", forceTag)
		case used != nil && used.Reason == reason && used.Revision != revision:
			hint = fmt.Sprintf("The reason of the service's tag %s was used for %s: to deploy %s all the same, give it another one.", forceTag, used.Revision, revision)
		default:
			s.Forced = &use
			return fmt.Sprintf("(service %s) deploys %s against its contracts, for the reason: %s. %s", s.Name, revision, reason, why), nil
		}
	}
	return "", clientErr("%s is not deployed: its contracts do not get on with what runs. %s\n%s", revision, why, hint)
}

// hasBeenLetIn reports whether a service runs a revision already, be it beside the
// one that its rollout brings, or may go back to it: that stays, is scaled and is
// gone back to whatever came since. All that is deployed is held against it, too.
func hasBeenLetIn(s cluster.Service, d cluster.TaskDefinition) bool {
	is := func(o cluster.Deployment) bool { return o.Family == d.Family && o.Revision == d.Revision }
	return slices.ContainsFunc(s.Deployments, is) || s.Stable != nil && is(*s.Stable)
}

// logForced is called once the deployment is committed.
func (a *API) logForced(event string) {
	if event != "" {
		a.log.Warn("a deployment was forced", "what", event)
	}
}

// noteForced tells of a deployment that was forced, in the service's events.
func noteForced(tx *store.Tx, s cluster.Service, event string) error {
	if event == "" {
		return nil
	}
	return cluster.AddServiceEvents(tx, s.Key(), cluster.ServiceEvent{ID: cluster.NewUUID(), At: now(), Message: event})
}
