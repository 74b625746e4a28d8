package ecs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

const (
	groupARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"
	// The target group of another account.
	foreignARN = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/web/0123456789abcdef"
)

// newServices is a fixture with a cluster, definitions web (revisions 1, 2) and
// far (for Fargate), and a target group.
func newServices(t *testing.T) *fixture {
	f := newFixture(t)
	f.cfg.TargetGroup = func(s cluster.Scope, arn string) (string, []string) {
		if !strings.Contains(arn, ":"+s.Region+":"+s.Account+":") {
			return "", nil
		}
		switch arn {
		case groupARN, foreignARN:
			return "instance", []string{"lb"}
		case groupARN + "1":
			return "ip", []string{"lb"}
		case groupARN + "0":
			return "instance", nil
		}
		return "", nil
	}
	f.cluster("default")
	ports := func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80))}}
	}
	f.define("web", ports)
	f.define("web", ports)
	f.define("far", ports, fargate)
	return f
}

func createInput(changes ...func(*ecs.CreateServiceInput)) *ecs.CreateServiceInput {
	in := &ecs.CreateServiceInput{ServiceName: ptr("web"), TaskDefinition: ptr("web"), DesiredCount: ptr(int32(2))}
	for _, c := range changes {
		c(in)
	}
	return in
}

func (f *fixture) create(changes ...func(*ecs.CreateServiceInput)) types.Service {
	f.t.Helper()
	out, err := f.CreateService(f.ctx, createInput(changes...))
	must(f.t, err)
	return *out.Service
}

func (f *fixture) update(changes ...func(*ecs.UpdateServiceInput)) types.Service {
	f.t.Helper()
	in := &ecs.UpdateServiceInput{Service: ptr("web")}
	for _, c := range changes {
		c(in)
	}
	out, err := f.UpdateService(f.ctx, in)
	must(f.t, err)
	return *out.Service
}

func (f *fixture) onFargate(in *ecs.CreateServiceInput) {
	in.TaskDefinition, in.LaunchType, in.NetworkConfiguration = ptr("far"), types.LaunchTypeFargate, f.vpc()
}

func balanced(in *ecs.CreateServiceInput) {
	in.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: ptr(groupARN), ContainerName: ptr("app"), ContainerPort: ptr(int32(80))}}
}

func TestCreateService(t *testing.T) {
	f := newServices(t)
	s := f.create(func(in *ecs.CreateServiceInput) { in.Tags = []types.Tag{{Key: ptr("a"), Value: ptr("b")}} })
	d := s.Deployments[0]
	for what, ok := range map[string]bool{
		"arn":        *s.ServiceArn == "arn:aws:ecs:us-east-1:000000000000:service/default/web",
		"status":     *s.Status == "ACTIVE" && s.DesiredCount == 2 && s.RunningCount == 0,
		"definition": *s.TaskDefinition == "arn:aws:ecs:us-east-1:000000000000:task-definition/web:2",
		"defaults": s.LaunchType == "EC2" && s.SchedulingStrategy == "REPLICA" && s.PropagateTags == "NONE" && s.PlatformVersion == nil &&
			s.DeploymentController.Type == "ECS" && s.AvailabilityZoneRebalancing == "ENABLED" && s.HealthCheckGracePeriodSeconds == nil,
		"configuration": *s.DeploymentConfiguration.MinimumHealthyPercent == 100 && *s.DeploymentConfiguration.MaximumPercent == 200 &&
			!s.DeploymentConfiguration.DeploymentCircuitBreaker.Enable && s.DeploymentConfiguration.Strategy == "ROLLING",
		"lists": s.LoadBalancers != nil && s.ServiceRegistries != nil && s.PlacementConstraints != nil && s.PlacementStrategy != nil &&
			s.Events != nil && s.TaskSets != nil,
		"deployment": len(s.Deployments) == 1 && *d.Status == "PRIMARY" && d.RolloutState == "IN_PROGRESS" && d.DesiredCount == 2 &&
			*d.RolloutStateReason == fmt.Sprintf("ECS deployment %s in progress.", *d.Id) && *d.TaskDefinition == *s.TaskDefinition,
		"who":  *s.CreatedBy == "arn:aws:iam::000000000000:user/test" && s.CreatedAt != nil,
		"tags": len(s.Tags) == 1,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, s)
		}
	}
	_, err := f.CreateService(f.ctx, createInput())
	refused(t, err, "InvalidParameterException", "Creation of service was not idempotent.")

	fg := f.create(f.onFargate, balanced, func(in *ecs.CreateServiceInput) {
		in.ServiceName, in.LoadBalancers[0].TargetGroupArn = ptr("far"), ptr(groupARN+"1")
	})
	if fg.LaunchType != "FARGATE" || *fg.PlatformVersion != "LATEST" || *fg.Deployments[0].PlatformVersion != "1.4.0" || *fg.PlatformFamily != "Linux" ||
		fg.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp != "DISABLED" || *fg.HealthCheckGracePeriodSeconds != 0 ||
		*fg.RoleArn != "arn:aws:iam::000000000000:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS" {
		t.Errorf("%+v", fg)
	}
}

