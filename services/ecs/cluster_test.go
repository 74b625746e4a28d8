package ecs

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

func (f *fixture) describeCluster(name string, include ...types.ClusterField) types.Cluster {
	f.t.Helper()
	out, err := f.DescribeClusters(f.ctx, &ecs.DescribeClustersInput{Clusters: []string{name}, Include: include})
	must(f.t, err)
	if len(out.Clusters) != 1 {
		f.t.Fatalf("failures %v", reasons(out.Failures))
	}
	return out.Clusters[0]
}

func TestClusterLife(t *testing.T) {
	f := newFixture(t)
	in := &ecs.CreateClusterInput{ClusterName: ptr("c1"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"},
		DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: ptr("FARGATE"), Weight: 1}},
		Settings:                        []types.ClusterSetting{{Name: "containerInsights", Value: ptr("enabled")}},
		Tags:                            []types.Tag{{Key: ptr("a"), Value: ptr("b")}}}
	created, err := f.CreateCluster(f.ctx, in)
	must(t, err)
	c := created.Cluster
	if *c.ClusterArn != "arn:aws:ecs:us-east-1:000000000000:cluster/c1" || *c.Status != "ACTIVE" || c.RegisteredContainerInstancesCount != 1 || len(c.Tags) != 1 || *c.Settings[0].Value != "enabled" {
		t.Errorf("created %+v", c)
	}
	_, err = f.CreateCluster(f.ctx, in) // the same again
	must(t, err)
	_, err = f.CreateCluster(f.ctx, &ecs.CreateClusterInput{ClusterName: ptr("c1")}) // nothing else
	must(t, err)
	_, err = f.CreateCluster(f.ctx, &ecs.CreateClusterInput{ClusterName: ptr("c1"), Tags: []types.Tag{{Key: ptr("x")}}})
	refused(t, err, "InvalidParameterException", "inconsistent with arguments used in previous request")

	f.define("job", fargate)
	task := f.run1("job", func(in *ecs.RunTaskInput) { in.Cluster, in.NetworkConfiguration = ptr("c1"), f.vpc() })
	if task.LaunchType != "FARGATE" || *task.CapacityProviderName != "FARGATE" {
		t.Errorf("by the default strategy: %s, %s", task.LaunchType, deref(task.CapacityProviderName))
	}
	d := f.describeCluster("c1")
	if d.PendingTasksCount != 1 || d.RunningTasksCount != 0 || len(d.Tags) != 0 || len(d.Settings) != 0 || len(d.Statistics) != 0 || len(d.CapacityProviders) != 2 {
		t.Errorf("described %+v", d)
	}
	f.submit(task, "RUNNING")
	d = f.describeCluster("c1", "TAGS", "SETTINGS", "STATISTICS")
	statistics := map[string]string{}
	for _, s := range d.Statistics {
		statistics[*s.Name] = *s.Value
	}
	if d.RunningTasksCount != 1 || len(d.Tags) != 1 || len(d.Settings) != 1 || statistics["runningFargateTasksCount"] != "1" || statistics["pendingEC2TasksCount"] != "0" || len(statistics) != 12 {
		t.Errorf("described with all: %+v, %v", d, statistics)
	}
	_, err = f.DeleteCluster(f.ctx, &ecs.DeleteClusterInput{Cluster: ptr("c1")})
	refused(t, err, "ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
	f.submit(task, "STOPPED")
	deleted, err := f.DeleteCluster(f.ctx, &ecs.DeleteClusterInput{Cluster: ptr("arn:aws:ecs:us-east-1:000000000000:cluster/c1")})
	must(t, err)
	if *deleted.Cluster.Status != "INACTIVE" || *f.describeCluster("c1").Status != "INACTIVE" || f.describeCluster("c1").RegisteredContainerInstancesCount != 0 {
		t.Error("not INACTIVE, or still with instances")
	}
	_, err = f.DeleteCluster(f.ctx, &ecs.DeleteClusterInput{Cluster: ptr("c1")})
	refused(t, err, "ClusterNotFoundException", "Cluster not found.")
	if l, err := f.ListClusters(f.ctx, &ecs.ListClustersInput{}); err != nil || len(l.ClusterArns) != 0 {
		t.Errorf("listed %v, %v", l, err)
	}
	again, err := f.CreateCluster(f.ctx, &ecs.CreateClusterInput{ClusterName: ptr("c1")})
	must(t, err)
	if len(again.Cluster.Tags) != 0 || again.Cluster.RegisteredContainerInstancesCount != 1 {
		t.Errorf("created again %+v", again.Cluster)
	}
}

