package deploy

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// gather reads what a plan for the service under key needs. It reports false
// for a service that is not there or not in need of one.
func (e *Engine) gather(key string, now time.Time) (v view, ok bool) {
	v = view{Now: now, Settle: e.settle, Leaving: map[string]bool{}, Bound: map[string][]Bound{}, Free: map[string]int64{}}
	e.cfg.DB.View(func(r store.Reader) error {
		if v.Service, ok = cluster.Services.Get(r, key); !ok || v.Service.Status == "INACTIVE" {
			ok = false
			return nil
		}
		for t := range cluster.Tasks.By(r, "open", key) {
			v.Tasks = append(v.Tasks, t)
			if _, known := v.Free[t.Node]; !known && packs(v.Service) != "" {
				v.Free[t.Node] = free(r, t.Node, packs(v.Service))
			}
			if t.Instance != "" {
				if _, seen := v.Leaving[t.Instance]; !seen {
					i, there := cluster.Instances.Get(r, t.Scope.Key(t.Cluster, t.Instance))
					v.Leaving[t.Instance] = !there || i.Status == types.ContainerInstanceStatusDraining
				}
			}
			if e.cfg.Targets == nil {
				continue
			}
			if b := places(r, v.Service, t); len(b) > 0 {
				v.Bound[t.ID] = b
			}
		}
		return nil
	})
	if e.zones != nil {
		v.Zones = e.zones.of(v.Service)
	}
	for _, bound := range v.Bound {
		for i := range bound {
			bound[i].State, bound[i].Reason = e.cfg.Targets.Health(bound[i].Group, bound[i].Target)
		}
	}
	return v, ok
}

// packs is the resource by which the service packs its tasks first of all: cpu,
// memory, or "" if it does not.
func packs(s cluster.Service) string {
	if len(s.PlacementStrategy) == 0 || s.PlacementStrategy[0].Type != types.PlacementStrategyTypeBinpack {
		return ""
	}
	return strings.ToLower(deref(s.PlacementStrategy[0].Field))
}

// free is what a node has free of a resource.
func free(r store.Reader, node, resource string) int64 {
	n, _ := cluster.Nodes.Get(r, node)
	g, _ := cluster.Ledgers.Get(r, node)
	return amount(n.Total, resource) - amount(g.Used, resource)
}

func amount(r cluster.Resources, resource string) int64 {
	if resource == "cpu" {
		return r.CPU
	}
	return r.Memory
}

// places are the target groups that t belongs to and where it listens: those
// of its own deployment, as far as its node has said its ports yet.
func places(r store.Reader, s cluster.Service, t cluster.Task) (out []Bound) {
	lbs := s.LoadBalancers
	for _, d := range s.Deployments {
		if d.ID == t.StartedBy {
			lbs = d.LoadBalancers
		}
	}
	for _, lb := range lbs {
		if deref(lb.TargetGroupArn) == "" {
			continue
		}
		if target, ok := targetOf(r, t, deref(lb.ContainerName), deref(lb.ContainerPort)); ok {
			out = append(out, Bound{Group: *lb.TargetGroupArn, Port: deref(lb.ContainerPort), Target: target})
		}
	}
	return out
}

// targetOf is where a container's port is reached: at the task's own address,
// or at its node's and the host port.
func targetOf(r store.Reader, t cluster.Task, container string, port int32) (Target, bool) {
	if t.Interface != nil {
		return Target{ID: t.Interface.Address, Port: int(port), Zone: t.Interface.Zone}, true
	}
	n, ok := cluster.Nodes.Get(r, t.Node)
	if !ok {
		return Target{}, false
	}
	out := Target{ID: n.InstanceID(), Zone: t.Zone}
	for _, c := range t.Containers {
		if c.Name != container {
			continue
		}
		for _, b := range c.Bindings {
			if deref(b.ContainerPort) == port && deref(b.HostPort) != 0 {
				out.Port = int(*b.HostPort)
			}
		}
	}
	if out.Port == 0 && t.NetworkMode == types.NetworkModeHost {
		out.Port = int(port)
	}
	return out, out.Port != 0
}