func TestCreateServiceToken(t *testing.T) {
	f := newServices(t)
	token := func(in *ecs.CreateServiceInput) { in.ClientToken = ptr("t1") }
	one, two := f.create(token), f.create(token)
	if *one.Deployments[0].Id != *two.Deployments[0].Id {
		t.Error("the second call made another deployment")
	}
	_, err := f.CreateService(f.ctx, createInput(token, func(in *ecs.CreateServiceInput) { in.DesiredCount = ptr(int32(3)) }))
	refused(t, err, "InvalidParameterException", "Creation of service was not idempotent.")
	for _, bad := range []string{strings.Repeat("x", 37), "a b", "ü"} {
		_, err := f.CreateService(f.ctx, createInput(func(in *ecs.CreateServiceInput) { in.ClientToken = &bad }))
		refused(t, err, "InvalidParameterException", "Invalid clientToken")
	}
}

func TestRefusedServices(t *testing.T) {
	f := newServices(t)
	type input = ecs.CreateServiceInput
	configure := func(c types.DeploymentConfiguration) func(*input) {
		return func(in *input) { in.DeploymentConfiguration = &c }
	}
	balance := func(lb types.LoadBalancer) func(*input) {
		return func(in *input) { in.LoadBalancers = []types.LoadBalancer{lb} }
	}
	n := func(v int32) *int32 { return &v }
	for _, c := range []struct {
		change     func(*input)
		code, want string
	}{
		{func(in *input) { in.ServiceName = nil }, "InvalidParameterException", "Service name can not be blank."},
		{func(in *input) { in.ServiceName = ptr("a b") }, "InvalidParameterException", "Invalid service name"},
		{func(in *input) { in.DesiredCount = nil }, "InvalidParameterException", "desiredCount"},
		{func(in *input) { in.DesiredCount = n(-1) }, "InvalidParameterException", "must not be negative"},
		{func(in *input) { in.Cluster = ptr("none") }, "ClusterNotFoundException", "Cluster not found."},
		{func(in *input) { in.TaskDefinition = nil }, "ClientException", "TaskDefinition can not be blank."},
		{func(in *input) { in.TaskDefinition = ptr("none") }, "ClientException", "TaskDefinition not found."},
		{func(in *input) { in.LaunchType = "FARGATE" }, "InvalidParameterException", "Task definition does not support launch_type FARGATE."},
		{func(in *input) { in.PlatformVersion = ptr("1.4.0") }, "InvalidParameterException", "The platform version must be null when specifying an EC2 launch type."},
		{func(in *input) { in.PlatformVersion = ptr("9") }, "PlatformUnknownException", "9"},
		{func(in *input) { f.onFargate(in); in.NetworkConfiguration = nil }, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
		{func(in *input) { in.NetworkConfiguration = f.vpc() }, "InvalidParameterException", "Network Configuration is not valid for the given networkMode of this task definition."},
		{func(in *input) {
			f.onFargate(in)
			in.NetworkConfiguration.AwsvpcConfiguration.Subnets = []string{"subnet-x"}
		}, "InvalidParameterException", "The subnet ID 'subnet-x' does not exist"},
		{func(in *input) {
			f.onFargate(in)
			in.PlacementStrategy = []types.PlacementStrategy{{Type: "random"}}
		}, "InvalidParameterException", "Placement strategies are not supported with FARGATE launch type."},
		{func(in *input) { in.PlacementStrategy = []types.PlacementStrategy{{Type: "binpack", Field: ptr("x")}} }, "InvalidParameterException", "binpack field 'x' is invalid"},
		{func(in *input) {
			in.PlacementConstraints = []types.PlacementConstraint{{Type: "distinctInstance", Expression: ptr("x")}}
		}, "InvalidParameterException", "distinctInstance expression should not be specified"},
		{configure(types.DeploymentConfiguration{MinimumHealthyPercent: n(101)}), "InvalidParameterException", "minimumHealthyPercent must be at most 100"},
		{configure(types.DeploymentConfiguration{MaximumPercent: n(100)}), "InvalidParameterException", "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments."},
		{configure(types.DeploymentConfiguration{Strategy: "BLUE_GREEN"}), "UnsupportedFeatureException", "deploymentConfiguration.strategy BLUE_GREEN"},
		{configure(types.DeploymentConfiguration{Alarms: &types.DeploymentAlarms{Enable: true}}), "UnsupportedFeatureException", "deploymentConfiguration.alarms"},
		{func(in *input) { in.SchedulingStrategy = "DAEMON" }, "UnsupportedFeatureException", "schedulingStrategy DAEMON"},
		{func(in *input) { in.DeploymentController = &types.DeploymentController{Type: "CODE_DEPLOY"} }, "UnsupportedFeatureException", "deploymentController CODE_DEPLOY"},
		{func(in *input) { in.ServiceRegistries = make([]types.ServiceRegistry, 1) }, "UnsupportedFeatureException", "serviceRegistries"},
		{func(in *input) { in.ServiceConnectConfiguration = &types.ServiceConnectConfiguration{Enabled: true} }, "UnsupportedFeatureException", "serviceConnectConfiguration"},
		{func(in *input) { in.VolumeConfigurations = make([]types.ServiceVolumeConfiguration, 1) }, "UnsupportedFeatureException", "volumeConfigurations"},
		{func(in *input) { in.VpcLatticeConfigurations = make([]types.VpcLatticeConfiguration, 1) }, "UnsupportedFeatureException", "vpcLatticeConfigurations"},
		{balance(types.LoadBalancer{LoadBalancerName: ptr("old")}), "UnsupportedFeatureException", "Classic"},
		{balance(types.LoadBalancer{LoadBalancerName: ptr("old"), TargetGroupArn: ptr(groupARN)}), "InvalidParameterException", "loadBalancerName and targetGroupArn cannot both be specified."},
		{balance(types.LoadBalancer{TargetGroupArn: ptr(groupARN + "1"), ContainerName: ptr("app"), ContainerPort: n(80)}), "InvalidParameterException", "The provided target group " + groupARN + "1 has target type ip, which is incompatible with the bridge network mode specified in the task definition."},
		{balance(types.LoadBalancer{TargetGroupArn: ptr(groupARN), ContainerPort: n(80)}), "InvalidParameterException", "Container Name can not be blank."},
		{balance(types.LoadBalancer{TargetGroupArn: ptr(groupARN), ContainerName: ptr("db"), ContainerPort: n(80)}), "InvalidParameterException", "The container db does not exist in the task definition."},
		{balance(types.LoadBalancer{TargetGroupArn: ptr(groupARN), ContainerName: ptr("app"), ContainerPort: n(81)}), "InvalidParameterException", "The container app did not have a container port 81 defined."},
		{balance(types.LoadBalancer{TargetGroupArn: ptr(groupARN + "0"), ContainerName: ptr("app"), ContainerPort: n(80)}), "InvalidParameterException", "does not have an associated load balancer."},
		{balance(types.LoadBalancer{TargetGroupArn: ptr("arn:x"), ContainerName: ptr("app"), ContainerPort: n(80)}), "InvalidParameterException", "The target group with targetGroupArn arn:x does not exist."},
		{balance(types.LoadBalancer{TargetGroupArn: ptr(foreignARN), ContainerName: ptr("app"), ContainerPort: n(80)}), "InvalidParameterException", "The target group with targetGroupArn " + foreignARN + " does not exist."},
		{func(in *input) {
			in.LaunchType = "EC2"
			in.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: ptr("FARGATE")}}
		}, "InvalidParameterException", "Specifying both a launch type and capacity provider strategy is not supported."},
		{func(in *input) {
			in.AvailabilityZoneRebalancing = "ENABLED"
			in.PlacementStrategy = []types.PlacementStrategy{{Type: "random"}}
		}, "InvalidParameterException", "Availability Zone rebalancing can not be ENABLED"},
	} {
		_, err := f.CreateService(f.ctx, createInput(c.change))
		refused(t, err, c.code, c.want)
	}
}