func TestClusterChanges(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	_, err := f.UpdateCluster(f.ctx, &ecs.UpdateClusterInput{Cluster: ptr("default"), Configuration: &types.ClusterConfiguration{
		ExecuteCommandConfiguration: &types.ExecuteCommandConfiguration{Logging: "DEFAULT"}}})
	must(t, err)
	_, err = f.UpdateClusterSettings(f.ctx, &ecs.UpdateClusterSettingsInput{Cluster: ptr("default"), Settings: []types.ClusterSetting{{Name: "containerInsights", Value: ptr("enhanced")}}})
	must(t, err)
	_, err = f.PutClusterCapacityProviders(f.ctx, &ecs.PutClusterCapacityProvidersInput{Cluster: ptr("default"), CapacityProviders: []string{"FARGATE"},
		DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: ptr("FARGATE"), Base: 1, Weight: 1}}})
	must(t, err)
	d := f.describeCluster("default", "SETTINGS", "CONFIGURATIONS")
	if *d.Settings[0].Value != "enhanced" || d.Configuration.ExecuteCommandConfiguration.Logging != "DEFAULT" || len(d.CapacityProviders) != 1 || d.DefaultCapacityProviderStrategy[0].Base != 1 {
		t.Errorf("%+v", d)
	}
	out, err := f.DescribeClusters(f.ctx, &ecs.DescribeClustersInput{Clusters: []string{"default", "nope"}})
	must(t, err)
	if len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" || *out.Failures[0].Arn != "arn:aws:ecs:us-east-1:000000000000:cluster/nope" {
		t.Errorf("failures %+v", out.Failures)
	}
	item := func(p string, base, weight int32) types.CapacityProviderStrategyItem {
		return types.CapacityProviderStrategyItem{CapacityProvider: &p, Base: base, Weight: weight}
	}
	put := func(strategy ...types.CapacityProviderStrategyItem) error {
		_, err := f.PutClusterCapacityProviders(f.ctx, &ecs.PutClusterCapacityProvidersInput{Cluster: ptr("default"),
			CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: strategy})
		return err
	}
	refused(t, put(item("FARGATE", 1, 1), item("FARGATE_SPOT", 1, 1)), "InvalidParameterException", "more than one base")
	refused(t, put(item("FARGATE", 0, 0), item("FARGATE_SPOT", 0, 0)), "InvalidParameterException", "weight greater than 0")
	refused(t, put(item("FARGATE", 0, 1001)), "InvalidParameterException", "between 0 and 1000")
	refused(t, put(item("mine", 0, 1)), "InvalidParameterException", "not associated with the cluster")
	_, err = f.PutClusterCapacityProviders(f.ctx, &ecs.PutClusterCapacityProvidersInput{Cluster: ptr("default"), CapacityProviders: []string{"mine"}})
	refused(t, err, "ClientException", "does not exist: mine")
	_, err = f.CreateCluster(f.ctx, &ecs.CreateClusterInput{ClusterName: ptr("a/b")})
	refused(t, err, "InvalidParameterException", "ClusterName must match")
	_, err = f.UpdateCluster(f.ctx, &ecs.UpdateClusterInput{Cluster: ptr("default"), ServiceConnectDefaults: &types.ClusterServiceConnectDefaultsRequest{Namespace: ptr("ns")}})
	refused(t, err, "UnsupportedFeatureException", "serviceConnectDefaults")
	_, err = f.UpdateClusterSettings(f.ctx, &ecs.UpdateClusterSettingsInput{Cluster: ptr("default"), Settings: []types.ClusterSetting{{Name: "containerInsights", Value: ptr("maybe")}}})
	refused(t, err, "InvalidParameterException", "enabled, enhanced or disabled")
}

