package cluster

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// Service keeps a number of copies of a task definition running.
type Service struct {
	Scope
	Cluster, Name string

	// Written by the handlers.
	ID                   string // changes when a deleted name is created again
	Status               string // ACTIVE, DRAINING, INACTIVE; the service loop writes INACTIVE
	DesiredCount         int32
	LaunchType           types.LaunchType
	CapacityStrategy     []types.CapacityProviderStrategyItem
	PlatformVersion      string
	SchedulingStrategy   types.SchedulingStrategy
	Controller           types.DeploymentControllerType
	Configuration        types.DeploymentConfiguration // defaults filled in
	Network              *types.NetworkConfiguration
	LoadBalancers        []types.LoadBalancer
	HealthGrace          int32 // seconds
	PlacementConstraints []types.PlacementConstraint
	PlacementStrategy    []types.PlacementStrategy
	PropagateTags        types.PropagateTags
	EnableECSManagedTags bool
	EnableExecuteCommand bool
	ZoneRebalancing      types.AvailabilityZoneRebalancing
	ServiceRegistries    []types.ServiceRegistry
	RoleARN              string
	ClientToken          string
	Tags                 []types.Tag
	Forced               *ContractForce `json:",omitempty"`
	CreatedAt            time.Time
	CreatedBy            string
	UpdatedAt            time.Time

	// Handlers prepend a PRIMARY one; the service loop writes the rest.
	Deployments []Deployment

	// Written by the service loop.
	SteadyAt *time.Time  // since when the service is steady, nil while it is not
	Stable   *Deployment // the last one that completed: where a failed one rolls back to
	// No task moves to another zone before.
	RebalanceAt time.Time
}

// Deployment is one rollout of a service. Handlers make it; from then on the
// service loop is its writer, but for the settings that an update changes
// without a new one (Desired, CapacityStrategy). Its counts are derived from the
// tasks whose StartedBy is its ID.
type Deployment struct {
	ID               string // ecs-svc/DIGITS
	Status           string // PRIMARY, ACTIVE, INACTIVE
	Family           string
	Revision         int32
	Desired          int32
	LaunchType       types.LaunchType
	PlatformVersion  string
	Network          *types.NetworkConfiguration
	LoadBalancers    []types.LoadBalancer
	FailedTasks      int32
	RolloutState     types.DeploymentRolloutState
	RolloutReason    string
	Forced           bool
	CreatedAt        time.Time
	UpdatedAt        time.Time
	RetryAt          time.Time // no launches before: throttling of tasks that cannot start
	PlacementFailure string    // why the last placement failed, "" if it did not
	CapacityStrategy []types.CapacityProviderStrategyItem
	Throttle         int32 // rounds in a row of tasks that never reached RUNNING
	QuickExits       int32 // tasks in a row that ended by themselves soon after RUNNING
	Extra            int32 // tasks beyond the desired count, while one moves to another zone
}

// ContractForce is the last deployment that was let in against the contracts of
// its messages.
type ContractForce struct {
	Reason   string
	Revision string // FAMILY:REVISION
}

// ServiceEvents are a service's newest events, newest first, at most
// MaxServiceEvents. AddServiceEvents is their writer.
type ServiceEvents struct {
	Service string // ServiceKey
	Events  []ServiceEvent
}

// ServiceEvent is one line of a service's history.
type ServiceEvent struct {
	ID      string
	At      time.Time
	Message string
}

// Services is keyed ACCOUNT/REGION/CLUSTER/NAME, ServiceLogs by the same key.
var (
	Services    = store.NewTable("cluster.services", Service.Key)
	ServiceLogs = store.NewTable("cluster.servicelogs", func(e ServiceEvents) string { return e.Service })
)

// Key is the row's key.
func (s Service) Key() string { return ServiceKey(s.Scope, s.Cluster, s.Name) }

// ServiceKey is the key of the service called name.
func ServiceKey(s Scope, cluster, name string) string { return s.Key(cluster, name) }

// ARN is the service's name in the API.
func (s Service) ARN() string { return s.Scope.ARN("ecs", "service/"+s.Cluster+"/"+s.Name) }

// Primary is the deployment that the service is moving to, nil if it has none.
func (s Service) Primary() *Deployment {
	for i := range s.Deployments {
		if s.Deployments[i].Status == "PRIMARY" {
			return &s.Deployments[i]
		}
	}
	return nil
}

// MaxServiceEvents is how many of a service's events AWS shows.
const MaxServiceEvents = 100

// AddServiceEvents puts events on top of those of the service under key, the
// last one topmost.
func AddServiceEvents(tx *store.Tx, key string, events ...ServiceEvent) error {
	log, _ := ServiceLogs.Get(tx, key)
	log.Service = key
	log.Events = slices.Clone(log.Events)
	for _, e := range events {
		log.Events = slices.Insert(log.Events, 0, e)
	}
	log.Events = log.Events[:min(len(log.Events), MaxServiceEvents)]
	return ServiceLogs.Put(tx, log)
}