func TestUpdateService(t *testing.T) {
	f := newServices(t)
	first := f.create(func(in *ecs.CreateServiceInput) { in.TaskDefinition = ptr("web:1") })
	id := *first.Deployments[0].Id

	for what, change := range map[string]func(*ecs.UpdateServiceInput){
		"nothing":       func(*ecs.UpdateServiceInput) {},
		"the same":      func(in *ecs.UpdateServiceInput) { in.TaskDefinition = ptr("web:1") },
		"desired count": func(in *ecs.UpdateServiceInput) { in.DesiredCount = ptr(int32(5)) },
		"configuration": func(in *ecs.UpdateServiceInput) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{MinimumHealthyPercent: ptr(int32(50))}
		},
		"placement":        func(in *ecs.UpdateServiceInput) { in.PlacementStrategy = []types.PlacementStrategy{{Type: "random"}} },
		"managed tags":     func(in *ecs.UpdateServiceInput) { in.EnableECSManagedTags = ptr(true) },
		"no load balancer": func(in *ecs.UpdateServiceInput) { in.LoadBalancers = []types.LoadBalancer{} },
	} {
		if s := f.update(change); len(s.Deployments) != 1 || *s.Deployments[0].Id != id {
			t.Errorf("%s began a deployment", what)
		}
	}
	s := f.update()
	if s.DesiredCount != 5 || s.Deployments[0].DesiredCount != 5 || *s.DeploymentConfiguration.MinimumHealthyPercent != 50 ||
		*s.DeploymentConfiguration.MaximumPercent != 200 || len(s.PlacementStrategy) != 1 || !s.EnableECSManagedTags || s.AvailabilityZoneRebalancing != "DISABLED" {
		t.Errorf("%+v", s)
	}

	second := f.update(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = ptr("web") })
	if d := second.Deployments; len(d) != 2 || *d[0].Status != "PRIMARY" || *d[1].Status != "ACTIVE" || *d[1].Id != id || d[0].RolloutState != "IN_PROGRESS" ||
		*second.TaskDefinition != "arn:aws:ecs:us-east-1:000000000000:task-definition/web:2" {
		t.Errorf("%+v", d)
	}
	if forced := f.update(func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true }); len(forced.Deployments) != 3 {
		t.Errorf("%+v", forced.Deployments)
	}
	if lb := f.update(func(in *ecs.UpdateServiceInput) {
		in.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: ptr(groupARN), ContainerName: ptr("app"), ContainerPort: ptr(int32(80))}}
	}); len(lb.Deployments) != 4 || len(lb.LoadBalancers) != 1 {
		t.Errorf("%+v", lb)
	}

	update := func(in ecs.UpdateServiceInput) error { _, err := f.UpdateService(f.ctx, &in); return err }
	refused(t, update(ecs.UpdateServiceInput{Service: ptr("none")}), "ServiceNotFoundException", "Service not found.")
	refused(t, update(ecs.UpdateServiceInput{Service: ptr("web"), TaskDefinition: ptr("none")}), "ClientException", "TaskDefinition not found.")
	refused(t, update(ecs.UpdateServiceInput{Service: ptr("web"), DesiredCount: ptr(int32(-1))}), "InvalidParameterException", "negative")
	refused(t, update(ecs.UpdateServiceInput{Service: ptr("web"), VolumeConfigurations: make([]types.ServiceVolumeConfiguration, 1)}), "UnsupportedFeatureException", "volumeConfigurations")

	// A definition that is INACTIVE by now holds no change of count up.
	_, err := f.DeregisterTaskDefinition(f.ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: ptr("web:2")})
	must(t, err)
	if s := f.update(func(in *ecs.UpdateServiceInput) { in.DesiredCount = ptr(int32(1)) }); s.DesiredCount != 1 {
		t.Error(s.DesiredCount)
	}
	refused(t, update(ecs.UpdateServiceInput{Service: ptr("web"), ForceNewDeployment: true}), "ClientException", "TaskDefinition is inactive")
}

