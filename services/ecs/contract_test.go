package ecs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// contracts speaks against revisions.
type contracts struct {
	against map[int32]bool
	asked   []string
}

func (c *contracts) Read(d types.TaskDefinition) error {
	if d.ContainerDefinitions[0].DockerLabels["bad"] != "" {
		return errors.New("label bad of container 'c': it cannot be read")
	}
	return nil
}

func (c *contracts) Deploy(_ context.Context, tx *store.Tx, s cluster.Service, d cluster.TaskDefinition) ([]string, error) {
	c.asked = append(c.asked, fmt.Sprintf("%s/%s %s:%d", s.Cluster, s.Name, d.Family, d.Revision))
	if c.against[d.Revision] {
		return []string{"billing could not read it."}, nil
	}
	return nil, nil
}

func TestContracts(t *testing.T) {
	f := newServices(t)
	c := &contracts{against: map[int32]bool{2: true, 3: true}}
	f.cfg.Contracts = c
	f.define("web")
	refused := func(err error, wants ...string) {
		t.Helper()
		var ce *types.ClientException
		if !errors.As(err, &ce) {
			t.Fatalf("error %v, want a ClientException", err)
		}
		for _, w := range wants {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
	}
	_, err := f.RegisterTaskDefinition(f.ctx, &ecs.RegisterTaskDefinitionInput{Family: ptr("x"), ContainerDefinitions: []types.ContainerDefinition{{
		Name: ptr("c"), Image: ptr("i"), Memory: ptr(int32(8)), DockerLabels: map[string]string{"bad": "1"}}}})
	refused(err, "label bad of container 'c'")

	_, err = f.CreateService(f.ctx, createInput())
	refused(err, "web:3 is not deployed", "billing could not read it.", "tag the service dhow:contract-force=REASON")
	s := f.create(func(in *ecs.CreateServiceInput) { in.TaskDefinition = ptr("web:1") })
	to := func(revision string) error {
		_, err := f.UpdateService(f.ctx, &ecs.UpdateServiceInput{Service: ptr("web"), TaskDefinition: ptr(revision)})
		return err
	}
	tag := func(value string) {
		t.Helper()
		_, err := f.TagResource(f.ctx, &ecs.TagResourceInput{ResourceArn: s.ServiceArn, Tags: []types.Tag{{Key: ptr(forceTag), Value: &value}}})
		must(t, err)
	}
	change := func(how func(*cluster.Service)) {
		t.Helper()
		must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
			s, _ := cluster.Services.Get(tx, cluster.ServiceKey(f.scope, "default", "web"))
			s.Deployments = slices.Clone(s.Deployments)
			how(&s)
			return cluster.Services.Put(tx, s)
		}))
	}
	refused(to("web:2"), "web:2 is not deployed")
	tag("")
	refused(to("web:2"), "has no value")
	tag("old billing is gone")
	must(t, to("web:2"))
	// A reason is good for one revision, and for that again.
	refused(to("web:3"), "was used for web:2: to deploy web:3 all the same, give it another one")
	must(t, to("web:1"))
	change(func(s *cluster.Service) { s.Deployments = s.Deployments[:1] }) // the rollout is complete
	must(t, to("web:2"))
	out, err := f.DescribeServices(f.ctx, &ecs.DescribeServicesInput{Services: []string{"web"}})
	must(t, err)
	if e := out.Services[0].Events; len(e) != 2 || !strings.Contains(*e[0].Message, "(service web) deploys web:2 against its contracts, for the reason: old billing is gone. billing could not read it.") {
		t.Errorf("events %+v", e)
	}
	// What runs is scaled and deployed anew whatever speaks against it.
	tag("another")
	c.asked = nil
	_, err = f.UpdateService(f.ctx, &ecs.UpdateServiceInput{Service: ptr("web"), DesiredCount: ptr(int32(5)), ForceNewDeployment: true})
	must(t, err)
	if len(c.asked) > 0 {
		t.Errorf("asked for %q", c.asked)
	}

	// Nor is it where an update goes back to what a rollout still replaces, or to
	// the last revision that was complete.
	must(t, to("web:1"))
	change(func(s *cluster.Service) {
		s.Stable = &cluster.Deployment{Family: "web", Revision: 2}
		s.Deployments = s.Deployments[:1]
	})
	must(t, to("web:2"))
	if len(c.asked) > 0 {
		t.Errorf("going back: asked for %q", c.asked)
	}
	change(func(s *cluster.Service) { s.Deployments, s.Stable = s.Deployments[:1], nil })
	tag("")
	refused(to("web:3"), "web:3 is not deployed")

	f.create(func(in *ecs.CreateServiceInput) {
		in.ServiceName, in.Tags = ptr("forced"), []types.Tag{{Key: ptr(forceTag), Value: ptr("first")}}
	})
}
