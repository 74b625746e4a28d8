package ecs

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/scheduler"
)

// refusal names a field of a service that is not served.
type refusal struct {
	used  bool
	field string
	help  string
}

func refuse(fields []refusal) error {
	for _, f := range fields {
		if f.used {
			return unsupported("%s is not served. %s", f.field, f.help)
		}
	}
	return nil
}

func refuseOnCreate(in *ecs.CreateServiceInput) error {
	return refuse(append([]refusal{
		{in.SchedulingStrategy == types.SchedulingStrategyDaemon, "schedulingStrategy DAEMON", "Use REPLICA."},
	}, refusals(in.DeploymentController, in.ServiceRegistries, in.ServiceConnectConfiguration, in.VolumeConfigurations,
		in.VpcLatticeConfigurations, in.GatewayConnectors, in.Monitoring)...))
}

func refuseOnUpdate(in *ecs.UpdateServiceInput) error {
	return refuse(refusals(in.DeploymentController, in.ServiceRegistries, in.ServiceConnectConfiguration, in.VolumeConfigurations,
		in.VpcLatticeConfigurations, in.GatewayConnectors, in.Monitoring))
}

// refusals are of what both calls take. docs/coverage-notes.tsv has a line for
// each field.
func refusals(controller *types.DeploymentController, registries []types.ServiceRegistry, connect *types.ServiceConnectConfiguration,
	volumes []types.ServiceVolumeConfiguration, lattice []types.VpcLatticeConfiguration, gateways []types.GatewayConnector,
	monitoring *types.MonitoringConfiguration) []refusal {
	return []refusal{
		otherController(controller),
		{len(registries) > 0, "serviceRegistries", "Leave it out; tasks are reached through load balancers."},
		connects(connect),
		{len(volumes) > 0, "volumeConfigurations", "dhow attaches no EBS volumes: use a host or docker volume of the task definition."},
		{len(lattice) > 0, "vpcLatticeConfigurations", "Use loadBalancers."},
		{len(gateways) > 0, "gatewayConnectors", "Use loadBalancers."},
		{monitoring != nil && len(monitoring.MetricConfigurations) > 0, "monitoring", "Leave it out."},
	}
}

func otherController(c *types.DeploymentController) refusal {
	var kind types.DeploymentControllerType
	if c != nil {
		kind = c.Type
	}
	return refusal{kind != "" && kind != types.DeploymentControllerTypeEcs, "deploymentController " + string(kind), "Use ECS, whose deployments are rolling updates."}
}

// connects refuses Service Connect, but for a configuration that says off.
func connects(c *types.ServiceConnectConfiguration) refusal {
	return refusal{c != nil && c.Enabled, "serviceConnectConfiguration", "Use loadBalancers, or the addresses of tasks."}
}

// configurationRefusals are of a deployment configuration's fields.
func configurationRefusals(c types.DeploymentConfiguration) []refusal {
	early := c.EarlySuccessCriteria != nil && c.EarlySuccessCriteria.Enable
	alarms := c.Alarms != nil && (c.Alarms.Enable || len(c.Alarms.AlarmNames) > 0)
	return []refusal{
		{c.Strategy != "" && c.Strategy != types.DeploymentStrategyRolling, "deploymentConfiguration.strategy " + string(c.Strategy), "Use ROLLING."},
		{alarms, "deploymentConfiguration.alarms", "Use deploymentCircuitBreaker."},
		{len(c.LifecycleHooks) > 0, "deploymentConfiguration.lifecycleHooks", "Leave it out."},
		{deref(c.BakeTimeInMinutes) != 0, "deploymentConfiguration.bakeTimeInMinutes", "Rolling updates have no bake time: leave it out."},
		{c.CanaryConfiguration != nil, "deploymentConfiguration.canaryConfiguration", "Use strategy ROLLING."},
		{c.LinearConfiguration != nil, "deploymentConfiguration.linearConfiguration", "Use strategy ROLLING."},
		{early, "deploymentConfiguration.earlySuccessCriteria", "Leave it out."},
	}
}