func TestUpdateNetwork(t *testing.T) {
	f := newServices(t)
	f.create(f.onFargate)
	// The same network in another order, with its default named.
	n := f.vpc()
	v := n.AwsvpcConfiguration
	v.Subnets[0], v.Subnets[1], v.AssignPublicIp = v.Subnets[1], v.Subnets[0], "DISABLED"
	if s := f.update(func(in *ecs.UpdateServiceInput) { in.NetworkConfiguration = n }); len(s.Deployments) != 1 {
		t.Error("the same network began a deployment")
	}
	v.AssignPublicIp = "ENABLED"
	if s := f.update(func(in *ecs.UpdateServiceInput) { in.NetworkConfiguration = n }); len(s.Deployments) != 2 {
		t.Error("another network began no deployment")
	}
}

func TestDeleteService(t *testing.T) {
	f := newServices(t)
	f.create()
	del := func(force bool) (*ecs.DeleteServiceOutput, error) {
		return f.DeleteService(f.ctx, &ecs.DeleteServiceInput{Service: ptr("web"), Force: &force})
	}
	_, err := del(false)
	refused(t, err, "InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
	for range 2 {
		out, err := del(true)
		must(t, err)
		if *out.Service.Status != "DRAINING" || out.Service.DesiredCount != 0 {
			t.Errorf("%+v", out.Service)
		}
	}
	_, err = f.UpdateService(f.ctx, &ecs.UpdateServiceInput{Service: ptr("web")})
	refused(t, err, "ServiceNotActiveException", "Service was not ACTIVE.")
	_, err = f.CreateService(f.ctx, createInput())
	refused(t, err, "InvalidParameterException", "Unable to Start a service that is still Draining.")
	list, err := f.ListServices(f.ctx, &ecs.ListServicesInput{})
	must(t, err)
	if len(list.ServiceArns) != 0 {
		t.Error("a DRAINING service is listed")
	}

	// The service loop makes it INACTIVE; it can be described still, and its
	// name is free.
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		s, _ := cluster.Services.Get(tx, cluster.ServiceKey(f.scope, "default", "web"))
		s.Status, s.Stable, s.Deployments = "INACTIVE", s.Primary(), nil
		return cluster.Services.Put(tx, s)
	}))
	out, err := f.DescribeServices(f.ctx, &ecs.DescribeServicesInput{Services: []string{"web", "web", "none"}})
	must(t, err)
	if len(out.Services) != 1 || *out.Services[0].Status != "INACTIVE" || len(out.Services[0].Deployments) != 0 || out.Services[0].TaskDefinition == nil ||
		len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" || *out.Failures[0].Arn != "arn:aws:ecs:us-east-1:000000000000:service/default/none" {
		t.Errorf("%+v", out)
	}
	_, err = del(true)
	refused(t, err, "ServiceNotFoundException", "Service not found.")
	f.create()
}