// What one account or region has, others do not see.
func TestScopes(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	for _, s := range []cluster.Scope{{Account: "111111111111", Region: "us-east-1"}, {Account: "000000000000", Region: "eu-west-1"}} {
		ctx := f.caller(s)
		if l, err := f.ListClusters(ctx, &ecs.ListClustersInput{}); err != nil || len(l.ClusterArns) != 0 {
			t.Errorf("%v lists %v, %v", s, l, err)
		}
		_, err := f.RunTask(ctx, &ecs.RunTaskInput{TaskDefinition: ptr("x")})
		refused(t, err, "ClusterNotFoundException", "Cluster not found.")
	}
	// Its own default cluster has the same node and a default VPC of its own.
	g := *f
	g.scope = cluster.Scope{Account: "111111111111", Region: "us-east-1"}
	g.ctx = f.caller(g.scope)
	g.cluster("default")
	g.define("job", fargate)
	task := g.run1("job", func(in *ecs.RunTaskInput) { in.LaunchType, in.NetworkConfiguration = "FARGATE", g.vpc() })
	if *task.ClusterArn != "arn:aws:ecs:us-east-1:111111111111:cluster/default" {
		t.Errorf("task of %s", *task.ClusterArn)
	}
	g.submit(task, "RUNNING") // by the node's agent, of neither account
}

func TestDeleteClusterWithInstances(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	_, err := f.RegisterContainerInstance(f.ctx, &ecs.RegisterContainerInstanceInput{Cluster: ptr("default"), TotalResources: total(1024, 1024)})
	must(t, err)
	_, err = f.DeleteCluster(f.ctx, &ecs.DeleteClusterInput{Cluster: ptr("default")})
	refused(t, err, "ClusterContainsContainerInstancesException", "while Container Instances are active or draining")
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		return cluster.Services.Put(tx, cluster.Service{Scope: f.scope, Cluster: "default", Name: "s", Status: "DRAINING"})
	}))
	_, err = f.DeleteCluster(f.ctx, &ecs.DeleteClusterInput{Cluster: ptr("default")})
	refused(t, err, "ClusterContainsServicesException", "while Services are active")
	if *f.describeCluster("default").Status != "ACTIVE" {
		t.Error("a refused deletion changed the cluster")
	}
}

func TestCapacityProviders(t *testing.T) {
	f := newFixture(t)
	out, err := f.DescribeCapacityProviders(f.ctx, &ecs.DescribeCapacityProvidersInput{})
	must(t, err)
	if len(out.CapacityProviders) != 2 || *out.CapacityProviders[0].Name != "FARGATE" || out.CapacityProviders[0].Status != "ACTIVE" {
		t.Errorf("providers %+v", out.CapacityProviders)
	}
	out, err = f.DescribeCapacityProviders(f.ctx, &ecs.DescribeCapacityProvidersInput{CapacityProviders: []string{"FARGATE_SPOT", "mine"}})
	must(t, err)
	if len(out.CapacityProviders) != 1 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("%d providers, failures %v", len(out.CapacityProviders), reasons(out.Failures))
	}
	out, err = f.DescribeCapacityProviders(f.ctx, &ecs.DescribeCapacityProvidersInput{MaxResults: ptr(int32(1))})
	must(t, err)
	if len(out.CapacityProviders) != 1 || out.NextToken == nil {
		t.Errorf("a page of one has %d", len(out.CapacityProviders))
	}
	f.cluster("default")
	out, err = f.DescribeCapacityProviders(f.ctx, &ecs.DescribeCapacityProvidersInput{Cluster: ptr("default")})
	must(t, err)
	if len(out.CapacityProviders) != 0 {
		t.Error("a cluster without providers has some")
	}
}

// A deletion that was cut short after its commit leaves no instance to the next
// cluster of the name.
func TestCreateAfterHalfDeletion(t *testing.T) {
	f := newFixture(t)
	f.cluster("c")
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		c, _ := cluster.Clusters.Get(tx, f.scope.Key("c"))
		c.Status = "INACTIVE"
		return cluster.Clusters.Put(tx, c)
	}))
	f.cluster("c")
	if n := f.describeCluster("c").RegisteredContainerInstancesCount; n != 1 {
		t.Errorf("%d instances, want 1", n)
	}
}

func BenchmarkDescribeClusters(b *testing.B) {
	f := benchFixture(b)
	in := &ecs.DescribeClustersInput{Clusters: []string{"default"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.DescribeClusters(f.ctx, in); err != nil {
			b.Fatal(err)
		}
	}
}
