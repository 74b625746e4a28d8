package deploy

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/scheduler"
)

const (
	always = false
	once   = true

	troubleshooting = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
)

// say adds a line to the service's events, which all begin with its name.
func (p *planner) say(once bool, text string) {
	m := message{Text: "(service " + p.c.Service.Name + ") " + text, Once: once}
	for _, o := range p.c.Messages {
		if o == m {
			return
		}
	}
	p.c.Messages = append(p.c.Messages, m)
}

// act emits an event for EventBridge, once a pass.
func (p *planner) act(kind cluster.Kind, name, level, reason, deployment string) {
	a := action{Kind: kind, Name: name, Type: level, Reason: reason, Deployment: deployment}
	for _, o := range p.c.Actions {
		if o == a {
			return
		}
	}
	p.c.Actions = append(p.c.Actions, a)
}

// started is AWS's line for new tasks.
func started(tasks []cluster.Task) string {
	var b strings.Builder
	fmt.Fprintf(&b, "has started %d tasks:", len(tasks))
	for _, t := range tasks {
		fmt.Fprintf(&b, " (task %s)", t.ID)
	}
	return b.String() + "."
}

// stopped is AWS's line for tasks that were told to stop.
func stopped(ids []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "has stopped %d running tasks:", len(ids))
	for _, id := range ids {
		fmt.Fprintf(&b, " (task %s)", id)
	}
	return b.String() + "."
}

// unplaced is AWS's line for a task that found no place, and the reason's code.
func unplaced(lt types.LaunchType, failures []types.Failure) (text, code string) {
	const lead = "was unable to place a task because no container instance met all of its requirements."
	f := failures[0]
	code = deref(f.Reason)
	switch {
	case lt == types.LaunchTypeFargate && code == launch.NoCapacity:
		// Which nodes lack what, without the numbers: a text comes once in six hours.
		lacking, _, _ := strings.Cut(deref(f.Detail), " (")
		return "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone. No node has room: " + lacking + ". " + troubleshooting, code
	case code == launch.NoInstances:
		return lead + " Reason: No Container Instances were found in your cluster. " + troubleshooting, code
	case code == launch.NoAddress:
		return "was unable to place a task. Reason: " + deref(f.Detail) + ". " + troubleshooting, code
	}
	if f.Arn == nil || *f.Arn == "" {
		return "was unable to place a task. Reason: " + strings.TrimSuffix(code, ".") + ". " + troubleshooting, code
	}
	why := "encountered error '" + code + "'"
	switch code {
	case scheduler.ReasonCPU:
		why = "has insufficient CPU units available"
	case scheduler.ReasonMemory:
		why = "has insufficient memory available"
	case scheduler.ReasonPorts:
		why = "is already using a port required by your task"
	case scheduler.ReasonAttribute:
		why = "is missing an attribute required by your task"
	case scheduler.ReasonAgent:
		why = "has an agent that is disconnected"
	}
	arn := deref(f.Arn)
	return fmt.Sprintf("%s The closest matching (container-instance %s) %s. %s", lead, arn[strings.LastIndex(arn, "/")+1:], why, troubleshooting), code
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