// TestCounts: what a service's tasks make of its counts.
func TestCounts(t *testing.T) {
	f := newServices(t)
	d := f.create().Deployments[0]
	put := func(id string, change func(*cluster.Task)) {
		must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
			v := cluster.Task{Scope: f.scope, Cluster: "default", ID: id, Service: "web", StartedBy: *d.Id, Family: "web", Revision: 2,
				Desired: cluster.Running, Last: cluster.Running, CreatedAt: now()}
			change(&v)
			return cluster.Tasks.Put(tx, v)
		}))
	}
	put("a", func(*cluster.Task) {})
	put("b", func(v *cluster.Task) { v.Last = cluster.Pending })
	put("c", func(v *cluster.Task) { v.Desired, v.Last = cluster.Stopped, cluster.Stopping })
	put("d", func(v *cluster.Task) { v.Draining = &v.CreatedAt })
	s := f.update()
	if s.RunningCount != 1 || s.PendingCount != 1 || s.Deployments[0].RunningCount != 1 || s.Deployments[0].PendingCount != 1 {
		t.Errorf("%d running, %d pending", s.RunningCount, s.PendingCount)
	}
	list, err := f.ListTasks(f.ctx, &ecs.ListTasksInput{ServiceName: ptr("web")})
	must(t, err)
	if len(list.TaskArns) != 2 {
		t.Errorf("listed %v", list.TaskArns)
	}
	out, err := f.DescribeTasks(f.ctx, &ecs.DescribeTasksInput{Tasks: []string{"d"}})
	must(t, err)
	if v := out.Tasks[0]; *v.LastStatus != "DEACTIVATING" || *v.DesiredStatus != "STOPPED" {
		t.Errorf("a draining task is %s, to be %s", *v.LastStatus, *v.DesiredStatus)
	}
}

func TestListServices(t *testing.T) {
	f := newServices(t)
	for i := range 12 {
		f.create(func(in *ecs.CreateServiceInput) { in.ServiceName = ptr(fmt.Sprintf("s%02d", i)) })
	}
	f.create(f.onFargate, func(in *ecs.CreateServiceInput) { in.ServiceName = ptr("far") })
	one, err := f.ListServices(f.ctx, &ecs.ListServicesInput{})
	must(t, err)
	two, err := f.ListServices(f.ctx, &ecs.ListServicesInput{NextToken: one.NextToken})
	must(t, err)
	if len(one.ServiceArns) != 10 || len(two.ServiceArns) != 3 || two.NextToken != nil {
		t.Errorf("%d and %d", len(one.ServiceArns), len(two.ServiceArns))
	}
	far, err := f.ListServices(f.ctx, &ecs.ListServicesInput{LaunchType: "FARGATE"})
	must(t, err)
	if fmt.Sprint(far.ServiceArns) != "[arn:aws:ecs:us-east-1:000000000000:service/default/far]" {
		t.Error(far.ServiceArns)
	}
	_, err = f.DescribeServices(f.ctx, &ecs.DescribeServicesInput{})
	refused(t, err, "InvalidParameterException", "Services cannot be empty.")
}