// checkDeploymentConfiguration checks c and fills in AWS's defaults for a
// REPLICA service.
func checkDeploymentConfiguration(c types.DeploymentConfiguration) (types.DeploymentConfiguration, error) {
	err := refuse(configurationRefusals(c))
	if err != nil {
		return c, err
	}
	if c.MinimumHealthyPercent == nil {
		c.MinimumHealthyPercent = ptr(int32(100))
	}
	if c.MaximumPercent == nil {
		c.MaximumPercent = ptr(int32(200))
	}
	c.Strategy = types.DeploymentStrategyRolling
	switch least, most := *c.MinimumHealthyPercent, *c.MaximumPercent; {
	case least < 0:
		return c, invalidParam("minimumHealthyPercent must be at least 0.")
	case least > 100:
		return c, invalidParam("minimumHealthyPercent must be at most 100.")
	case most < 100:
		return c, invalidParam("maximumPercent must be at least 100.")
	case least == 100 && most == 100:
		return c, invalidParam("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
	}
	if c.DeploymentCircuitBreaker == nil {
		c.DeploymentCircuitBreaker = &types.DeploymentCircuitBreaker{}
	}
	if t := c.DeploymentCircuitBreaker.ThresholdConfiguration; t != nil {
		switch {
		case !slices.Contains(t.Type.Values(), t.Type):
			return c, invalidParam("Invalid deploymentCircuitBreaker.thresholdConfiguration.type: %q. Use BOUNDED_PERCENT, UNBOUNDED_PERCENT or COUNT.", t.Type)
		case t.Value < 1:
			return c, invalidParam("Invalid deploymentCircuitBreaker.thresholdConfiguration.value: %d. It must be at least 1.", t.Value)
		}
	}
	return c, nil
}

// checkPlacement checks rules of placement. The sentences are AWS's where they
// are known.
func checkPlacement(lt types.LaunchType, constraints []types.PlacementConstraint, strategy []types.PlacementStrategy) error {
	if lt == types.LaunchTypeFargate {
		switch {
		case len(constraints) > 0:
			return invalidParam("Placement constraints are not supported with FARGATE launch type.")
		case len(strategy) > 0:
			return invalidParam("Placement strategies are not supported with FARGATE launch type.")
		}
		return nil
	}
	if len(strategy) > 5 {
		return invalidParam("Maximum number of strategies is 5.")
	}
	for _, c := range constraints {
		if c.Type == types.PlacementConstraintTypeDistinctInstance && deref(c.Expression) != "" {
			return invalidParam("distinctInstance expression should not be specified.")
		}
	}
	for _, s := range strategy {
		switch field := strings.ToLower(deref(s.Field)); {
		case s.Type == types.PlacementStrategyTypeRandom && field != "":
			return invalidParam("random field should not be specified.")
		case s.Type == types.PlacementStrategyTypeBinpack && field != "cpu" && field != "memory":
			return invalidParam("binpack field '%s' is invalid.", deref(s.Field))
		}
	}
	if _, err := scheduler.ParseConstraints(constraints); err != nil {
		return invalidParam("%s", err)
	}
	if _, err := scheduler.ParseStrategy(strategy); err != nil {
		return invalidParam("%s", err)
	}
	return nil
}

// checkTargetGroups checks load balancers against what exists, and returns the
// types of the target groups by their ARNs.
func (a *API) checkTargetGroups(s cluster.Scope, lbs []types.LoadBalancer) (map[string]string, error) {
	if len(lbs) > 5 {
		return nil, invalidParam("load balancers can have at most 5 items.")
	}
	seen := map[string]string{}
	for _, lb := range lbs {
		arn := deref(lb.TargetGroupArn)
		switch {
		case arn != "" && deref(lb.LoadBalancerName) != "":
			return nil, invalidParam("loadBalancerName and targetGroupArn cannot both be specified. You must specify either a loadBalancerName or a targetGroupArn.")
		case deref(lb.LoadBalancerName) != "":
			return nil, unsupported("loadBalancers[].loadBalancerName is not served: there are no Classic Load Balancers. Use targetGroupArn.")
		case arn == "":
			return nil, invalidParam("targetGroupArn can not be blank.")
		case lb.AdvancedConfiguration != nil:
			return nil, unsupported("loadBalancers[].advancedConfiguration is not served: it is for blue/green deployments. Leave it out.")
		case deref(lb.ContainerName) == "":
			return nil, invalidParam("Container Name can not be blank.")
		case lb.ContainerPort == nil || *lb.ContainerPort < 1 || *lb.ContainerPort > 65535:
			return nil, invalidParam("Container Port must be between 1 and 65535.")
		case seen[arn] != "":
			return nil, invalidParam("The target group %s is specified more than once.", arn)
		}
		if a.cfg.TargetGroup == nil {
			return nil, unsupported("loadBalancers is not served here: this API runs without load balancers.")
		}
		switch targetType, users := a.cfg.TargetGroup(s, arn); {
		case targetType == "":
			return nil, invalidParam("The target group with targetGroupArn %s does not exist.", arn)
		case len(users) == 0:
			return nil, invalidParam("The target group with targetGroupArn %s does not have an associated load balancer.", arn)
		default:
			seen[arn] = targetType
		}
	}
	return seen, nil
}

// checkTargetTypes checks that the groups take what tasks of d are: addresses
// in awsvpc mode, instances with ports in the others.
func checkTargetTypes(d types.TaskDefinition, groups map[string]string) error {
	mode := d.NetworkMode
	if mode == "" {
		mode = types.NetworkModeBridge
	}
	for arn, targetType := range groups {
		if (targetType == "ip") != (mode == types.NetworkModeAwsvpc) {
			return invalidParam("The provided target group %s has target type %s, which is incompatible with the %s network mode specified in the task definition.",
				arn, targetType, mode)
		}
	}
	return nil
}

// checkBalancedContainers checks that the definition has what the load
// balancers send to.
func checkBalancedContainers(d types.TaskDefinition, lbs []types.LoadBalancer) error {
	for _, lb := range lbs {
		name, port := deref(lb.ContainerName), deref(lb.ContainerPort)
		i := slices.IndexFunc(d.ContainerDefinitions, named(name))
		if i < 0 {
			return invalidParam("The container %s does not exist in the task definition.", name)
		}
		maps := func(m types.PortMapping) bool {
			low, high, ok := portRange(deref(m.ContainerPortRange))
			return deref(m.ContainerPort) == port || ok && low <= int(port) && int(port) <= high
		}
		if !slices.ContainsFunc(d.ContainerDefinitions[i].PortMappings, maps) {
			return invalidParam("The container %s did not have a container port %d defined.", name, port)
		}
	}
	return nil
}

// checkRebalancing settles availabilityZoneRebalancing: ENABLED by default
// where the service can be rebalanced. The conditions are those of the
// developer guide, "Balancing an Amazon ECS service across Availability Zones".
func (w *wish) checkRebalancing(lt types.LaunchType) error {
	first := ""
	if len(w.placement) > 0 {
		first = string(w.placement[0].Type) + " " + deref(w.placement[0].Field)
	}
	why := ""
	switch {
	case lt == types.LaunchTypeExternal:
		why = "the launch type is EXTERNAL"
	case deref(w.configuration.MaximumPercent) <= 100:
		why = "maximumPercent is 100"
	case first != "" && first != "spread attribute:ecs.availability-zone":
		why = "the first placement strategy is not to spread over attribute:ecs.availability-zone"
	}
	switch {
	case w.rebalancing == "" && why == "":
		w.rebalancing = types.AvailabilityZoneRebalancingEnabled
	case w.rebalancing == "":
		w.rebalancing = types.AvailabilityZoneRebalancingDisabled
	case w.rebalancing == types.AvailabilityZoneRebalancingEnabled && why != "":
		return invalidParam("Availability Zone rebalancing can not be ENABLED for this service: %s.", why)
	}
	return nil
}
