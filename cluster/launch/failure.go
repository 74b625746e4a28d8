package launch

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/scheduler"
)

// maxFailures bounds the failures of one answer on clusters of thousands of
// instances.
const maxFailures = 100

func failure(arn, reason, detail string) *types.Failure {
	f := types.Failure{Reason: &reason}
	if arn != "" {
		f.Arn = &arn
	}
	if detail != "" {
		f.Detail = &detail
	}
	return &f
}

// explain turns the scheduler's reasons into failures.
func (l *launcher) explain(reasons []scheduler.Reason) []types.Failure {
	if len(reasons) == 0 {
		return nil
	}
	if l.LaunchType == types.LaunchTypeFargate {
		return []types.Failure{*failure("", NoCapacity, summary(reasons))}
	}
	var out []types.Failure
	for _, r := range reasons {
		if len(out) == maxFailures {
			break
		}
		detail := r.Detail
		if r.Code == scheduler.ReasonAttribute {
			detail = strings.TrimPrefix(detail, "it lacks the attribute ")
		}
		out = append(out, *failure(cluster.InstanceARN(l.Scope, l.Cluster, r.Node), r.Code, detail))
	}
	return out
}

// summary says why no node took a FARGATE task.
func summary(reasons []scheduler.Reason) string {
	const shown = 5
	var b strings.Builder
	for i, r := range reasons {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more nodes", len(reasons)-shown)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "node %s: %s", r.Node, r.Code)
		if r.Detail != "" {
			fmt.Fprintf(&b, " (%s)", r.Detail)
		}
	}
	return b.String()
}

// nobody is the failure where there is no candidate at all.
func (l *launcher) nobody() types.Failure {
	if l.LaunchType == types.LaunchTypeFargate {
		return *failure("", NoCapacity, "no node that takes FARGATE tasks has joined: start one with `dhow up` or `dhow agent`")
	}
	return *failure("", NoInstances, "")
}

// absent is the failure of an instance that a request names and that cannot
// take tasks.
func (l *launcher) absent(id string) types.Failure {
	arn := cluster.InstanceARN(l.Scope, l.Cluster, id)
	if i, ok := cluster.Instances.Get(l.tx, l.Key(l.Cluster, id)); ok {
		return *failure(arn, scheduler.ReasonAgent, "the container instance is "+string(i.Status))
	}
	return *failure(arn, "MISSING", "")
}
